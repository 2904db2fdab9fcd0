"""What is claimed, measured: one module per bench, run by `stockhelm bench`."""
