"""Journal, counts and outbox in one transaction."""
