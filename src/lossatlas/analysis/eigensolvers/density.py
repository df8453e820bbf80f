"""Spectral density by stochastic Lanczos quadrature (Golub and Meurant; Ghorbani et al. 2019).

Golub and Meurant, Matrices, Moments and Quadrature with Applications (2010); for the Hessian of a network Ghorbani et
al. 2019 (arXiv 1901.10159), algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lossatlas._util.arrays import FloatArray
from lossatlas.analysis.eigensolvers.lanczos import Matrix, as_operator, lanczos
from lossatlas.errors import InputError


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """Density of the eigenvalues as point masses: one Gauss quadrature rule a probe.

    Attributes:
        nodes: one array ``(steps,)`` of Ritz values a probe, in the units of the matrix.
        weights: one array ``(steps,)`` a probe, of sum 1.
        size: the number of eigenvalues that the masses stand for.
        products: matrix-vector products spent.
    """

    nodes: tuple[FloatArray, ...]
    weights: tuple[FloatArray, ...]
    size: int
    products: int

    def moment(self, power: int) -> tuple[float, float]:
        """``tr(H ** power) / size`` and its standard error over the probes.

        Each probe is exact for its own ``z' H^p z / size`` up to ``p = 2 steps - 1``.
        """
        each = [float(w @ n**power) for n, w in zip(self.nodes, self.weights, strict=True)]
        error = float(np.std(each, ddof=1) / np.sqrt(len(each))) if len(each) > 1 else float("nan")
        return float(np.mean(each)), error

    def curve(self, at: ArrayLike, width: float | None = None) -> FloatArray:
        """The density smoothed with a Gaussian, in 1/units, of the shape of `at`; its integral is 1.

        Args:
            at: eigenvalues at which to give the density, of any shape.
            width: standard deviation of the Gaussian, in the units of the eigenvalues; None takes 1 % of the range.
        """
        place = np.asarray(at, dtype=np.float64)[..., None]
        nodes, weights = np.concatenate(self.nodes), np.concatenate(self.weights) / len(self.nodes)
        sigma = width or 0.01 * float(np.ptp(nodes)) or 1.0
        return (weights * np.exp(-0.5 * ((place - nodes) / sigma) ** 2)).sum(-1) / (sigma * np.sqrt(2 * np.pi))


def spectral_density(matrix: Matrix, steps: int = 40, probes: int = 4, seed: int = 0) -> SpectralDensity:
    """Estimate the eigenvalue density from `probes` runs of `steps` Lanczos steps with full re-orthogonalization.

    Args:
        matrix: symmetric, ``(size, size)``: a SciPy `LinearOperator` such as `hessian_operator` returns, or a dense array.
        steps: products a probe; as many as the size give the exact spectrum of that probe.
        probes: Rademacher starts to average over.
        seed: of the starts.

    Raises:
        InputError: no steps, no probes, or `matrix` is no real square operator.

    Example:
        >>> density = spectral_density(np.diag([0.0, 1.0, 2.0, 7.0]), steps=4, probes=1)
        >>> abs(density.nodes[0].round(6)).tolist(), density.weights[0].round(6).tolist()
        ([0.0, 1.0, 2.0, 7.0], [0.25, 0.25, 0.25, 0.25])
    """
    if steps < 1 or probes < 1:
        raise InputError("steps, probes", (steps, probes), "both at least 1")
    matrix, rng = as_operator(matrix), np.random.default_rng(seed)
    size = matrix.shape[0]
    nodes, weights = [], []
    for _ in range(probes):
        values, coordinates = lanczos(matrix, rng.choice([-1.0, 1.0], size=size), steps).eigh()
        nodes.append(values)
        weights.append(coordinates[0] ** 2)
    return SpectralDensity(tuple(nodes), tuple(weights), size, sum(map(len, nodes)))
