"""Planning on grids: maps and problem files, distances, multi-action PIBT, tasks, execution."""
