"""Curvature at any point: products with the Hessian, extreme eigenvalues, trace, density, and maps over a plane."""

from lossatlas.compute.curvature.density import SpectralDensity, spectral_density
from lossatlas.compute.curvature.eigen import Extremes, extreme_eigenvalues
from lossatlas.compute.curvature.maps import hessian_map
from lossatlas.compute.curvature.operator import Curvature, ggn, hessian
from lossatlas.compute.curvature.planes import hessian_plane
from lossatlas.compute.curvature.report import CurvatureReport, curvature_report, plane_hessian
from lossatlas.compute.curvature.trace import Estimate, trace

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
