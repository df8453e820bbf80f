"""Check that a loss reads the parameters it is given."""
