"""`docs/format.md` names every attribute that the package writes: each writer runs once and its attributes are looked up."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.archive.checks import ATTRIBUTES

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
GENERATOR = torch.Generator().manual_seed(0)
X, Y = torch.randn(24, 3, generator=GENERATOR), torch.arange(24) % 2

Collection = list[Mapping[str, Any]]


def rows_of_the_page() -> dict[str, str]:
    """Each key named in the first column of a table, with the rest of its rows."""
    rows: dict[str, str] = {}
    for line in PAGE.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            for name in re.findall(r"`([^`]+)`", cells[0]):
                rows[name] = " | ".join([rows.get(name, ""), *cells[1:]])
    return rows


ROWS = rows_of_the_page()
DESCRIBED_LIKE = {"test_objective": "objective", "sharpness_objective": "objective", "curve": "plane"}
"""Attributes with the same keys as another one; the page says so in their rows."""
DATA_KEYS = {"versions", "holes", "options", "estimated_errors", "plane.one_dimensional", "plane.filter_axes", "identity"}
"""Objects whose keys are data, or are listed in prose: names of layers, of cells, of packages."""


def missing_from_the_page(attrs: Mapping[str, Any]) -> Iterator[str]:
    """Keys without a row. An object's keys have rows of their own, ``parent.key``, or stand in backticks in the row of their parent."""
    for key, value in attrs.items():
        parent = DESCRIBED_LIKE.get(key, key)
        children = value.keys() if isinstance(value, Mapping) and value else ()
        if key not in ROWS and not any(name.startswith(f"{parent}.") for name in ROWS):
            yield key
        elif key not in DATA_KEYS:
            for child in children:
                if f"{parent}.{child}" not in ROWS and f"`{child}`" not in ROWS.get(key, ""):
                    yield f"{key}.{child}"


# -- writers: each returns the attributes of everything it stored or gave back --------------------------------------


def network(seed: int = 0, batchnorm: bool = False) -> nn.Module:
    torch.manual_seed(seed)
    middle: list[nn.Module] = [nn.BatchNorm1d(4)] if batchnorm else []
    return nn.Sequential(nn.Linear(3, 4), *middle, nn.Tanh(), nn.Linear(4, 2))


def objective(model: nn.Module | None = None) -> la.Objective:
    return la.Objective(model or network(), F.cross_entropy, (X, Y), batch_size=8, split="train")


def random_surfaces(folder: Path) -> Collection:
    measured = objective()
    early = la.evaluate(
        measured, la.random_plane(measured), resolution=(9, 7), metrics=("loss", "accuracy"), tol=0.5, engine=la.Engine(evaluator="loop")
    )
    subset = la.Objective(network(), F.cross_entropy, la.random_subset((X, Y), 12), mode="eval").with_precision("bf16")
    line = la.evaluate(
        subset, la.random_plane(subset, ndim=1, params="0.*", normalize="layer"), resolution=3, engine=la.Engine(evaluator="loop")
    )
    return [early.attrs, line.attrs]


def failing_surface(folder: Path) -> Collection:
    def loss(params: Mapping[str, Tensor], _: Any) -> Tensor:
        if bool(params["w"][0] > 0.5):
            raise RuntimeError("beyond the domain")
        return params["w"].square().sum()

    measured = la.Objective(loss, params={"w": torch.zeros(2)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        surface = la.evaluate(
            measured, la.weight_plane(measured, ("w", 0), ("w", 1)), resolution=(3, 5), engine=la.Engine(evaluator="loop"), retries=0
        )
    assert surface.attrs["holes"]
    return [surface.attrs]


def planes(folder: Path) -> Collection:
    measured, models = objective(), [network(seed) for seed in range(3)]
    center = measured.params
    return [
        {"plane": plane.describe()}
        for plane in (
            la.random_plane(measured, ndim=1),
            la.weight_plane(measured, ("0.weight", (0, 0))),
            la.plane_through(*models),
            la.Plane.from_directions(center, {name: torch.ones_like(value) for name, value in center.items()}),
            la.hessian_plane(measured, tol=0.1),
            la.start_end_plane(la.Trajectory.from_checkpoints(models)),
            la.pca_plane(la.Trajectory.from_checkpoints(models)),
            la.joint_pca_plane([la.Trajectory.from_checkpoints(models[:2]), la.Trajectory.from_checkpoints([models[0], models[2]])]),
            la.curve_plane(la.Curve.bezier(*models)),
        )
    ]


def plane_of_models(folder: Path) -> Collection:
    first, second = network(1, batchnorm=True), network(2, batchnorm=True)
    for model in (first, second):
        model.train()(X + 1)
        model.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        surface = la.evaluate(objective(first).with_mode("eval"), la.plane_through(first, second), resolution=3)
    assert surface.attrs["models"]
    return [surface.attrs]


def lines_between_models(folder: Path) -> Collection:
    first, second, measured = network(1), network(2), objective()
    curve = la.Curve.polygonal(first, second)
    archive = la.open_archive(folder / "lines.zarr", "a")
    la.evaluate_curve(measured, curve, 3, archive=archive)
    through = la.plane_through(first, second)
    return [
        la.interpolate(measured, first, second, resolution=3).attrs,
        la.barrier(measured, first, second, resolution=3, metrics=("loss", "accuracy")).attrs,
        archive.surface("curve").attrs,
        la.project_curve(measured, la.Curve.bezier(first, network(3), second), through, 3).attrs,
    ]


def recordings(folder: Path) -> Collection:
    model, archive = network(batchnorm=True), la.open_archive(folder / "run.zarr", "a")
    measured = objective(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    with la.Recorder(archive, model, optimizer, every=1, objective=measured, test_objective=measured, sharpness=True) as recorder:
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(X), Y).backward()
            optimizer.step()
            recorder.step()
    run = la.Trajectory.open(archive)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = la.project_trajectory(run, la.pca_plane(run), measured, archive)
        frozen = la.plane_through(*(checkpoint(run, row) for row in (0, -1)))
        others = [la.project_trajectory(run, frozen, measured), la.project_trajectory(run, la.joint_pca_plane([run, run]))]
    stored = archive.trajectory("run")
    assert stored.attrs["projection"]
    weights = run.store.group["weights"].attrs
    return [
        path.attrs,
        *(other.attrs for other in others),
        stored.attrs,
        dict(weights),
        la.Trajectory.from_checkpoints([network(1), network(2)]).store.attrs,
    ]


def checkpoint(run: la.Trajectory, row: int) -> nn.Module:
    model = network(batchnorm=True)
    model.load_state_dict(run.state(row))
    return model.eval()


def in_plane_paths(folder: Path) -> Collection:
    measured, archive = objective(), la.open_archive(folder / "paths.zarr", "a")
    plane = la.weight_plane(measured, ("2.weight", (0, 0)), ("2.weight", (1, 1)))
    la.optimize_on_plane(measured, plane, (0.5, 0.5), learning_rate=0.1, steps=2, archive=archive, momentum=0.5)
    iterates = la.train_on_batches(measured, la.shuffled_batches(24, 8, epochs=1), learning_rate=0.1)
    batches = la.trajectory_from_iterates(measured, plane, iterates, batch_size=8, learning_rate=0.1)
    noise = la.gradient_noise(measured, plane, resolution=(3, 2), batch_size=8)
    return [archive.trajectory("descent").attrs, batches.attrs, noise.attrs]


def curvature(folder: Path) -> Collection:
    measured, archive = objective(), la.open_archive(folder / "curvature.zarr", "a")
    plane = la.random_plane(measured)
    la.hessian_map(measured, plane, resolution=(3, 2), archive=archive, probes=3, tol=0.5)
    la.evaluate(measured, plane, resolution=(3, 2), archive=archive)
    la.curvature_report(measured, plane, tol=0.5, probes=3).attach(archive, "surface")
    return [archive.surface("curvature").attrs, archive.surface("surface").attrs]


def losses_of_samples(folder: Path) -> Collection:
    measured, archive = objective(), la.open_archive(folder / "samples.zarr", "a")
    la.evaluate(measured, la.random_plane(measured), resolution=(3, 2), metrics=("loss", "sample_loss"), archive=archive)
    losses = la.SampleLossArray.open(archive, "surface")
    batch = la.shuffled_batches(24, 8, epochs=1)[0]
    return [losses.batch_loss_std(8, epochs=2).attrs, losses.batch_surface(batch).attrs, losses.store_differences(archive).attrs]


def foreign_files(folder: Path) -> Collection:
    measured = objective()
    surface = la.evaluate(measured, la.random_plane(measured), resolution=(5, 3), metrics=("loss", "accuracy"))
    archive, attrs = la.open_archive(folder / "imports.zarr", "a"), []
    for ending in ("csv", "npz", "vtp", "h5"):
        file = folder / f"surface.{ending}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            la.export_surface(surface, file)
            archive.write_surface(ending, la.import_surface(file))
        attrs.append(archive.surface(ending).attrs)
    return attrs


def foreign_path(folder: Path) -> Collection:
    from lossatlas.formats.li_directions import read_projection, write_projection

    path = xr.Dataset({name: ("step", np.arange(3.0)) for name in ("path_alpha", "path_beta")})
    return [read_projection(write_projection(path, folder / "run_proj_cos.h5")).attrs]


WRITERS: tuple[Callable[[Path], Collection], ...] = (
    random_surfaces,
    failing_surface,
    planes,
    plane_of_models,
    lines_between_models,
    recordings,
    in_plane_paths,
    curvature,
    losses_of_samples,
    foreign_files,
    foreign_path,
)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_every_attribute_written_is_on_the_page(writer: Callable[[Path], Collection], tmp_path: Path) -> None:
    missing = {key for attrs in writer(tmp_path) for key in missing_from_the_page(attrs)}
    assert not sorted(missing)


def test_every_attribute_that_readers_check_is_on_the_page() -> None:
    missing = []
    of_arrays = {"units", "long_name"}
    for path in ATTRIBUTES.keys() - of_arrays:
        key, _, child = path.partition(".")
        child = child.removeprefix("[].")
        named = f"{DESCRIBED_LIKE.get(key, key)}.{child}" in ROWS or f'"{child}"' in ROWS.get(key, "") or f"`{child}`" in ROWS.get(key, "")
        if not (named if child else key in ROWS or any(name.startswith(f"{key}.") for name in ROWS)):
            missing.append(path)
    assert not missing
