"""Scenes composed from what the user hands in."""
