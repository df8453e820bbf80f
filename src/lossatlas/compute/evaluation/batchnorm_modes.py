"""Comparison of BatchNorm modes: the same plane under each, side by side in one archive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import xarray as xr

from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.evaluation.engine import Engine
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.objective.module.batchnorm import Mode
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.plane import Plane

MODE_LABELS: dict[str, str] = {
    "eval": "stored statistics",
    "interpolated": "interpolated statistics",
    "recalibrated": "statistics re-estimated at every point",
    "anchored": "statistics re-estimated, at each model its own",
    "batch": "each batch's own statistics",
    "train": "each batch's own statistics, with dropout",
}


def compare_batchnorm_modes(
    objective: Objective,
    plane: Plane,
    modes: Iterable[Mode] = ("eval", "recalibrated", "batch"),
    archive: Location | Archive | None = None,
    *,
    engine: Engine = Engine(),
    **options: Any,
) -> dict[str, xr.Dataset]:
    """The same plane in several BatchNorm modes; each is a surface ``surface-MODE`` of the archive.

    Args:
        objective: made from an nn.Module.
        plane: where.
        modes: of "eval", "interpolated" (planes between models), "recalibrated", "batch", "train".
        archive: a path, a store or an open archive; None keeps the results in memory.
        engine: how the cells are computed, as for `evaluate`.
        **options: of `evaluate`, such as ``bounds`` and ``resolution``.

    Returns:
        By mode, what `evaluate` returns.

    Example:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
        >>> objective = Objective(model, torch.nn.functional.mse_loss, (torch.randn(8, 2), torch.randn(8, 1)))
        >>> from lossatlas.compute.planes.constructors import random_plane
        >>> result = compare_batchnorm_modes(objective, random_plane(objective), resolution=3, progress=False)
        >>> list(result), result["batch"].attrs["objective"]["mode"]
        (['eval', 'recalibrated', 'batch'], 'batch')
    """
    store = as_archive(archive)
    return {
        mode: evaluate(
            objective.with_mode(mode),
            plane,
            archive=store,
            name=f"surface-{mode}",
            title=MODE_LABELS.get(mode, mode),
            engine=engine,
            **options,
        )
        for mode in modes
    }
