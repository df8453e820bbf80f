"""Beside its figures each recipe leaves all that is known of them."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossatlas.recipes import RECIPES
from lossatlas.recipes.common import with_figures_md
from lossatlas.viz.api import plot
from lossatlas.viz.metadata.record import figure_metadata
from lossatlas.viz.scene.model import Curve, Pane, Scene


def drawn(out: Path, name: str, *notes: str) -> Scene:
    scene = Scene((Pane("curves", curves=("y",)),), curves=(Curve("y", np.arange(3.0), np.arange(3.0)),), title=name, notes=notes)
    plot(scene, out / f"{name}.png", dpi=20)
    return scene


def test_a_run_lists_every_figure_with_its_notes(tmp_path: Path) -> None:
    @with_figures_md
    def run(out: Path, more: int = 1) -> int:
        drawn(out, "b", "second note")
        drawn(out, "a", "one note", "CAUTION: not to scale")
        Image.new("RGB", (3, 2)).save(out / "foreign.png")
        (out / "b.png").with_name("b-still.png").write_bytes((out / "b.png").read_bytes())
        return more

    assert run(tmp_path, more=3) == 3
    version = figure_metadata(Scene(())).version
    assert (
        (tmp_path / "figures.md").read_text()
        == f"""\
# Figures

## a.png: a

![a](a.png)

- one note
- CAUTION: not to scale
- drawn by lossatlas {version}

## b.png: b

![b](b.png)

- second note
- drawn by lossatlas {version}
"""
    )


@pytest.mark.parametrize("name", [*RECIPES, "demo"])
def test_every_recipe_leaves_it(name: str) -> None:
    run = importlib.import_module(f"lossatlas.recipes.{name}").run
    assert hasattr(run, "__wrapped__"), "decorated with with_figures_md"
    assert list(inspect.signature(run).parameters)[:3] == ["out", "data", "quick"]
