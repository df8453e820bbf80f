"""Data sets of the sources, read from their standard files."""
