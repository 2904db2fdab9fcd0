"""The planners' desk: a live page of floor, counts, tasks and proposals, and the API behind it."""
