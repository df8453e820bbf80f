"""Figures 1, 4, 5 and 6: filter-normalized planes of networks with and without shortcuts, of other depths and widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from lossatlas.analysis.surface_roughness import roughness
from lossatlas.compute.curvature.report import CAVEAT, CurvatureReport, curvature_report
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.formats import import_surface
from lossatlas.recipes.common import print_line
from lossatlas.recipes.li2018.claims import IMPORTED
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures import planes as drawing
from lossatlas.recipes.li2018.networks import Net, architecture_label, net
from lossatlas.recipes.li2018.trainings import (
    depth_networks,
    imported_surface,
    relief_networks,
    rough_and_smooth_networks,
    width_networks,
)
from lossatlas.recipes.li2018.types import Panel

PLANE_SEED = 1
BASIN_FLOOR = 0.1
PROBES = 12


def figure_1(setting: RunConfig) -> dict[str, Any]:
    """A network without and with shortcuts in relief, and how rough each is over several random planes."""
    nets = [net(setting, name) for name in relief_networks(setting)]
    panels = [own_panel(setting, one) for one in nets]
    reports = {one.name: _report(setting, one) for one in nets}
    report_lines = tuple(f"{one.label}: {reports[one.name].line}" for one in nets)
    title = f"The loss surfaces of {nets[1].label} without and with shortcuts"
    drawing.reliefs(panels, setting.out / "figure1.png", title, setting, (*report_lines, CAVEAT))
    numbers = {one.name: rough_over_seeds(setting, one) for one in nets}
    drawing.roughness_points(numbers, {one.name: one for one in nets}, setting.out / "figure1_numbers.png", setting)
    print_line(f"figure1.png    {nets[1].label} without and with shortcuts: negative curvature near the center, basins, height of the rim.")
    return {"networks": _summaries(panels), "roughness": numbers, "curvature": {n: r.as_dict() for n, r in reports.items()}}


def figure_4(setting: RunConfig) -> dict[str, Any]:
    """Networks without shortcuts and DenseNet-121 in relief."""
    panels = [panel(setting, name) for name in rough_and_smooth_networks(setting)]
    *first, last = (one.title.split("\n")[0] for one in panels)
    title = " and ".join(part for part in (", ".join(first), last) if part)
    drawing.reliefs(panels, setting.out / "figure4.png", title, setting)
    print_line(f"figure4.png    {title}.")
    return {"networks": _summaries(panels)}


def figure_5(setting: RunConfig) -> dict[str, Any]:
    """Contours by depth, with shortcuts above and without below."""
    panels = [panel(setting, name) for name in depth_networks(setting)]
    drawing.maps(panels, len(panels) // 2, setting.out / "figure5.png", "Depth: with shortcuts (top) and without (bottom)", setting)
    print_line("figure5.png    Deeper networks without shortcuts turn chaotic; with them they do not.")
    return {"networks": _summaries(panels)}


def figure_6(setting: RunConfig) -> dict[str, Any]:
    """Contours by width, with shortcuts above and without below."""
    panels = [own_panel(setting, net(setting, name)) for name in width_networks(setting)]
    drawing.maps(panels, len(setting.size.widths), setting.out / "figure6.png", "Width: with shortcuts (top) and without (bottom)", setting)
    print_line("figure6.png    The paper finds wider networks flatter and rounder; networks hardly trained need not show it.")
    return {"networks": _summaries(panels)}


def panel(setting: RunConfig, name: str) -> Panel:
    """The plane of trained weights, or an imported surface where a run that is not full has no weights."""
    if file := imported_surface(setting, name):
        return imported_panel(name, file)
    return own_panel(setting, net(setting, name))


def own_panel(setting: RunConfig, one: Net, seed: int = PLANE_SEED) -> Panel:
    """A filter-normalized random plane of a network at hand, named ``NAME`` in the archive."""
    size = setting.size
    surface = plane_surface(setting, one, seed, size.resolution, one.name, size.samples, size.tol)
    whole = surface if size.tol is None else rough_surface(setting, one, seed)
    return Panel(one.name, one.title, surface, one.summary() | {"center_loss": float(surface.loss.min()), "shape": shape_numbers(whole)})


def rough_surface(setting: RunConfig, one: Net, seed: int) -> xr.Dataset:
    """A plane of which every cell is computed from the same images, as measures of roughness need it."""
    size = setting.size
    return plane_surface(setting, one, seed, size.seed_resolution, f"{one.name}_seed{seed}", size.rough_samples or size.fixed_samples, None)


def shape_numbers(surface: xr.Dataset) -> dict[str, Any]:
    """Roughness of a plane, and the share of its cells within a nat of the center."""
    near = np.abs(surface.loss - surface.loss.sel(alpha=0, beta=0, method="nearest")) <= 1.0
    rough = roughness(surface, BASIN_FLOOR).as_dict() if min(surface.sizes.values()) >= 3 else {}
    return {"resolution": surface.sizes["alpha"], "near_share": float(near.mean()), **rough}


def plane_surface(setting: RunConfig, one: Net, seed: int, resolution: int, name: str, samples: int, tol: float | None) -> xr.Dataset:
    objective = one.objective(setting, samples)
    return evaluate(
        objective,
        random_plane(objective, seed=seed, normalize="filter"),
        resolution=resolution,
        tol=tol,
        tol_scale="log",
        archive=setting.archive,
        name=name,
        title=one.label,
        overwrite=True,
        progress=setting.progress,
    )


def _report(setting: RunConfig, one: Net) -> CurvatureReport:
    """Curvature at the model, of the parameters that the plane moves; kept with the stored surface."""
    objective = one.objective(setting, setting.size.ratio_samples, batch=32)
    report = curvature_report(objective, tol=0.1, probes=PROBES)
    report.attach(setting.archive, one.name)
    return report


def imported_panel(name: str, file: Any) -> Panel:
    """Somebody else's surface, said to be one; its weights are not at hand."""
    surface = import_surface(file)
    label = architecture_label(name)
    surface.attrs["title"] = label
    summary = {"source": IMPORTED, "test_accuracy": None, "test_loss": None, "center_loss": float(surface.loss.min())}
    summary["shape"] = shape_numbers(surface)
    return Panel(name, f"{label}\nimported surface, weights not at hand", surface, summary)


def rough_over_seeds(setting: RunConfig, one: Net) -> dict[str, Any]:
    """Roughness over several random planes, and its mean."""
    first = PLANE_SEED if setting.size.tol is not None else PLANE_SEED + 1  # a sampled panel has a rough surface of its seed already
    seeds = range(first, first + setting.size.seeds)
    roughness_values = [roughness(rough_surface(setting, one, seed), BASIN_FLOOR).as_dict() for seed in seeds]
    keys = ("negative_share", "negative_share_center", "basins", "rim_median", "rim_max")
    return {
        "floor": BASIN_FLOOR,
        "resolution": setting.size.seed_resolution,
        "planes": roughness_values,
        "mean": {k: float(np.mean([f[k] for f in roughness_values])) for k in keys},
    }


def _summaries(panels: Sequence[Panel]) -> dict[str, Any]:
    return {one.name: one.summary for one in panels}
