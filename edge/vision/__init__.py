"""From camera frames to sightings."""
