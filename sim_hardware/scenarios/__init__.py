"""Scenarios as text: what happens on the floor, when, and what must hold then."""
