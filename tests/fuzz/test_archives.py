"""Hostile archives: every reader draws them, or refuses them with one of our errors."""

from __future__ import annotations

import functools
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

import lossatlas as la
from fuzz.fuzzing import damaged, mutated_json, run_cases
from lossatlas import schema
from lossatlas.archive import open_archive
from lossatlas.formats import export_surface
from lossatlas.viz.compose.pages import scenes_of
from lossatlas.viz.summary import describe_archive
from lossatlas.viz.web.archive_feed import ArchiveFeed
from lossatlas.viz.web.html import page
from lossatlas.viz.web.payload import encode

pytestmark = pytest.mark.slow

NA, NB = 4, 5
PLANE = {"kind": "random", "origin": [0.0, 0.0], "axis_labels": ["x", "$y_1$"], "norms": [1.0, 2.0], "normalize": "filter", "seed": 0,
         "cosine": 0.1, "direction_hashes": ["a", "b"], "biases": False, "parameters": ["w"]}  # fmt: skip
SURFACE = {
    "kind": "surface", "title": "A title", "metrics": ["loss"], "plane": PLANE, "versions": {"torch": "2"}, "seconds": 1.5,
    "created": "2026-01-01T00:00:00+00:00", "lossatlas_version": "1", "machine": "Linux", "estimated_error": 0.01, "narrowest": 2,
    "estimated_errors": {"accuracy": 0.1}, "estimated_error_scale": "log",
    "objective": {"loss": "ce", "model": "M", "samples": 10, "population": 100, "mode": "eval", "dtype": "float32", "split": "train"},
    "barrier": {"loss": 1.0, "loss_at": 0.5, "error": 0.1, "error_at": 0.5},
    "interpolation": {"monotone": False, "largest_rise": 0.1, "rise_from": 0.1, "rise_to": 0.2},
    "curvature_report": {"line": "words", "caveat": "more"}, "imported": {"layout": "rows", "dir_file": "d"},
}  # fmt: skip
TRAJECTORY = {
    "kind": "trajectory", "label": "run", "surface": "s", "optimizer": "SGD", "learning_rate": 0.1, "ended": "closed",
    "gaps": [{"rows": 1, "before": 3}], "explained_variance_ratio": [0.9, 0.1], "random_walk_null": [0.6, 0.1],
    "joint_explained_variance_ratio": [0.9, 0.1], "joint_random_walk_null": [0.6, 0.1], "options": {"momentum": 0.9},
    "walk_correlation": [0.1, 0.2], "residual_norm": {"mean": 0.1, "largest": 0.2},
    "captured_share": 0.8, "layers": ["a", "b", "0"], "plane": {**PLANE, "kind": "pca"},
}  # fmt: skip


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A small archive with all that readers look into: a surface with an unfinished cell, and a path over it."""
    archive = open_archive(tmp_path / "whole.zarr", "a")
    axes = {"alpha": np.linspace(-1, 1, NA), "beta": np.linspace(-1, 1, NB)}
    loss = schema.variable("loss")
    archive.create_surface("s", axes, [loss, loss.with_error()], SURFACE)
    cells = np.arange(NA * NB - 1)
    archive.write_cells("s", cells, {"loss": 1.0 + cells % 7, "loss_standard_error": 0.1 + cells % 3})
    line = np.linspace(0, 1, 6)
    names = ("path_alpha", "path_beta", "path_loss", "path_residual", "batch_loss", "weight_norm", "learning_rate")
    run = xr.Dataset(
        {name: ("step", line + k) for k, name in enumerate(names)}, {"step": np.arange(6), "bin": np.linspace(-1, 1, 5)}, TRAJECTORY
    )
    run["layer_norm"] = (("step", "layer"), np.ones((6, 3)))
    run["weight_histogram"] = (("step", "bin"), np.ones((6, 5), np.int64))
    run["layer_histogram"] = (("step", "layer", "bin"), np.ones((6, 3, 5), np.int64))
    archive.write_trajectory("run", run)
    return tmp_path / "whole.zarr"


def draw(path: Path, folder: Path) -> None:
    la.plot(path, folder / "x.png", dpi=40)


def play(path: Path, folder: Path) -> None:
    la.animate(path, folder / "x.gif", frames=2, width=200)
    with Image.open(folder / "x.gif") as image:
        image.verify()


def record(path: Path, folder: Path) -> None:
    la.plot(path, folder / "x.png", dpi=40, kind="recording")


def put_on_a_page(path: Path, _: Path) -> None:
    scenes, _warnings = scenes_of(str(path))
    page(encode(scenes), scenes).encode("utf-8")


def tell(path: Path, _: Path) -> None:
    describe_archive(open_archive(path)).encode("utf-8")


def follow(path: Path, _: Path) -> None:
    feed = ArchiveFeed([open_archive(path)])
    feed.poll()
    feed.poll()


def export(suffix: str, path: Path, folder: Path) -> None:
    export_surface(open_archive(path).surface(), folder / f"x{suffix}")


QUICK: dict[str, Callable[[Path, Path], None]] = {
    "info": tell, "page": put_on_a_page, "live": follow,
    **{suffix: functools.partial(export, suffix) for suffix in (".csv", ".npz", ".h5", ".vtp", ".stl")},
}  # fmt: skip
SLOW: dict[str, Callable[[Path, Path], None]] = {"plot": draw, "recording": record, "animate": play}


def spoiled(whole: Path, target: Path, dice: random.Random) -> None:
    """A copy of the archive in which one file or two are not what they were."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(whole, target)
    files = sorted(file for file in target.rglob("*") if file.is_file() and not file.name.startswith(".lock"))
    described = [file for file in files if file.name == "zarr.json"]
    groups = [file for file in described if "node_type" in file.read_text() and '"group"' in file.read_text()]
    for _ in range(dice.choice([1, 1, 2])):
        file = dice.choice(dice.choice([files, described, groups, groups]))
        if not file.exists():
            continue
        if dice.random() < 0.05:
            file.unlink()
        elif file.name == "zarr.json":
            file.write_bytes(mutated_json(file.read_text("utf-8", "replace") if _is_json(file) else "{}", dice))
        else:
            file.write_bytes(damaged(file.read_bytes(), dice))


def _is_json(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_text()), dict)
    except (ValueError, RecursionError):
        return False


def use(verbs: dict[str, Callable[[Path, Path], None]], whole: Path, folder: Path) -> Callable[[random.Random], None]:
    def case(dice: random.Random) -> None:
        spoiled(whole, folder / "spoiled.zarr", dice)
        verb = dice.choice(list(verbs))
        try:
            verbs[verb](folder / "spoiled.zarr", folder)
        except BaseException as error:
            error.add_note(f"verb {verb}")
            raise

    return case


@pytest.mark.slow
def test_a_whole_archive_is_drawn(whole: Path, tmp_path: Path) -> None:
    for verb in (*QUICK.values(), record):
        verb(whole, tmp_path)


def test_spoiled_archives_are_read_or_refused(whole: Path, tmp_path: Path) -> None:
    counts = run_cases("archives", use(QUICK, whole, tmp_path), fewest=15)
    assert 0 < counts["refused"] < counts["cases"]


@pytest.mark.slow
def test_spoiled_archives_are_drawn_or_refused(whole: Path, tmp_path: Path) -> None:
    counts = run_cases("archives drawn", use(SLOW, whole, tmp_path), fewest=15)
    assert 0 < counts["refused"] < counts["cases"]
