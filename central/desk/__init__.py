"""The planners' pages and their API."""
