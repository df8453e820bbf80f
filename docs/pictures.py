"""Draws the pictures of README and the guides anew, into docs/images.

    python docs/pictures.py gallery                      # README's thumbnails, from the scripts of examples/gallery
    python docs/pictures.py sources out                  # of the sources' pages, from out/tutorial, out/spirals, …
    python docs/pictures.py hero NOSHORT.zarr SHORT.zarr # ResNet-56 without and with shortcuts, a surface in each archive

Recipes write into `out`: ``lossatlas run spirals --out out/spirals``. Pictures are kept small: 256 colors, and no wider than a page.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xarray as xr
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import lossatlas as la
from lossatlas.viz.api import drawing
from lossatlas.viz.compose.camera import choose_camera
from lossatlas.viz.compose.from_datasets import surface_from
from lossatlas.viz.scene.model import Camera, ColorScale, Pane, PaneKind, Scene

IMAGES = Path(__file__).parent / "images"
GALLERY = Path(__file__).parents[1] / "examples" / "gallery"
THUMBNAIL_PIXELS, PICTURE_PIXELS, HERO_PIXELS = 560, 1400, 1320


@dataclass(frozen=True)
class Thumbnail:
    """A figure of a gallery script, drawn small.

    Attributes:
        script: below examples/gallery; `figure`: stem of the file that it writes.
        kind: draw the first pane alone, as a "contour" or a "surface"; None draws the first four, two a row.
        inches: width of the figure, which the letters are measured in.
    """

    script: str
    figure: str
    kind: PaneKind | None = "contour"
    inches: float = 3.25


THUMBNAILS = {
    "gallery_race": Thumbnail("1_functions/plot_2_himmelblau.py", "himmelblau"),
    "gallery_landscape": Thumbnail("2_networks/plot_0_one_call.py", "landscape", "surface"),
    "gallery_path": Thumbnail("3_trainings/plot_1_path.py", "path"),
    "gallery_minima": Thumbnail("4_minima/plot_3_bent_road.py", "bent_road"),
    "gallery_curvature": Thumbnail("5_curvature/plot_1_hessian_plane.py", "hessian_plane", "surface"),
    "gallery_batches": Thumbnail("6_batches/plot_1_batches.py", "batches", None, 4.6),
}
SOURCES = {
    "source_tutorial.png": "tutorial/figure3.png",
    "source_tutorial_seeds.png": "tutorial/figure8.png",
    "source_spirals.png": "spirals/overview.png",
    "source_optimizers.png": "spirals/optimizers.png",
    "source_earthquake.png": "earthquake/nine_samples.png",
    "source_earthquake_sizes.png": "earthquake/sizes-still.png",
    "source_li2018_trainings.png": "li2018/trainings.png",
    "source_li2018_between.png": "li2018/figure2.png",
    "source_li2018_minima.png": "li2018/figure3.png",
    "source_li2018_depth.png": "li2018/figure5.png",
    "source_li2018_ratio.png": "li2018/figure7.png",
    "source_li2018_paths.png": "li2018/figure9.png",
    "source_compare.png": "compare/reliefs.png",
    "tutorial.gif": "tutorial/animation1.gif",
}


def draw_thumbnail(name: str) -> Path:
    """Run a gallery script and draw one of its figures small, without a caption."""
    thumbnail = THUMBNAILS[name]
    with tempfile.TemporaryDirectory() as folder, scenes_written() as scenes:
        before = Path.cwd()
        os.chdir(folder)
        try:
            runpy.run_path(str(GALLERY / thumbnail.script))
        finally:
            os.chdir(before)
    scene = scenes[thumbnail.figure]
    scene = two_by_two(scene) if thumbnail.kind is None else alone(scene, thumbnail.kind)
    figure = drawing.figure(scene.replace(title="", subtitle=""), width=thumbnail.inches, caption="none")
    return shrink_figure(figure, IMAGES / f"{name}.png", THUMBNAIL_PIXELS / thumbnail.inches)


@contextmanager
def scenes_written() -> Iterator[dict[str, Scene]]:
    """Scenes of the figures that are drawn meanwhile, by the stems of their files; nothing is written."""
    scenes: dict[str, Scene] = {}
    figure, save, view = drawing.figure, drawing.save, la.view
    drawing.figure = lambda scene, **_: scene
    drawing.save = lambda scene, file, **_: scenes.update({Path(file).stem: scene})
    la.view = lambda *_, **__: None
    try:
        yield scenes
    finally:
        drawing.figure, drawing.save, la.view = figure, save, view


def alone(scene: Scene, kind: PaneKind) -> Scene:
    """The first pane of a scene, as a map or as a relief."""
    first = scene.panes[0]
    camera = choose_camera([scene.surface(first.surfaces[0])], scene.color_of(first)) if kind == "surface" else first.camera
    pane = replace(first, kind=kind, title="", row=0, column=0, row_span=1, column_span=1, camera=camera)
    return scene.replace(panes=(pane,))


def two_by_two(scene: Scene) -> Scene:
    """The first four panes of a scene."""
    return scene.replace(panes=tuple(replace(pane, row=i // 2, column=i % 2) for i, pane in enumerate(scene.panes[:4])))


def draw_hero(archives: tuple[str, str], errors: tuple[str, str], highest: float) -> Path:
    """Both ResNet-56 of Li et al. in relief on one linear scale, cut off at `highest` nats."""
    datasets = [only_surface(archive) for archive in archives]
    labels = ("ResNet-56 without shortcuts", "ResNet-56 with shortcuts")
    surfaces = [
        replace(surface_from(dataset, name=label, label=label), notes=(), cautions=())
        for dataset, label in zip(datasets, labels, strict=True)
    ]
    color = ColorScale(levels=25, low=0.0, high=highest)
    panes = tuple(
        Pane("surface", (s.name,), title=f"{s.label}\ntest error {error}", column=i, camera=Camera(36, 120), marks=False)
        for i, (s, error) in enumerate(zip(surfaces, errors, strict=True))
    )
    scene = Scene(panes, tuple(surfaces), colors=(color,), summary=hero_caption(datasets, highest))
    file = IMAGES / "shortcuts.png"
    drawing.save(drawing.figure(scene, width="page", bare=True), file, dpi=HERO_PIXELS / 6.75)
    return drop_opacity(file)


def drop_opacity(file: Path) -> Path:
    """A PNG without its channel of opacity, a quarter smaller; all that is known of the figure stays in it."""
    with Image.open(file) as image:
        known = PngInfo()
        for key, text in image.text.items():  # pyright: ignore[reportAttributeAccessIssue]
            known.add_itxt(key, text)
        image.convert("RGB").save(file, optimize=True, pnginfo=known)
    return file


def hero_caption(datasets: list[xr.Dataset], highest: float) -> str:
    """What is drawn, from how many images, and how exactly."""
    samples = sorted({int(dataset.attrs["objective"]["samples"]) for dataset in datasets})
    error = max(largest_error(dataset, highest) for dataset in datasets)
    sides = " x ".join(str(datasets[0].sizes[name]) for name in ("alpha", "beta"))
    return (
        f"Cross-entropy from 0 (blue) to {highest:g} nats on random, filter-normalized planes of {sides} cells, estimated from "
        f"{' and '.join(f'{n:,}' for n in samples)} training images; standard error of a cell at most {error:.2g} nats"
    )


def largest_error(dataset: xr.Dataset, highest: float) -> float:
    """Largest standard error among the cells that are not cut off, in nats."""
    name = "loss_filled" if "loss_filled" in dataset else "loss"
    return float(dataset[f"{name}_standard_error"].where(dataset[name] <= highest).max())


def only_surface(archive: str) -> xr.Dataset:
    opened = la.open_archive(archive)
    (name,) = opened.surfaces
    return opened.surface(name)


def shrink_figure(figure: Any, file: Path, dpi: float) -> Path:
    figure.savefig(file, dpi=dpi)
    return shrink(file, file)


def shrink(source: Path, file: Path) -> Path:
    """A picture of 256 colors, no wider than a page; of an animation every other frame."""
    with Image.open(source) as image:
        frames = [_frame(image, i) for i in range(0, getattr(image, "n_frames", 1), 2)]
        options: dict[str, Any] = {"optimize": True}
        if len(frames) > 1:
            options |= {"save_all": True, "append_images": frames[1:], "duration": image.info.get("duration", 80), "loop": 0}
    frames[0].save(file, **options)
    return file


def _frame(image: Image.Image, index: int) -> Image.Image:
    image.seek(index)
    whole = image.convert("RGB")
    share = min(1.0, PICTURE_PIXELS / whole.width)
    size = (round(share * whole.width), round(share * whole.height))
    small = whole.resize(size, Image.Resampling.LANCZOS).quantize(256, dither=Image.Dither.NONE)
    small.info.clear()
    return small


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("gallery").add_argument("names", nargs="*", choices=[[], *THUMBNAILS])
    commands.add_parser("sources").add_argument("out", type=Path)
    hero = commands.add_parser("hero")
    hero.add_argument("archives", nargs=2)
    hero.add_argument("--errors", nargs=2, default=("12.9 %", "6.3 %"), help="test errors of both networks")
    hero.add_argument("--highest", type=float, default=18.0, help="nats at which the reliefs are cut off")
    chosen = parser.parse_args(arguments)
    if chosen.command == "gallery":
        files = [draw_thumbnail(name) for name in chosen.names or THUMBNAILS]
    elif chosen.command == "sources":
        files = [shrink(chosen.out / source, IMAGES / name) for name, source in SOURCES.items() if (chosen.out / source).is_file()]
    else:
        files = [draw_hero(tuple(chosen.archives), tuple(chosen.errors), chosen.highest)]
    for file in files:
        print(f"{file.stat().st_size / 1000:6.0f} kB  {file.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
