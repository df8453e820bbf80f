"""Scene: what to draw, as plain data."""
