"""A module as a function: copies of it, calls with other parameters, BatchNorm modes, random states."""
