"""Roughness of a computed plane: share of negative curvature, persistent basins, height of the rim.

All three depend on bounds and resolution: they compare surfaces of one protocol.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from lossatlas.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Roughness:
    """Numbers of one surface.

    Attributes:
        negative_share: share of inner cells whose 2x2 curvature within the plane has a negative eigenvalue.
        negative_share_center: the same within half of the bounds.
        basins: sublevel basins that are deeper than `floor` below the saddle that joins them to a deeper one; the
            deepest counts too.
        floor: in the units of the quantity.
        rim_median: median height on the edge of the plane.
        rim_max: its largest.
        center: the lowest value.
    """

    negative_share: float
    negative_share_center: float
    basins: int
    floor: float
    rim_median: float
    rim_max: float
    center: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def roughness(surface: xr.Dataset, floor: float = 0.1, quantity: str = "loss") -> Roughness:
    """Measure a surface over ``(alpha, beta)`` whose cells are all computed.

    Args:
        surface: as `evaluate` returns it.
        floor: basins shallower than this do not count, in the units of the quantity.
        quantity: which metric.

    Raises:
        InputError: a line, fewer than 3x3 cells, or cells that are not computed.

    Example:
        >>> x, y = np.meshgrid(np.linspace(-2, 2, 41), np.linspace(-1, 1, 21), indexing="ij")
        >>> well = xr.Dataset({"loss": (("alpha", "beta"), (x**2 - 1) ** 2 + y**2)}, {"alpha": x[:, 0], "beta": y[0]})
        >>> roughness(well).basins
        2
    """
    values = _values(surface, quantity)
    curvature = lowest_curvature(surface, quantity)
    negative = curvature < -1e-9 * np.nanmax(np.abs(curvature))
    half = [np.abs(a - a.mean()) <= np.ptp(a) / 4 for a in (surface.alpha.values, surface.beta.values)]
    central = np.outer(half[0], half[1])[1:-1, 1:-1]
    rim = np.concatenate([values[0], values[-1], values[1:-1, 0], values[1:-1, -1]])
    deep = [p for p in persistence(values) if p > floor]
    return Roughness(
        float(negative.mean()),
        float(negative[central].mean()) if central.any() else float("nan"),
        1 + len(deep),
        floor,
        float(np.nanmedian(rim)),
        float(np.nanmax(rim)),
        float(np.nanmin(values)),
    )


def persistence(values: Array) -> list[float]:
    """Finite persistences of sublevel basins, the deepest first: saddle height minus depth, by union-find (8 neighbors).

    >>> [round(p, 6) for p in persistence(np.array([[0.0, 3.0, 1.0], [5.0, 5.0, 5.0], [5.0, 5.0, 5.0]]))]
    [2.0]
    """
    shape, flat = values.shape, np.where(np.isfinite(values), values, np.inf).ravel()
    parent = np.full(flat.size, -1)
    pairs: list[float] = []
    for cell in np.argsort(flat, kind="stable"):
        if not np.isfinite(flat[cell]):
            break
        roots = sorted({_root(parent, n) for n in _neighbors(int(cell), shape) if parent[n] >= 0}, key=lambda r: flat[r])
        parent[cell] = roots[0] if roots else cell
        for root in roots[1:]:
            pairs.append(float(flat[cell] - flat[root]))
            parent[root] = roots[0]
    return sorted((p for p in pairs if p > 0), reverse=True)


def _values(surface: xr.Dataset, quantity: str) -> Array:
    if "beta" not in surface.dims or min(surface.sizes["alpha"], surface.sizes["beta"]) < 3:
        raise InputError("surface", dict(surface.sizes), "a surface of at least 3x3 cells")
    if "done" in surface and not bool(surface.done.all()):
        raise InputError("surface", f"{int(surface.done.sum())} computed cells", "all cells computed", "Run evaluate again without tol=")
    return np.asarray(surface[quantity].transpose("alpha", "beta").values, dtype=np.float64)


def lowest_curvature(surface: xr.Dataset, quantity: str = "loss") -> Array:
    """Smaller eigenvalue of the second differences at inner cells, ``(na - 2, nb - 2)``; axes of equal spacing.

    Raises:
        InputError: a line, fewer than 3x3 cells, or cells that are not computed.
    """
    values = _values(surface, quantity)
    da, db = (float(np.diff(surface[axis].values).mean()) for axis in ("alpha", "beta"))
    middle = values[1:-1, 1:-1]
    aa = (values[2:, 1:-1] - 2 * middle + values[:-2, 1:-1]) / da**2
    bb = (values[1:-1, 2:] - 2 * middle + values[1:-1, :-2]) / db**2
    ab = (values[2:, 2:] - values[2:, :-2] - values[:-2, 2:] + values[:-2, :-2]) / (4 * da * db)
    return (aa + bb) / 2 - np.sqrt(((aa - bb) / 2) ** 2 + ab**2)


def _root(parent: NDArray[np.int64], cell: int) -> int:
    while parent[cell] != cell:
        parent[cell] = parent[parent[cell]]
        cell = int(parent[cell])
    return cell


def _neighbors(cell: int, shape: tuple[int, ...]) -> list[int]:
    i, j = divmod(cell, shape[1])
    return [
        a * shape[1] + b
        for a in range(max(i - 1, 0), min(i + 2, shape[0]))
        for b in range(max(j - 1, 0), min(j + 2, shape[1]))
        if (a, b) != (i, j)
    ]
