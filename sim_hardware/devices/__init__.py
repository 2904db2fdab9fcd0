"""The firmware side of every device."""
