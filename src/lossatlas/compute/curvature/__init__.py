"""Curvature at any point: products with the Hessian, extreme eigenvalues, trace, density, and maps over a plane."""

from lossatlas.compute.curvature.density import SpectralDensity, spectral_density
from lossatlas.compute.curvature.eigen import Extremes, extreme_eigenvalues
from lossatlas.compute.curvature.operator import Curvature, ggn, hessian
from lossatlas.compute.curvature.trace import Estimate, trace

__all__ = ["Curvature", "Estimate", "Extremes", "SpectralDensity", "extreme_eigenvalues", "ggn", "hessian", "spectral_density", "trace"]
