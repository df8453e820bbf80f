"""Evaluation of several planes of one objective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import xarray as xr

from lossatlas.analysis.grid import Bounds
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.evaluation.evaluators.selection import planes_to_come
from lossatlas.compute.metrics import Metric
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane
from lossatlas.errors import InputError, InputTypeError


def evaluate_many(
    objective: Objective,
    planes: Iterable[Plane],
    bounds: Bounds | None = None,
    resolution: int | Sequence[int] = 51,
    metrics: str | Iterable[str | Metric] = ("loss",),
    archive: Location | Archive | None = None,
    *,
    names: Sequence[str] | None = None,
    **options: Any,
) -> list[xr.Dataset]:
    """Surfaces of one objective over several planes, such as a gallery of random ones; `evaluate`, plane by plane.

    The fastest evaluator is sought on the first plane of a kind, if all of them together are worth it, and on the others only checked
    against the loop.

    Args:
        objective: what to measure.
        planes: where, in order.
        bounds: as for `evaluate`, of every plane.
        resolution: as for `evaluate`, of every plane.
        metrics: as for `evaluate`.
        archive: holds all of the surfaces; None keeps the results in memory only.
        names: of the surfaces within the archive; None names them ``surface_0``, ``surface_1``, …
        options: the other keywords of `evaluate`, but for `name`.

    Returns:
        A Dataset a plane, as `evaluate` returns it.

    Raises:
        InputError: not as many different names as planes, or an argument that `evaluate` refuses.

    Example:
        >>> import lossatlas as la, torch
        >>> objective = la.Objective(lambda p, batch: (p["w"] ** 2).sum(), params={"w": torch.tensor([3.0, 4.0])})
        >>> planes = [la.random_plane(objective, seed=seed, biases=True) for seed in range(3)]
        >>> surfaces = la.evaluate_many(objective, planes, (-1, 1), resolution=(3, 5))
        >>> [float(surface.loss.sel(alpha=0, beta=0)) for surface in surfaces]
        [25.0, 25.0, 25.0]
    """
    if isinstance(planes, Plane):
        raise InputTypeError("planes", "a plane", "a list of planes", "For one plane call la.evaluate(objective, plane)")
    planes = list(planes)
    names = [f"surface_{number}" for number in range(len(planes))] if names is None else list(names)
    if len(names) != len(planes) or len(set(names)) < len(names):
        raise InputError("names", names, f"{len(planes)} different names, one a plane")
    store = as_archive(archive, repair=bool(options.get("overwrite")))
    with planes_to_come(len(planes)):
        return [
            evaluate(objective, plane, bounds, resolution, metrics, store, name=name, **options)
            for plane, name in zip(planes, names, strict=True)
        ]
