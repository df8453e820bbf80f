"""The lines that keep a figure honest, told from a surface's attributes; every key may be missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

CAREFUL_SAMPLES = 200
"""Below this many samples a band of 2 standard errors covers 79-90 % instead of 95 % (LeNet; heavy tails near a minimum)."""


def surface_notes(dataset: xr.Dataset) -> tuple[str, ...]:
    """How a surface was made and how much of it stands, one short line each: axes, loss and data, seed, share computed."""
    plane, objective = _mapping(dataset.attrs.get("plane")), _mapping(dataset.attrs.get("objective"))
    said = (_plane_line(plane), _objective_line(objective), statistics_line(plane, objective), _free_note(objective))
    lines = (*said, computed_line(dataset), _error_line(dataset))
    return (*(line for line in lines if line), *_rise_lines(dataset), *_curvature_lines(dataset))


def _rise_lines(dataset: xr.Dataset) -> tuple[str, ...]:
    """How far a line between models rises above the chord of its ends, or above what it had reached before."""
    barrier, shape = _mapping(dataset.attrs.get("barrier")), _mapping(dataset.attrs.get("interpolation"))
    unit = str(dataset["loss"].attrs.get("units", "")) if "loss" in dataset else ""
    unit = "" if unit in ("", "1") else f" {unit}"
    lines = []
    if _has_numbers(barrier, "loss", "loss_at"):
        error = f", {_error(barrier)}" if _has_numbers(barrier, "error", "error_at") else ""
        lines.append(f"barrier: loss {barrier['loss']:.3g}{unit} above the chord at {barrier['loss_at']:.2g}{error}")
    elif _has_numbers(barrier, "error", "error_at"):
        lines.append(f"barrier: {_error(barrier)} above the chord")
    if shape.get("monotone") is not None and _has_numbers(shape, "largest_rise", "rise_from", "rise_to"):
        rises = f"rises by {shape['largest_rise']:.3g}{unit} from {shape['rise_from']:.2g} to {shape['rise_to']:.2g}"
        lines.append("the loss falls all the way from 0 to 1" if shape["monotone"] else f"the loss {rises}")
    return tuple(lines)


def _has_numbers(source: Mapping[str, Any], *keys: str) -> bool:
    return all(isinstance(source.get(key), int | float) for key in keys)


def _error(barrier: Mapping[str, Any]) -> str:
    return f"error {100 * barrier['error']:.1f} % at {barrier['error_at']:.2g}"


def _curvature_lines(dataset: xr.Dataset) -> tuple[str, ...]:
    """What curvature was found at the model, and what a slice may not be taken to say of it."""
    report = _mapping(dataset.attrs.get("curvature_report"))
    return tuple(str(report[key]) for key in ("line", "caveat") if report.get(key))


def computed_line(dataset: xr.Dataset) -> str:
    """Such as ``"312 of 2601 cells computed (12.0 %)"``; nothing is said of a surface without a `done` mask."""
    if "done" not in dataset:
        return ""
    done = np.asarray(dataset["done"].values, bool)
    count, total = int(done.sum()), done.size
    if count == total:
        return f"all {total} cells computed"
    return f"{count} of {total} cells computed ({100 * count / total:.1f} %){_estimate(dataset)}"


def _estimate(dataset: xr.Dataset) -> str:
    """What error a coarse-to-fine run expects between its cells, metric by metric, and what it cannot have seen."""
    error, scale, blind = (dataset.attrs.get(key) for key in ("estimated_error", "estimated_error_scale", "narrowest"))
    if not isinstance(error, int | float) or not np.isfinite(error):
        return ""
    others = {k: v for k, v in _mapping(dataset.attrs.get("estimated_errors")).items() if isinstance(v, int | float) and np.isfinite(v)}
    said = f", estimated error{' of the loss' if others else ''} {_small(error)} of the {'log ' if scale == 'log' else ''}range"
    said += "".join(f", of the {name} {_small(other)}" for name, other in others.items())
    return f"{said}; features narrower than {blind} cells may be missed" if isinstance(blind, int) and blind > 1 else said


def _small(error: float) -> str:
    """An estimate is not known to three digits, least of all near nothing."""
    return f"{100 * error:.2g} %" if error >= 1e-4 else "below 0.01 %"


def _plane_line(plane: Mapping[str, Any]) -> str:
    parts = [_kind(plane), _normalization(plane), _value(plane, "seed", "direction seed {}"), _cosine(plane), _biases(plane)]
    return _sentence("axes", parts)


def _kind(plane: Mapping[str, Any]) -> str:
    words = {
        "random": "random directions",
        "weights": "two weights' own values",
        "between": "lines between models",
        "explicit": "given directions",
        "pca": "principal components of the path",
        "start-end": "from the start of the run to its end, and across",
        "shared": "principal components of all runs together",
        "hessian": "Hessian eigenvectors",
    }
    kind = plane.get("kind")
    if kind == "weights" and len(plane.get("axis_labels") or ()) == 1:
        return "one weight's own value"
    return words.get(kind, f"{kind} directions") if isinstance(kind, str) else ""


def _normalization(plane: Mapping[str, Any]) -> str:
    if "normalize" not in plane or plane.get("kind") == "weights":
        return ""
    normalize = plane["normalize"]
    return "not normalized" if normalize in (None, "none") else f"{normalize}-normalized"


def _cosine(plane: Mapping[str, Any]) -> str:
    cosine = plane.get("cosine")
    if not isinstance(cosine, int | float):
        return ""
    rounding = 0 < abs(cosine) < 1e-6
    return "cosine between axes below 10⁻⁶" if rounding else f"cosine between axes {cosine:.3g}".replace("-", "−")


def _biases(plane: Mapping[str, Any]) -> str:
    """Only random directions choose whether biases move."""
    if plane.get("kind") != "random" or "biases" not in plane:
        return ""
    return "biases perturbed" if plane["biases"] else "biases and BatchNorm fixed"


def _objective_line(objective: Mapping[str, Any]) -> str:
    parts = [
        " of ".join(str(objective[key]) for key in ("loss", "model") if objective.get(key)),
        _mode(objective),
        _data(objective),
        _value(objective, "dtype", "{}"),
    ]
    return _sentence("loss", parts)


def _mode(objective: Mapping[str, Any]) -> str:
    words = {
        "eval": "eval mode (BatchNorm by running statistics, no dropout)",
        "interpolated": "eval mode with interpolated BatchNorm statistics",
        "recalibrated": "eval mode, BatchNorm statistics re-estimated at every point",
        "batch": "BatchNorm by each batch's statistics, no dropout",
        "train": "train mode (BatchNorm by batch statistics, dropout noise the same at every point)",
    }
    mode = objective.get("mode")
    if objective.get("mode_layers") is False:
        return f"{mode} mode"
    return words.get(mode, f"{mode} mode") if isinstance(mode, str) else ""


def statistics_line(plane: Mapping[str, Any], objective: Mapping[str, Any]) -> str:
    """Whose BatchNorm statistics hold all over the plane, where they are not the objective's own."""
    whose = objective.get("statistics")
    if whose == "plane":
        return f"BatchNorm statistics everywhere: those recorded with the model at {model_words(plane)}"
    if whose == "another model":
        return "CAUTION: the BatchNorm statistics are another model's than the one on this plane; these values are not its loss"
    return ""


def model_words(plane: Mapping[str, Any]) -> str:
    """Which model stands at the plane's origin."""
    words = {"pca": "the end of the run", "start-end": "the end of the run", "shared": "the common start", "between": "model a"}
    return words.get(str(plane.get("kind")), "the model itself")


def _data(objective: Mapping[str, Any]) -> str:
    samples, split = objective.get("samples"), objective.get("split")
    if samples is None:
        return f"{split} data" if split else ""
    if not isinstance(samples, int):
        return f"{samples} samples"
    whole = "all " if objective.get("population") == samples else ""
    return f"{whole}{samples:,} {split + ' ' if split else ''}sample{'' if samples == 1 else 's'}"


def _free_note(objective: Mapping[str, Any]) -> str:
    note = objective.get("note")
    return note if isinstance(note, str) else ""


def _error_line(dataset: xr.Dataset) -> str:
    if "loss_standard_error" not in dataset:
        return ""
    errors = np.asarray(dataset["loss_standard_error"].values, float)
    errors = errors[np.isfinite(errors)]
    if not errors.size:
        return ""
    units = dataset["loss"].attrs.get("units", "") if "loss" in dataset else ""
    objective = _mapping(dataset.attrs.get("objective"))
    samples, population = objective.get("samples"), objective.get("population")
    if population is not None and population == samples:
        return "no standard error: these samples are all there is"
    of = f" for all {population:,} samples" if isinstance(population, int) else ""
    said = f"standard error of a cell's loss{of} up to {errors.max():.2g}{'' if units in ('', '1') else ' ' + units}"
    few = isinstance(samples, int) and samples < CAREFUL_SAMPLES
    return f"{said}; CAUTION: from {samples} samples such an error is often too small (trust it from {CAREFUL_SAMPLES})" if few else said


def _value(source: Mapping[str, Any], key: str, form: str) -> str:
    return "" if source.get(key) is None else form.format(source[key])


def _sentence(subject: str, parts: Iterable[str]) -> str:
    said = [part for part in parts if part]
    return f"{subject}: {', '.join(said)}" if said else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
