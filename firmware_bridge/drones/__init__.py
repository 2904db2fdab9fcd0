"""Drones: MAVLink 2 over a serial link, and the state machine that flies a mission."""
