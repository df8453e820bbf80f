"""Recorders as callbacks of training frameworks."""
