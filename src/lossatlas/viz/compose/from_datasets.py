"""Surfaces and paths of a scene from Datasets, whatever attributes they lack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from lossatlas import schema
from lossatlas._util.text import format_percent, format_rough_percent
from lossatlas.errors import InputError
from lossatlas.viz.scene.cautions import Caution, Severity
from lossatlas.viz.scene.metric_text import better_arrow, data_of_metric
from lossatlas.viz.scene.model import DecisionRegions, Field, FloatArray, HatchedCells, PathData, Surface
from lossatlas.viz.scene.names import optimizer_name
from lossatlas.viz.scene.provenance_text import (
    CAUTION,
    end_caution,
    error_cautions,
    general_notes,
    models_of,
    origin_caution,
    origin_model_label,
    path_cautions,
    provenance_of,
    quantity_notes,
    surface_cautions,
)
from lossatlas.viz.scene.uncertainty import cells_beyond_tolerance, is_minimum_located

LEAST_SHARE_FOR_STEMS = 0.5
VISIBLE_FACTOR = 1.25
"""Between an iterate's own loss and the surface below it; less is hardly seen on a figure."""
UNNAMED = ("run", "path", "trajectory")
"""Labels that recordings get where nobody gave one."""
FAR_OFF_PLANE = 0.1
"""Distance from the plane, as a share of the way, from which the loss of an iterate and the surface below it part visibly."""
_ERROR = "_standard_error"
_FILLED = "_filled"
"""What coarse-to-fine evaluation interpolates between the cells it computed; drawn, and marked as what it is."""


def surface_from(dataset: xr.Dataset, *, name: str | None = None, label: str | None = None) -> Surface:
    """A surface to draw from a Dataset over ``(alpha, beta)`` or ``(alpha,)``.

    Every metric over exactly the plane's dims becomes a `Field`; further dims (per sample, per batch) are left out.

    >>> values = xr.DataArray([[0.0, 1.0], [2.0, 3.0]], dims=("alpha", "beta"), coords={"alpha": [0, 1], "beta": [0, 1]})
    >>> surface_from(xr.Dataset({"loss": values})).minimum()
    (0.0, 0.0, 0.0)

    Raises:
        InputError: no dimension `alpha`, or no metric over the plane.
    """
    dims, provenance = _plane_dims(dataset), provenance_of(dataset)  # sorting loses the name of the archive
    dataset = dataset.sortby(list(dims))
    # Zarr lists arrays in no certain order; the loss comes first.
    keys = sorted((str(key) for key in dataset.data_vars if _is_metric(dataset, str(key), dims)), key=lambda key: (key != "loss", key))
    fields = {key: _field(dataset, key, dims) for key in keys}
    if not fields:
        raise InputError("surface", ", ".join(map(str, dataset.data_vars)) or "an empty Dataset", f"a metric over {dims}, such as loss")
    shown = name or str(dataset.attrs.get("title") or "surface")
    labels = _axis_labels(dataset)
    done = _ordered(dataset, "done", dims).astype(bool) if "done" in dataset else None
    filled = done is not None and not done.all() and any(key + _FILLED in dataset for key in keys)
    estimated = any(key + _FILLED + _ERROR in dataset for key in keys)
    return Surface(
        name=shown,
        alpha=_coordinate(dataset, "alpha"),
        beta=_coordinate(dataset, "beta") if "beta" in dims else None,
        fields=fields,
        label=label if label is not None else str(dataset.attrs.get("title") or shown),
        done=None if filled else done,
        sampled=done if filled and not estimated else None,
        alpha_label=labels[0],
        beta_label=labels[1],
        origin=_origin(dataset, dims),
        origin_label=_origin_label(dataset),
        notes=general_notes(dataset),
        provenance=provenance,
        cautions=surface_cautions(dataset),
        models=tuple(model for model in models_of(_plane_attrs(dataset)) if len(model.place) == len(dims)),
    )


def path_from(dataset: xr.Dataset, *, name: str | None = None, label: str | None = None, surface: Surface | None = None) -> PathData:
    """A path to draw from a trajectory Dataset over ``(step,)``.

    The plane's value below each iterate is the one that was measured there (`project_trajectory`), else that of `surface`.

    Raises:
        InputError: no `path_alpha`, as in a run that was never projected on a plane.
    """
    if "path_alpha" not in dataset:
        raise InputError("path", name or "trajectory", "a trajectory with path_alpha", "Project the run on a plane first")
    alpha = _series(dataset, "path_alpha")
    beta = _series(dataset, "path_beta") if "path_beta" in dataset else np.zeros_like(alpha)
    plane_loss = _plane_loss(dataset, surface, alpha, beta)
    shown = name or str(dataset.attrs.get("title") or dataset.attrs.get("label") or "path")
    return PathData(
        name=shown,
        alpha=alpha,
        beta=beta,
        step=_steps(dataset),
        label=optimizer_name(label if label is not None else _run_label(dataset, shown)) + end_caution(dataset),
        epoch=_optional(dataset, "epoch"),
        loss=_optional(dataset, "path_loss"),
        accuracy=_optional(dataset, "path_accuracy"),
        plane_loss=plane_loss,
        residual=_optional(dataset, "path_residual"),
        stem=_stem(dataset),
        notes=_path_notes(dataset),
        cautions=_path_cautions(dataset, plane_loss),
    )


def _run_label(dataset: xr.Dataset, name: str) -> str:
    """The label of a run; one that nobody named is called by its optimizer."""
    label = str(dataset.attrs.get("label") or name)
    return str(dataset.attrs.get("optimizer") or label) if label in UNNAMED else label


def _plane_loss(dataset: xr.Dataset, surface: Surface | None, alpha: FloatArray, beta: FloatArray) -> FloatArray | None:
    measured = _optional(dataset, "path_plane_loss")
    if measured is not None or surface is None or surface.is_line:
        return measured
    return value_below(surface, alpha, beta)


def areas_from(dataset: xr.Dataset, *, name: str = "areas") -> DecisionRegions:
    """Decision areas to draw from a Dataset that holds `area_class` over ``(step, area_x, area_y)``, one map a frame.

    Raises:
        InputError: no decision areas in it.
    """
    if "area_class" not in dataset:
        raise InputError("areas", name, "a Dataset with area_class", "Compute it with la.decision_regions(model, trajectory)")
    points = np.stack([_series(dataset, "data_x"), _series(dataset, "data_y")], axis=-1) if "data_x" in dataset else np.empty((0, 2))
    labels = np.asarray(dataset["data_class"].values) if "data_class" in dataset else np.empty(0, np.int16)
    classes = np.asarray(dataset["area_class"].transpose("step", "area_x", "area_y").values)
    return DecisionRegions(name, _coordinate(dataset, "area_x"), _coordinate(dataset, "area_y"), classes, points, labels)


def value_below(surface: Surface, alpha: FloatArray, beta: FloatArray, quantity: str = "loss") -> FloatArray:
    """The surface's value at each (alpha, beta), bilinear between cells; NaN outside the window and beside holes."""
    from scipy.interpolate import RegularGridInterpolator

    if quantity not in surface.fields or surface.beta is None:
        return np.full(alpha.shape, np.nan)
    values = usable_values(surface, quantity)
    below = RegularGridInterpolator((surface.alpha, surface.beta), values, bounds_error=False, fill_value=np.nan)
    return below(np.stack([alpha, beta], axis=-1))


def usable_values(surface: Surface, quantity: str, frame: int = 0) -> FloatArray:
    """Values with NaN wherever nothing finite was computed."""
    values = np.asarray(surface.frame_values(quantity, frame), float)
    computed = np.isfinite(values) if surface.done is None else np.isfinite(values) & surface.done
    return np.where(computed, values, np.nan)


def _plane_dims(dataset: xr.Dataset) -> tuple[str, ...]:
    if "alpha" not in dataset.dims:
        raise InputError("surface", f"dims {tuple(map(str, dataset.dims))}", "a Dataset over (alpha, beta) or (alpha,)")
    return schema.PLANE if "beta" in dataset.dims else schema.LINE


def _is_metric(dataset: xr.Dataset, key: str, dims: Sequence[str]) -> bool:
    return key != "done" and not key.endswith(schema.SUFFIXES) and set(dataset[key].dims) == set(dims) and dataset[key].dtype.kind in "fiub"


def _field(dataset: xr.Dataset, key: str, dims: tuple[str, ...]) -> Field:
    units = _units(dataset, key)
    estimated = key + _FILLED + _ERROR in dataset
    error_key = key + (_FILLED + _ERROR if estimated else _ERROR)
    error = _ordered(dataset, error_key, dims).astype(float) if error_key in dataset else None
    arrow = better_arrow(key, dataset[key].attrs)
    label = _with_units(f"{_long_name(dataset, key)} {arrow}".rstrip(), units)
    shown = key + _FILLED if key + _FILLED in dataset else key
    values, doubtful = _ordered(dataset, shown, dims).astype(float), _doubtful(dataset, key, dims)
    notes, cautions = quantity_notes(dataset, key), error_cautions(dataset, key)
    interval, data = _interval(dataset, key, dims), data_of_metric(dataset[key].attrs)
    better = str(dataset[key].attrs.get("better") or "")
    imprecise = _imprecise(dataset, values, error) if estimated and key == "loss" else None
    located = not estimated or error is None or is_minimum_located(values, error)
    more = {"notes": notes, "cautions": cautions, "interval": interval, "data": data, "better": better, "is_minimum_located": located}
    return Field(values, label, units, error, doubtful, imprecise=imprecise, **more)


def _imprecise(dataset: xr.Dataset, values: FloatArray, error: FloatArray | None) -> HatchedCells | None:
    """Cells of a sampled surface that miss the tolerance asked for, which counts for the loss."""
    sampling, tol = dataset.attrs.get("sampling"), dataset.attrs.get("tol")
    if error is None or not isinstance(sampling, Mapping) or not isinstance(tol, int | float):
        return None
    return cells_beyond_tolerance(values, error, float(tol), str(sampling.get("scale")))


def _interval(dataset: xr.Dataset, key: str, dims: tuple[str, ...]) -> tuple[FloatArray, FloatArray] | None:
    """Ends of the 95 % interval, where they are stored and some cell has them."""
    ends = [_ordered(dataset, f"{key}{end}", dims).astype(float) for end in ("_lower", "_upper") if f"{key}{end}" in dataset]
    return (ends[0], ends[1]) if len(ends) == 2 and np.isfinite(ends[0]).any() else None


def _doubtful(dataset: xr.Dataset, key: str, dims: tuple[str, ...]) -> np.ndarray | None:
    """Cells within two standard errors of the lowest one, by the error of that very difference, where it is stored."""
    difference = f"{key}_difference"
    if difference not in dataset or difference + _ERROR not in dataset:
        return None
    with np.errstate(invalid="ignore"):
        return _ordered(dataset, difference, dims) <= 2 * _ordered(dataset, difference + _ERROR, dims)


def _ordered(dataset: xr.Dataset, key: str, dims: tuple[str, ...]) -> np.ndarray:
    return dataset[key].transpose(*dims).values


def _coordinate(dataset: xr.Dataset, axis: str) -> FloatArray:
    return np.asarray(dataset[axis].values, float)


def _long_name(dataset: xr.Dataset, key: str) -> str:
    declared = schema.VARIABLES.get(key)
    return str(dataset[key].attrs.get("long_name") or (declared.long_name if declared else key.replace("_", " ")))


def _units(dataset: xr.Dataset, key: str) -> str:
    declared = schema.VARIABLES.get(key)
    units = dataset[key].attrs.get("units", declared.units if declared else "")
    return "" if units in ("1", None) else str(units)


def _with_units(text: str, units: str) -> str:
    return f"{text} [{units}]" if units else text


def _axis_labels(dataset: xr.Dataset) -> tuple[str, str]:
    plane = dataset.attrs.get("plane")
    axis_labels = plane.get("axis_labels") if isinstance(plane, dict) else None
    labels = [str(text) for text in axis_labels] if isinstance(axis_labels, list | tuple) else []
    return labels[0] if labels else "α", labels[1] if len(labels) > 1 else "β"


def _origin(dataset: xr.Dataset, dims: Sequence[str]) -> tuple[float, ...] | None:
    plane = dataset.attrs.get("plane")
    origin = plane.get("origin") if isinstance(plane, dict) else None
    return tuple(float(x) for x in origin[: len(dims)]) if isinstance(origin, list | tuple) and len(origin) >= len(dims) else None


def _plane_attrs(dataset: xr.Dataset) -> dict[str, Any]:
    plane = dataset.attrs.get("plane")
    return plane if isinstance(plane, dict) else {}


def _origin_label(dataset: xr.Dataset) -> str:
    plane = _plane_attrs(dataset)
    return origin_model_label(plane) + origin_caution(dataset, plane.get("origin"))


def _series(dataset: xr.Dataset, key: str) -> FloatArray:
    return np.asarray(dataset[key].values, float).ravel()


def _optional(dataset: xr.Dataset, key: str) -> FloatArray | None:
    return _series(dataset, key) if key in dataset else None


def _stem(dataset: xr.Dataset) -> FloatArray | None:
    """Distances off the plane in units of its second axis, where both are known.

    None on a plane that shows less than half of the motion: the stems would be longer than the way, and be taken for it.
    """
    plane, share = dataset.attrs.get("plane"), dataset.attrs.get("captured_share")
    if isinstance(share, float) and share < LEAST_SHARE_FOR_STEMS:
        return None
    norms = plane.get("norms") if isinstance(plane, dict) else None
    if "path_residual" not in dataset or "path_beta" not in dataset or not isinstance(norms, list | tuple) or len(norms) < 2:
        return None
    return _series(dataset, "path_residual") / float(norms[1])


def _steps(dataset: xr.Dataset) -> np.ndarray:
    return np.asarray(dataset["step"].values if "step" in dataset else np.arange(dataset.sizes["step"]), np.int64)


def _path_cautions(dataset: xr.Dataset, plane_loss: FloatArray | None) -> tuple[Caution, ...]:
    """Other BatchNorm statistics at an end, no motion at all, and iterates far off the plane."""
    cautions = [Caution(line.removeprefix(CAUTION), Severity.OTHER_VALUES) for line in path_cautions(dataset)]
    cautions += [Caution(line.removeprefix(CAUTION), Severity.NO_MOTION) for line in _still_note(dataset)]
    return (*cautions, *_off_plane_caution(dataset, plane_loss))


def _off_plane_caution(dataset: xr.Dataset, plane_loss: FloatArray | None) -> Iterator[Caution]:
    """By how much the iterates' own loss and the surface below them part; by how far they are off where one of the two is not known."""
    off, loss = dataset.attrs.get("residual_norm"), _optional(dataset, "path_loss")
    share = off.get("mean") if isinstance(off, dict) else None
    if not isinstance(share, float) or share <= FAR_OFF_PLANE:
        return
    text = f"on average {format_rough_percent(share)} of the path's way lies off the plane: the surface below it is not its loss"
    if loss is not None and plane_loss is not None:
        usable = (loss > 0) & (plane_loss > 0) & np.isfinite(loss) & np.isfinite(plane_loss)
        if usable.any():
            factor = float(np.exp(np.abs(np.log(loss[usable] / plane_loss[usable])).max()))
            if factor < VISIBLE_FACTOR:
                return
            text = f"the path is off the plane: its loss and the surface below it differ up to {_times(factor)}-fold"
    yield Caution(text, Severity.OFF_PLANE)


def _times(factor: float) -> str:
    """Two digits and no exponent below a million.

    >>> _times(1.5), _times(212.0), _times(4.47e8)
    ('1.5', '210', '4.5e+08')
    """
    rounded = float(f"{factor:.2g}")
    return f"{rounded:,.0f}" if 100 <= rounded < 1e6 else f"{rounded:g}"


def _path_notes(dataset: xr.Dataset) -> tuple[str, ...]:
    optimizer, rate = dataset.attrs.get("optimizer"), dataset.attrs.get("learning_rate")
    parts = [optimizer_name(str(optimizer)) if optimizer else "", f"learning rate {rate:g}" if isinstance(rate, int | float) else ""]
    text = ", ".join(part for part in parts if part)
    return (
        *path_cautions(dataset),
        *((text,) if text else ()),
        *ending_notes(dataset),
        *_still_note(dataset),
        *_null_notes(dataset),
        *_share_notes(dataset),
    )


def ending_notes(dataset: xr.Dataset) -> tuple[str, ...]:
    """A run that did not end as meant, and the rows that a kill has cost it."""
    ended, gaps = str(dataset.attrs.get("ended", "closed")), dataset.attrs.get("gaps") or ()
    lost = sum(int(gap.get("rows", 0)) for gap in gaps)
    seams = ", ".join(f"step {gap.get('before')}" for gap in gaps)
    holes = f"{lost} due row{'' if lost == 1 else 's'} missing before {seams}, where the run was killed and resumed" if gaps else ""
    return tuple(line for line in ("" if ended == "closed" else f"run {ended}", holes) if line)


def _still_note(dataset: xr.Dataset) -> tuple[str, ...]:
    """A recording of rank 0, of which no plane shows anything."""
    still = "captured_share" in dataset.attrs and dataset.attrs["captured_share"] is None
    return ("CAUTION: the weights stood still, so there is no motion that the plane could show",) if still else ()


def _null_notes(dataset: xr.Dataset) -> tuple[str, ...]:
    """Variance explained by two components, beside that of a random walk (Antognini & Sohl-Dickstein 2018)."""
    shares, null, like = (dataset.attrs.get(key) for key in ("explained_variance_ratio", "random_walk_null", "walk_correlation"))
    if not shares or not null or len(shares) < 2 or len(null) < 2 or None in shares:
        return ()
    plane = dataset.attrs.get("plane")
    kind = plane.get("kind") if isinstance(plane, dict) else None
    of = {"start-end": "line and direction across it", "shared": "of its own motion the axes show"}.get(str(kind), "two components")
    text = f"{of}: {_percent_pair(shares)}; a random walk would give {_percent_pair(null)}"
    joint, joint_null = (dataset.attrs.get(f"joint_{key}") for key in ("explained_variance_ratio", "random_walk_null"))
    if joint and joint_null:
        text += f"; of all runs {_percent_pair(joint)}, of such walks {_percent_pair(joint_null)}"
    return (f"{text} (correlation with its components {' and '.join(f'{c:.2f}' for c in like)})" if like else text,)


def _percent_pair(shares: Sequence[float]) -> str:
    return " + ".join(format_percent(share) for share in shares[:2])


def _share_notes(dataset: xr.Dataset) -> tuple[str, ...]:
    share, shown = dataset.attrs.get("residual_norm"), dataset.attrs.get("captured_share")
    if not isinstance(share, dict) or not isinstance(share.get("mean"), float) or not isinstance(share.get("largest"), float):
        return ()
    off = f"off the plane: {format_percent(share['mean'])} of the way on average, {format_percent(share['largest'])} at most"
    return (f"{off}; the plane shows {format_percent(shown)} of the motion" if isinstance(shown, float) else off,)
