"""Scenes drawn with matplotlib."""
