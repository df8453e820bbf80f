"""Planes and directions in weight space."""
