"""The density of eigenvalues by stochastic Lanczos quadrature (Golub and Meurant; Ghorbani et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lossatlas.compute.curvature.lanczos import Operator, lanczos
from lossatlas.compute.curvature.layout import Vector
from lossatlas.errors import InputError


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """Where the eigenvalues lie, as point masses.

    Attributes:
        nodes: one array of Ritz values a probe.
        weights: one array a probe, of sum 1.
        size: the number of eigenvalues that the masses stand for.
        products: matrix-vector products spent.
    """

    nodes: tuple[Vector, ...]
    weights: tuple[Vector, ...]
    size: int
    products: int

    def moment(self, power: int) -> tuple[float, float]:
        """``tr(H ** power) / size`` and its standard error over the probes.

        Each probe is exact for its own ``z' H^p z / size`` up to ``p = 2 steps - 1``.
        """
        each = [float(w @ n**power) for n, w in zip(self.nodes, self.weights, strict=True)]
        error = float(np.std(each, ddof=1) / np.sqrt(len(each))) if len(each) > 1 else float("nan")
        return float(np.mean(each)), error

    def curve(self, at: ArrayLike, width: float | None = None) -> NDArray[np.float64]:
        """The density, smoothed with a Gaussian; its integral is 1.

        Args:
            at: eigenvalues at which to give the density.
            width: standard deviation of the Gaussian, in the units of the eigenvalues; None takes 1 % of the range.
        """
        place = np.asarray(at, dtype=np.float64)[..., None]
        nodes, weights = np.concatenate(self.nodes), np.concatenate(self.weights) / len(self.nodes)
        sigma = width or 0.01 * float(np.ptp(nodes)) or 1.0
        return (weights * np.exp(-0.5 * ((place - nodes) / sigma) ** 2)).sum(-1) / (sigma * np.sqrt(2 * np.pi))


def spectral_density(matrix: Operator, steps: int = 40, probes: int = 4, seed: int = 0) -> SpectralDensity:
    """The eigenvalue density from `probes` runs of `steps` Lanczos steps with full re-orthogonalization.

    Args:
        matrix: a `Curvature`, or anything with ``size`` and ``@``.
        steps: products a probe; as many as the size give the exact spectrum of that probe.
        probes: Rademacher starts to average over.
        seed: of the starts.

    Raises:
        InputError: no steps or no probes.

    Example:
        >>> class Diagonal:
        ...     size = 4
        ...     def __matmul__(self, v): return np.array([0.0, 1.0, 2.0, 7.0]) * v
        >>> density = spectral_density(Diagonal(), steps=4, probes=1)
        >>> abs(density.nodes[0].round(6)).tolist(), density.weights[0].round(6).tolist()
        ([0.0, 1.0, 2.0, 7.0], [0.25, 0.25, 0.25, 0.25])
    """
    if steps < 1 or probes < 1:
        raise InputError("steps, probes", (steps, probes), "both at least 1")
    rng = np.random.default_rng(seed)
    nodes, weights = [], []
    for _ in range(probes):
        values, coordinates = lanczos(matrix, rng.choice([-1.0, 1.0], size=matrix.size), steps).eigh()
        nodes.append(values)
        weights.append(coordinates[0] ** 2)
    return SpectralDensity(tuple(nodes), tuple(weights), matrix.size, sum(map(len, nodes)))
