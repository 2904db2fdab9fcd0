"""Distance fields and the bounded pool that keeps them."""
