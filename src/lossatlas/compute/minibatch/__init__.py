"""Mini-batches: sampling, training and gradient noise."""
