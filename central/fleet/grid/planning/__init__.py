"""The inner loop of the planner: multi-action PIBT."""
