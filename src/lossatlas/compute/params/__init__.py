"""Weights as dictionaries of tensors: arithmetic, checks, hashes and flat layouts."""
