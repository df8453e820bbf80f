"""Metadata of figures, in the files themselves: the full caption, and the surfaces with their archives and hashes."""
