"""Everything that can go wrong on the floor, on its wires and around its processes, on request."""
