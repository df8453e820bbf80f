"""Connecting minima: curves of low loss between solutions, barriers along them, and reordering neurons to match."""

from lossatlas.compute.connect.align import Alignment, align
from lossatlas.compute.connect.curve import Curve, bezier, curve_plane, polygon
from lossatlas.compute.connect.fit import fit_curve
from lossatlas.compute.connect.measure import along, curve_trajectory

__all__ = ["Alignment", "Curve", "align", "along", "bezier", "curve_plane", "curve_trajectory", "fit_curve", "polygon"]
