"""Legends, color bars, and names at the ends of paths."""
