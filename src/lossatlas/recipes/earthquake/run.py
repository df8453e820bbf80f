"""Run of the recipe: two clouds of points as in the article, digits, and networks along their own paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import xarray as xr

from lossatlas import schema
from lossatlas.analysis.sample_losses import SampleLossArray
from lossatlas.archive import Archive, open_archive
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.minibatch.batches import concatenate_batches
from lossatlas.compute.minibatch.gradient_noise import gradient_noise
from lossatlas.compute.objective.objective import Objective
from lossatlas.compute.planes.constructors import weight_plane
from lossatlas.errors import InputError
from lossatlas.recipes.common import make_output_folder, path_summary, print_line, surface_summary, with_figures_md, write_summary
from lossatlas.recipes.earthquake import animations as moving
from lossatlas.recipes.earthquake import figures as stills
from lossatlas.recipes.earthquake import problems as sceneries
from lossatlas.recipes.earthquake.animations import Frames
from lossatlas.recipes.earthquake.batch_landscape import Landscape, Training, path_of, pca_window, prepare_landscape, train_on_problem
from lossatlas.viz.web.bundle import MissingBundleError
from lossatlas.viz.web.html import export_html

SIZES = (10, 100)
"""The article's two batch sizes."""
LAW_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
FEWEST_BATCHES = 400
SUBSET = 250
START = (-14.0, -13.0)
CLIP = 20.0
"""Nats above which maps of training are cut, so that the basin shows."""
NETWORK_CLIP = 4.0
DIGITS_TITLE = "Logistic regression, handwritten threes against eights"
NEAR = ((-3.0, 3.0), (-1.5, 4.5))
"""Around the minimum, where error bars decide."""


@dataclass(frozen=True)
class RunSize:
    """Amount of computation, and length of the animations."""

    resolution: int
    network_resolution: int
    noise_resolution: int
    samples: int
    epochs: int
    frames: Frames
    training: Frames
    convolutions: bool


FULL = RunSize(51, 31, 41, 2000, 40, Frames(12, hold=3, blend=6, width=520), Frames(14, hold=4, blend=5, width=560), True)
QUICK = RunSize(31, 15, 21, 500, 20, Frames(5, hold=3, blend=5, width=520), Frames(8, hold=2, blend=3, width=560), False)

BLOBS = Training(steps=60, batch_size=10, learning_rate=4.0, start={"w": torch.tensor(START, dtype=torch.float64)})
MOMENTUM = replace(BLOBS, optimizer="momentum", learning_rate=BLOBS.learning_rate * 0.4, momentum=0.6)
"""The same length of step in the long run: the rate is divided by 1 / (1 - momentum)."""
DIGITS = Training(steps=14, batch_size=10, learning_rate=0.3)
NETWORK = Training(steps=14, batch_size=32, learning_rate=0.3)
FILTERS = Training(steps=14, batch_size=32, learning_rate=0.07, optimizer="momentum", momentum=0.8)


@with_figures_md
def run(
    out: Path,
    data: Path | None = None,
    quick: bool = False,
    *,
    loss: str = "exact",
    resolution: int | None = None,
    samples: int | None = None,
    progress: bool | None = None,
) -> dict[str, Any]:
    """Compute, draw and animate the earthquake.

    Args:
        out: folder for `archive.zarr`, figures, animations and `summary.json`.
        data: folder with MNIST; None is `LOSSATLAS_DATA`, the neighboring shared data or a download.
        quick: coarser surfaces and shorter animations, and no convolutional network.
        loss: "exact", or "clipped" as in the article, whose loss ends at 16.118.
        resolution: points along each axis of the clouds' surface.
        samples: images of the MNIST network.
        progress: show bars; None shows them on a terminal.
    """
    size = QUICK if quick else FULL
    if samples is not None and not NETWORK.batch_size <= samples <= 60_000:
        raise InputError("samples", samples, f"{NETWORK.batch_size} to 60,000 training images")
    size = replace(size, resolution=resolution or size.resolution, samples=samples or size.samples)
    torch.set_num_threads(1)
    networks = [_dense(data, size), *([_convolutional(data, size)] if size.convolutions else [])]
    archive = open_archive(make_output_folder(out) / "archive.zarr", "a")
    scenery = sceneries.blob_problem(loss)
    clouds = prepare_landscape(
        "clouds", scenery, BLOBS, train_on_problem(scenery.objective, BLOBS), size.resolution, archive, progress=progress
    )
    digits = _along_path("digits", sceneries.logistic(*sceneries.digit_data(), loss), DIGITS, DIGITS_TITLE, size, archive, progress)
    images = [_along_path(name, network, training, title, size, archive, progress) for name, network, training, title in networks]
    spreads = {b: _spread(clouds, b, size) for b in LAW_SIZES}
    _store_spread(archive, "clouds", spreads[SIZES[0]])
    faster = path_of(scenery, MOMENTUM, train_on_problem(scenery.objective, MOMENTUM)[1], "clouds")
    archive.write_trajectory("clouds-momentum", faster)
    _stills(out, clouds, faster, spreads, size, loss, archive, progress)
    landscapes = (clouds, digits, *images)
    frames = _animations(out, landscapes, faster, size)
    summary = write_summary(out, "earthquake", _numbers(landscapes, spreads, frames, size, loss, quick))
    _page(out, landscapes, size)
    return summary


def _dense(data: Path | None, size: RunSize) -> tuple[str, Objective, Training, str]:
    return "mnist", sceneries.mnist_objective(data, size.samples), NETWORK, f"784-32-10 network, {size.samples:,} MNIST images"


def _convolutional(data: Path | None, size: RunSize) -> tuple[str, Objective, Training, str]:
    network = sceneries.mnist_objective(data, size.samples, sceneries.convolutional_network)
    return "cnn", network, FILTERS, f"Convolutional network, {size.samples:,} MNIST images"


def _along_path(
    name: str, objective: Objective, training: Training, title: str, size: RunSize, archive: Archive, progress: bool | None
) -> Landscape:
    """Train first; the plane is that of the path."""
    done = train_on_problem(objective, training)
    scenery = pca_window(objective, done[1], title)
    return prepare_landscape(name, scenery, training, done, size.network_resolution, archive, dtype="float32", progress=progress)


def _stills(
    out: Path,
    clouds: Landscape,
    faster: xr.Dataset,
    spreads: dict[int, xr.Dataset],
    size: RunSize,
    loss: str,
    archive: Archive,
    progress: bool | None,
) -> None:
    """Every figure, each with a line of what to see."""
    stills.nine_samples(clouds, out / "nine_samples.png")
    print_line("nine_samples.png   Each sample's contours are straight; those of their mean are not.")
    x, y = (part.numpy() for part in concatenate_batches(clouds.scenery.objective.data))
    chosen = int(next(i for i in range(len(y)) if y[i] == 0 and abs(x[i]).min() > 0.4))
    stills.decomposition(clouds, x[chosen], float(y[chosen]), out / "decomposition.png")
    print_line("decomposition.png  Why: a plane plus a softplus, nearly piecewise linear.")
    stills.momentum(clouds, {"sgd": clouds.path, "momentum": faster}, out / "momentum.png")
    print_line("momentum.png       Momentum on the same batches: a calmer way down.")
    scenery = clouds.scenery
    gradients = gradient_noise(
        scenery.objective, scenery.plane, scenery.bounds, size.noise_resolution, batch_size=SIZES[0], epochs=size.epochs, progress=progress
    )
    stills.noise(clouds, spreads[SIZES[0]], gradients, SIZES[0], out / "noise.png")
    print_line("noise.png          Where batches disagree: spread, signal to noise, and how often a batch points uphill.")
    stills.law(spreads, scenery.title, clouds.losses.samples, out / "law.png")
    print_line("law.png            The spread over batches follows its law, finite data included.")
    _error_bars(out, clouds, size, loss, archive, progress)
    print_line("error_bars.png     What 250 random samples can tell, and what they leave open.")


def _error_bars(out: Path, clouds: Landscape, size: RunSize, loss: str, archive: Archive, progress: bool | None) -> None:
    """A random subset on the plane, and on a cut beside all of the data."""
    objective, population = clouds.scenery.objective, clouds.losses.samples
    part = sceneries.logistic(*sceneries.blobs(), loss, SUBSET)
    settings: dict[str, Any] = {"archive": archive, "overwrite": True, "progress": progress}
    evaluate(part, clouds.scenery.plane, NEAR, size.noise_resolution, ("loss", "sample_loss"), name="subset", **settings)
    surface = SampleLossArray.open(archive, "subset").store_differences(archive, "subset")
    line = weight_plane(objective, ("w", 1), labels=("W₂ at W₁ = 0",))
    lines = [
        (label, evaluate(of, line, (-6.0, 10.0), 33, name=f"cut-{of.samples}", **settings))
        for label, of in ((f"{SUBSET} samples", part), (f"all {population:,}", objective))
    ]
    stills.error_bars(surface, lines, SUBSET, population, out / "error_bars.png")


def _animations(out: Path, landscapes: Sequence[Landscape], faster: xr.Dataset, size: RunSize) -> dict[str, int]:
    clouds, digits, images, *filters = landscapes
    frames, steps = size.frames, size.training
    scenes = {
        "quake.gif": (moving.batch_surfaces_scene(clouds, SIZES[0], frames, "surface"), "The landscape shakes from batch to batch."),
        "quake_contour.gif": (moving.batch_surfaces_scene(clouds, SIZES[0], frames, "contour", CLIP), "The same from above."),
        "training.gif": (moving.training_scene(clouds, steps, clip=CLIP), "Step, change of batch, step: every arrow is a real update."),
        "momentum.gif": (moving.training_scene(clouds, steps, (faster,), clip=CLIP), "Plain SGD and momentum on the same batches."),
        "sizes.gif": (moving.sizes_scene(clouds, SIZES, frames), "Batches of 10 shake, batches of 100 tremble."),
        "digits.gif": (moving.training_scene(digits, steps), "The same on real digits, on the plane of the path."),
        "mnist.gif": (moving.training_scene(images, steps, clip=NETWORK_CLIP), "And for a network on MNIST."),
        "mnist_sizes.gif": (moving.sizes_scene(images, SIZES, frames, NETWORK_CLIP), "Its landscape for batches of 10 and 100."),
    }
    for one in filters:
        scenes["cnn.gif"] = moving.training_scene(one, steps, clip=NETWORK_CLIP), "The same for a convolutional network."
        scenes["cnn_sizes.gif"] = moving.sizes_scene(one, SIZES, frames, NETWORK_CLIP), "Its landscape for batches of 10 and 100."
    counts = {}
    for name, (scene, caption) in scenes.items():
        wide = frames.width * 3 // 2 if len(scene.panes) > 1 and scene.panes[1].column else frames.width
        counts[name] = moving.play(scene, out / name, wide)
        print_line(f"{name:<18} {caption}")
    return counts


def _spread(landscape: Landscape, batch_size: int, size: RunSize) -> xr.Dataset:
    """Over enough epochs for the measured spread to be known to a few percent."""
    epochs = max(size.epochs, -(-FEWEST_BATCHES * batch_size // landscape.losses.samples))
    return landscape.losses.batch_loss_std(batch_size, epochs=epochs, seed=7)


def _page(out: Path, landscapes: Sequence[Landscape], size: RunSize) -> None:
    """The interactive page: both batch sizes, and training on every landscape, in one file."""
    scenes = [moving.sizes_scene(landscapes[0], SIZES, size.frames), *(moving.relief_scene(one, size.training) for one in landscapes)]
    try:
        export_html(scenes, out / "index.html", title="Earthquakes in the landscape", view={"log": False})
    except MissingBundleError as error:
        print_line(f"No interactive page: {error}")
        return
    print_line("index.html         The same to rotate and play, in one file that needs no network.")


def _store_spread(archive: Archive, name: str, spread: xr.Dataset) -> None:
    for variable in ("batch_sd", "batch_sd_theory"):
        archive.write_variable(name, schema.variable(variable), spread[variable].values)


def _numbers(
    landscapes: Sequence[Landscape], spreads: dict[int, xr.Dataset], frames: dict[str, int], size: RunSize, loss: str, quick: bool
) -> dict[str, Any]:
    others = {one.name: {str(b): _spread(one, b, size).attrs["batch_sd_ratio"] for b in SIZES} for one in landscapes[1:]}
    return {
        "batch_sd_ratio": {str(b): spread.attrs["batch_sd_ratio"] for b, spread in spreads.items()},
        "batch_sd_ratio_others": others,
        "batches_measured": {str(b): spread.attrs["batches"] for b, spread in spreads.items()},
        "frames": frames,
        "surfaces": {one.name: surface_summary(one.surface) for one in landscapes},
        "paths": {one.name: path_summary(one.path, (0, 1, 10)) for one in landscapes},
        "loss": loss,
        "quick": quick,
    }
