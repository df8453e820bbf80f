"""Curvature at any point: products with the Hessian, extreme eigenvalues, trace, density, and maps over a plane."""

from lossatlas.analysis.eigensolvers.density import SpectralDensity, spectral_density
from lossatlas.analysis.eigensolvers.extremes import ExtremeEigenvalues, extreme_eigenvalues
from lossatlas.analysis.eigensolvers.trace import TraceEstimate, estimate_trace
from lossatlas.compute.curvature.hessian_map import hessian_map
from lossatlas.compute.curvature.hessian_plane import hessian_plane
from lossatlas.compute.curvature.operators import CurvatureOperator, ggn_operator, hessian_operator
from lossatlas.compute.curvature.report import CurvatureReport, curvature_report, plane_hessian

__all__ = [
    "CurvatureOperator",
    "CurvatureReport",
    "ExtremeEigenvalues",
    "SpectralDensity",
    "TraceEstimate",
    "curvature_report",
    "estimate_trace",
    "extreme_eigenvalues",
    "ggn_operator",
    "hessian_map",
    "hessian_operator",
    "hessian_plane",
    "plane_hessian",
    "spectral_density",
]
