"""How a process lives: clock, random, lanes, bus, ports, store, config, log, metrics.

Knows nothing of warehouses. It alone owns threads and event loops.
"""
