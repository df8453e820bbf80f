"""Scenes of recorded runs: their curves, and a training beside its map."""
