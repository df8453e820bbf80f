"""Data sets and networks of the sources: `data` reads without torch, `networks` and `checkpoints` need it."""
