"""Objective, plane, evaluation and drawing in one call."""
