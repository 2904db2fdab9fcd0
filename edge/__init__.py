"""Beside the racks: one agent per zone reads its devices and is the only writer of its bins."""
