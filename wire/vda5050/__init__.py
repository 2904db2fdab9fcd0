"""VDA 5050: the interface between a fleet's master and its robots."""
