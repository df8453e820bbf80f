"""Affine evaluator: layers that are affine in the coordinates are evaluated in closed form."""
