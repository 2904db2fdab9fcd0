"""Physical truth: what is really where, whatever the books say."""
