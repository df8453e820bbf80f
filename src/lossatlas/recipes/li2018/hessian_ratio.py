"""Figure 7: ratio of the extreme Hessian eigenvalues over the plane."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from lossatlas._util.text import format_rough_percent
from lossatlas.analysis.surface_roughness import lowest_curvature
from lossatlas.compute.curvature import hessian_map
from lossatlas.compute.evaluation.evaluate import evaluate
from lossatlas.compute.planes.constructors import random_plane
from lossatlas.recipes.common import print_line
from lossatlas.recipes.li2018.claims import SMALL_RATIO
from lossatlas.recipes.li2018.config import RunConfig
from lossatlas.recipes.li2018.figures import planes as drawing
from lossatlas.recipes.li2018.loss_planes import PLANE_SEED
from lossatlas.recipes.li2018.networks import Net, net
from lossatlas.recipes.li2018.types import Panel

HESSIAN_BATCH = 32


def figure_7(setting: RunConfig) -> dict[str, Any]:
    """Hessian-ratio maps on the planes of figures 1 and 5, both eigenvalues kept."""
    panels = [_panel(setting, net(setting, name)) for name in setting.size.ratio_networks]
    drawing.ratio_maps(panels, setting.out / "figure7.png", setting)
    print_line("figure7.png    Where the plane looks convex the smallest eigenvalue is small against the largest.")
    return {"networks": {one.name: one.summary for one in panels}}


def _panel(setting: RunConfig, one: Net) -> Panel:
    size = setting.size
    objective = one.objective(setting, size.ratio_samples, batch=HESSIAN_BATCH)
    plane = random_plane(objective, seed=PLANE_SEED, normalize="filter")
    stored: dict[str, Any] = {
        "resolution": size.ratio_resolution,
        "archive": setting.archive,
        "title": one.label,
        "overwrite": True,
        "progress": setting.progress,
    }
    surface = hessian_map(objective, plane, name=f"curvature_{one.name}", **stored)
    loss = evaluate(objective, plane, name=f"curvature_loss_{one.name}", **stored)
    ratio = surface.hessian_ratio.values
    finite = ratio[np.isfinite(ratio)]
    center = surface.sel(alpha=0, beta=0, method="nearest")
    numbers = {
        "hessian_samples": size.ratio_samples,
        "ratio_median": float(np.median(finite)),
        "ratio_max": float(finite.max()),
        "share_above_0.1": float((finite > SMALL_RATIO).mean()),
        "share_convex": float((finite <= SMALL_RATIO).mean()),
        **_ratio_by_shape(ratio, loss),
        "center": {
            k: float(center[k]) for k in ("lambda_max", "lambda_min", "lambda_max_residual", "lambda_min_residual", "hessian_ratio")
        },
        "products_per_cell": float(surface.hessian_products.mean()),
    }
    share = f"ratio below {SMALL_RATIO:g} on {format_rough_percent(numbers['share_convex'])} of the plane"
    return Panel(one.name, f"{one.title}\n{share}", surface, one.summary() | numbers)


def _ratio_by_shape(ratio: np.ndarray, loss: xr.Dataset) -> dict[str, float | None]:
    """Median ratio over inner cells where the plane itself is convex, and over the others; None where there are none."""
    if min(loss.sizes.values()) < 3:
        return {"ratio_where_plane_is_convex": None, "ratio_elsewhere": None}
    convex, inner = lowest_curvature(loss) >= 0, ratio[1:-1, 1:-1]
    parts = {"ratio_where_plane_is_convex": inner[convex], "ratio_elsewhere": inner[~convex]}
    return {name: float(np.nanmedian(values)) if np.isfinite(values).any() else None for name, values in parts.items()}
