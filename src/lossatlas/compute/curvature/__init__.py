"""Curvature at any point: products with the Hessian, extreme eigenvalues, trace, density, and maps over a plane."""

from lossatlas.analysis.eigensolvers.density import SpectralDensity, spectral_density
from lossatlas.analysis.eigensolvers.extremes import Extremes, extreme_eigenvalues
from lossatlas.analysis.eigensolvers.trace import Estimate, trace
from lossatlas.compute.curvature.hessian_map import hessian_map
from lossatlas.compute.curvature.hessian_plane import hessian_plane
from lossatlas.compute.curvature.operators import Curvature, ggn, hessian
from lossatlas.compute.curvature.report import CurvatureReport, curvature_report, plane_hessian

__all__ = [
    "Curvature",
    "CurvatureReport",
    "Estimate",
    "Extremes",
    "SpectralDensity",
    "curvature_report",
    "extreme_eigenvalues",
    "ggn",
    "hessian",
    "hessian_map",
    "hessian_plane",
    "plane_hessian",
    "spectral_density",
    "trace",
]
