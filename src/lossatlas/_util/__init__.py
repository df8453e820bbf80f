"""Helpers without torch that every package shares."""
