"""Animations of a scene."""
