"""Double entry over all places of the site, fed exactly once from the edges' journals."""
