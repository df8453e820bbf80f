"""Version of the package, in a leaf module: what writes it into archives need not import the whole public surface."""

__version__ = "0.1.0"
