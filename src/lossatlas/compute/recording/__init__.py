"""Recording of a training run: weights, curves, and reading them back."""
