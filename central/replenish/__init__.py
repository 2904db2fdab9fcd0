"""What to move or buy, when, and why."""
