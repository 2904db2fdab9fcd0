"""A VDA 5050 master: assignment, paths that never meet, orders on the wire."""
