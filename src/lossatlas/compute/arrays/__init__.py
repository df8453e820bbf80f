"""Objectives that are functions of a NumPy vector: simulators, other frameworks, analytic test functions."""

from lossatlas.compute.arrays import functions as functions
