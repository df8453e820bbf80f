"""The command line, one file a verb."""

from lossatlas.cli.app import app, main

__all__ = ["app", "main"]
