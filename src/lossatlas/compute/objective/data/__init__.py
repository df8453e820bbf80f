"""Fixed data: batches in one order, samples of them, and the targets of a classification."""
