"""Multilevel Monte Carlo over the cells of a plane, with per-sample control variates (Giles, Acta Numerica 24, 2015).

A surface is a mean over N samples at every cell. Neighboring cells hold nearly the same losses, sample by sample, so that the losses
of a coarse lattice, interpolated, predict those in between, and a cell needs only as many samples as the mean of its *differences
from the prediction* asks for. Three steps, each a pure function of arrays:

1. `lattice`: nested lattices of cells, and the weights that predict a cell from the next coarser lattice.
2. `allocation`: from a pilot, the same few samples at every cell, how many samples each cell needs for a given error.
3. `estimator`: from the values of the samples that were drawn, the estimated mean over all N and its standard error.

The pilot chooses and is not drawn from again, which keeps the estimates unbiased whatever it chose.
"""

from lossatlas.analysis.multilevel.allocation import Allocation, allocate, same_draws
from lossatlas.analysis.multilevel.estimator import Estimate, estimate
from lossatlas.analysis.multilevel.lattice import LatticeHierarchy

__all__ = ["Allocation", "Estimate", "LatticeHierarchy", "allocate", "estimate", "same_draws"]
