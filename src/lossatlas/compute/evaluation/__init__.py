"""Evaluation of an objective over a plane, stored tile by tile."""
