"""A generated warehouse of any size, in columns of numpy."""
