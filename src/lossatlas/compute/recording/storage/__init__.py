"""A recording on disk: arrays that grow, weights by row, rows that wait, and checkpoint files read as rows."""
