"""Connecting minima: curves of low loss between solutions, barriers along them, and reordering neurons to match."""

from lossatlas.compute.connectivity.curve import Curve, bezier, curve_plane, polygon
from lossatlas.compute.connectivity.evaluation import along, curve_trajectory
from lossatlas.compute.connectivity.fitting import fit_curve
from lossatlas.compute.symmetry.weight_matching import Alignment, align

__all__ = ["Alignment", "Curve", "align", "along", "bezier", "curve_plane", "curve_trajectory", "fit_curve", "polygon"]
