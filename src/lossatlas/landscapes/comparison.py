"""`compare`: several recorded runs of one model on one plane, with one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lossatlas.analysis.grid import Bounds
from lossatlas.archive import Archive, Location, as_archive
from lossatlas.compute.evaluation.engine import Engine
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.paths.principal_planes import joint_pca_plane
from lossatlas.compute.paths.weight_blocks import Recording, as_trajectory
from lossatlas.errors import InputError, InputTypeError
from lossatlas.landscapes.landscape import RESOLUTION, Landscape, Metrics, default_metrics, objective_of, projected_runs


def compare(
    runs: Mapping[str, Recording],
    model: torch.nn.Module | Objective,
    loss: Any = None,
    data: Any = None,
    *,
    bounds: Bounds | None = None,
    resolution: int | Sequence[int] = RESOLUTION,
    metrics: Metrics | None = None,
    archive: Location | Archive | None = None,
    name: str = "comparison",
    title: str = "",
    engine: Engine = Engine(),
    overwrite: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> Landscape:
    """Recorded runs of one model, such as two optimizers from the same start, on the plane that they share.

    The axes are the principal directions of all runs together (`joint_pca_plane`), the window holds all paths, and BatchNorm
    statistics are each run's own where its models stand (mode "anchored").

    Args:
        runs: recorded trainings, or the paths of their archives, by the labels of the legend.
        model: the network that was trained; its weights do not matter, for those of the runs are taken.
        loss: as for `landscape`.
        data: as for `landscape`; test data show how the runs generalize.
        bounds: as for `evaluate`; None holds every path.
        resolution: points along every axis, or ``(na, nb)``.
        metrics: None is the loss, and the accuracy of classifiers.
        archive: where to keep surface and paths; None keeps them in memory.
        name: of the surface within the archive.
        title: a line for figures.
        engine: how cells are computed.
        overwrite: replace another surface of that name.
        progress: as for `evaluate`.
        options: of `Objective`.

    Returns:
        A `Landscape` whose `paths` are the runs; ``plot(quantity=("loss", "accuracy"))`` draws both.

    Raises:
        InputError: fewer than two runs, runs of other models, or as `landscape`.
    """
    if not isinstance(runs, Mapping):
        raise InputTypeError("runs", type(runs).__name__, 'recordings by label, such as {"SGD": "sgd.zarr", "Adam": "adam.zarr"}')
    if len(runs) < 2:
        raise InputError(
            "runs", f"{len(runs)} run{'s' * (len(runs) != 1)}", "at least two", "Draw one with la.landscape(..., recording=run)"
        )
    trajectories = {str(label): as_trajectory(run, f"runs[{label!r}]").with_label(str(label)) for label, run in runs.items()}
    objective = objective_of(model, loss, data, options)
    plane = joint_pca_plane(list(trajectories.values()))
    store = as_archive(archive, repair=overwrite)
    measured = default_metrics(objective) if metrics is None else metrics
    arguments: dict[str, Any] = {"name": name, "title": title, "engine": engine, "overwrite": overwrite, "progress": progress}
    surface = evaluate(objective, plane, bounds, resolution, measured, store, **arguments)
    target = None if archive is None else store
    return Landscape(surface, objective, plane, projected_runs(trajectories, plane, objective, target, name, progress))
