"""What a notebook and a terminal show of an object: a line, a small table, a picture; never tensors."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import lossatlas as la

X = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Linear(3, 2)


def objects(folder: Path) -> dict[str, tuple[Any, str, tuple[str, ...]]]:
    """By name: the object, its line, and what its table tells."""
    objective = la.Objective(net(), F.cross_entropy, (X, Y), split="train")
    points = [{"weight": torch.ones(2, 3) * k, "bias": torch.tensor([0.0, 1.0]) * k * k} for k in range(4)]
    archive = la.open_archive(folder / "a.zarr", "a")
    run = la.Trajectory.from_checkpoints(points, archive=archive, label="SGD")
    return {
        "plane": (
            la.random_plane(net()),
            "<Plane of kind 'random': axes α and β, window -1 to 1 x -1 to 1, moves 6 of 8 weights>",
            ("random", "6 of 8 weights"),
        ),
        "line": (la.random_plane(net(), ndim=1), "<Plane of kind 'random': axes α, window -1 to 1, moves 6 of 8 weights>", ("Line",)),
        "path": (la.pca_plane(run), None, ("the start of the run, the end of the run",)),
        "objective": (
            objective,
            "<Objective: cross_entropy of Linear on 20 samples (train), 8 parameters, mode auto>",
            ("20 samples (train)", "cpu"),
        ),
        "trajectory": (run, f"<Trajectory 'SGD': 4 rows, steps 0 to 3, 8 weights a row, in {folder / 'a.zarr'}>", ("8 weights a row",)),
        "archive": (archive, f"<Archive {folder / 'a.zarr'}: surfaces none; trajectories run>", ("run",)),
    }


@pytest.mark.parametrize("name", ["plane", "line", "path", "objective", "trajectory", "archive"])
def test_objects_say_what_they_are_in_a_line_and_in_a_table(name: str, tmp_path: Path) -> None:
    thing, line, told = objects(tmp_path)[name]
    assert line is None or repr(thing) == line
    assert len(repr(thing)) < 300 and "tensor" not in repr(thing) and "\n" not in repr(thing)
    page = thing._repr_html_()
    assert page.count("<tr>") >= 2 and all(text in page for text in told) and "tensor" not in page


@pytest.mark.slow
def test_a_saved_notebook_holds_a_picture_of_the_widget() -> None:
    pytest.importorskip("anywidget")
    from lossatlas.viz.web.widget import widget

    objective = la.Objective(net(), F.cross_entropy, (X, Y))
    surface = la.evaluate(objective, la.random_plane(objective), resolution=3, progress=False)
    data, _ = widget(surface)._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in data
