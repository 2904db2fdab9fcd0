"""A simulated floor behind the devices' real wire protocols."""
