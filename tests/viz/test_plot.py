from __future__ import annotations

import subprocess
import sys
from pathlib import Path as File

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from lossatlas.archive import Archive
from lossatlas.errors import ArchiveError, InputError
from lossatlas.viz.api import animate, plot
from lossatlas.viz.compose.compose import compose


def test_plot_draws_and_writes(archive: Archive, tmp_path: File) -> None:
    figure = plot(archive, tmp_path / "both.png", surfaces="n100", scale="log", clip=5.0, colormap="terrain", dpi=50)
    with Image.open(tmp_path / "both.png") as image:
        assert np.abs(np.array(image.size) - 50 * figure.get_size_inches()).max() <= 1


def test_plot_takes_a_dataset_a_path_and_a_scene(archive: Archive, dataset: xr.Dataset, tmp_path: File) -> None:
    assert len(plot(dataset, kind="contour").axes) == 2
    assert len(plot(compose(dataset, kind="contour")).axes) == 2
    with pytest.raises(ArchiveError, match="No archive"):
        plot(tmp_path / "nowhere.zarr")


def test_nothing_is_computed_before_the_file_name_is_known_to_be_good(archive: Archive) -> None:
    with pytest.raises(InputError, match="png"):
        plot(archive, "figure.jpeg", surfaces="no such surface")
    with pytest.raises(InputError, match="gif"):
        animate(archive, "figure.png", surfaces="no such surface")


@pytest.mark.slow
def test_animate_plays_the_paths_where_there_are_any(archive: Archive, tmp_path: File) -> None:
    path = animate(archive, tmp_path / "play.gif", surfaces="n100", frames=5, width=240)
    with Image.open(path) as gif:
        assert getattr(gif, "n_frames", 1) == 5


@pytest.mark.slow
def test_animate_turns_a_relief_without_paths(archive: Archive, tmp_path: File) -> None:
    path = animate(archive, tmp_path / "turn.gif", surfaces="n1000", frames=4, width=240, milliseconds=50)
    with Image.open(path) as gif:
        assert getattr(gif, "n_frames", 1) == 4
        assert gif.info["duration"] == 50


def test_animating_a_line_is_refused(dataset: xr.Dataset, tmp_path: File) -> None:
    with pytest.raises(InputError, match="moves"):
        animate(dataset.isel(beta=3, drop=True), tmp_path / "line.gif")


@pytest.mark.slow
def test_drawing_imports_neither_torch_nor_pyplot() -> None:
    """In a process of its own, from opening the module to an encoded figure."""
    program = """
import sys, numpy as np, xarray as xr
from lossatlas.viz.api import plot
from lossatlas.viz import animation
values = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("alpha", "beta"), coords={"alpha": [0, 1], "beta": [0, 1, 2]})
plot(xr.Dataset({"loss": values}))._repr_png_()
print(sorted(name for name in ("torch", "matplotlib.pyplot", "IPython") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
