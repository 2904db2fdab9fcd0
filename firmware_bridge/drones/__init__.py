"""Drivers of drones: MAVLink 2."""
