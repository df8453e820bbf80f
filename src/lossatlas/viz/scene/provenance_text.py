"""Provenance in sentences, from a surface's attributes; every key may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import numpy as np
import xarray as xr

from lossatlas._util.text import format_percent, format_rough_percent
from lossatlas.viz.scene.cautions import Caution, Severity
from lossatlas.viz.scene.metric_text import error_count, metric_note
from lossatlas.viz.scene.model import ModelPlace, Provenance
from lossatlas.viz.scene.names import loss_name, model_name
from lossatlas.viz.scene.plane_text import is_of_vector, kind_label, mapping_of, normalization_label, plane_line, sentence, value_text

CAUTION = "CAUTION: "
"""Opening of a note that is a caution."""

CAREFUL_SAMPLES = 200
"""Below this many samples a band of 2 standard errors covers 79-90 % instead of 95 % (LeNet; heavy tails near a minimum)."""


COARSE_ESTIMATE = 0.1
"""Share of the range beyond which an estimated error between computed cells is worth a caution."""


def surface_notes(dataset: xr.Dataset) -> tuple[str, ...]:
    """Provenance of a surface, the share of it that is computed, and the notes on each of its quantities."""
    of_quantities = (note for key in sorted(map(str, dataset.data_vars)) for note in quantity_notes(dataset, key))
    return tuple(dict.fromkeys([*general_notes(dataset), *of_quantities]))


def general_notes(dataset: xr.Dataset) -> tuple[str, ...]:
    """Notes that hold for every quantity of a surface, one short line each: axes, loss and data, seed, share computed."""
    plane, objective = mapping_of(dataset.attrs.get("plane")), mapping_of(dataset.attrs.get("objective"))
    lines = [plane_line(plane), _objective_line(objective), statistics_line(plane, objective), _free_note(objective)]
    lines += [*model_lines(dataset), terms_line(dataset), computed_line(dataset)]
    return (*(line for line in lines if line), *_rise_lines(dataset), *_curvature_lines(dataset))


def provenance_of(dataset: xr.Dataset) -> Provenance:
    """Loss, data and plane in short phrases."""
    plane, objective = mapping_of(dataset.attrs.get("plane")), mapping_of(dataset.attrs.get("objective"))
    shape = ", ".join(part for part in (_short_kind(plane), normalization_label(plane) if plane.get("kind") == "random" else "") if part)
    encoding = dataset.encoding
    archive = PurePath(str(encoding.get("source", ""))).name
    name = str(encoding.get("name", "")) if archive else ""
    return Provenance(_loss_of(objective), _data(objective) + _sampled_within(dataset), shape, archive, name, _estimated_on(dataset))


def _sampled_within(dataset: xr.Dataset) -> str:
    """Such as ``", estimated within 0.8 % of the range"`` where some of the samples were drawn at each cell."""
    sampling, error = mapping_of(dataset.attrs.get("sampling")), dataset.attrs.get("estimated_error")
    if not sampling or not isinstance(error, int | float) or not np.isfinite(error):
        return ""
    return f", estimated within {format_rough_percent(error)} of the {'log ' if sampling.get('scale') == 'log' else ''}range"


def _estimated_on(dataset: xr.Dataset) -> str:
    estimated = isinstance(dataset.attrs.get("estimated_error"), int | float) and not _all_computed(dataset)
    return "" if not estimated else "log" if dataset.attrs.get("estimated_error_scale") == "log" else "linear"


def _all_computed(dataset: xr.Dataset) -> bool:
    return "done" not in dataset or bool(np.asarray(dataset["done"].values, bool).all())


def _short_kind(plane: Mapping[str, Any]) -> str:
    ends = len(plane.get("models") or ()) if isinstance(plane.get("models"), list | tuple) else 0
    if plane.get("kind") == "between" and ends:
        return {2: "line between two models", 3: "plane through three models"}.get(ends, f"plane through {ends} models")
    return kind_label(plane)


def _loss_of(objective: Mapping[str, Any]) -> str:
    """A function is the loss itself, and its own name."""
    name = objective.get("model" if objective.get("kind") == "callable" else "loss")
    return loss_name(name) if isinstance(name, str) else ""


def surface_cautions(dataset: xr.Dataset) -> tuple[Caution, ...]:
    """Cautions that hold for every quantity of a surface: values of other models, and coarse estimates between computed cells."""
    plane, objective = mapping_of(dataset.attrs.get("plane")), mapping_of(dataset.attrs.get("objective"))
    lines = [statistics_line(plane, objective), *model_lines(dataset), terms_line(dataset)]
    cautions = [Caution(line.removeprefix(CAUTION), Severity.OTHER_VALUES) for line in lines if line.startswith(CAUTION)]
    error = dataset.attrs.get("estimated_error")
    if not _all_computed(dataset) and isinstance(error, int | float) and np.isfinite(error) and error > COARSE_ESTIMATE:
        values = "estimates from some of the samples" if mapping_of(dataset.attrs.get("sampling")) else "interpolated values"
        log = "log " if dataset.attrs.get("estimated_error_scale") == "log" else ""
        text = f"{values} may be off by {format_rough_percent(error)} of the {log}range"
        cautions.append(Caution(text, Severity.COARSE_ESTIMATE))
    return tuple(cautions)


def error_cautions(dataset: xr.Dataset, quantity: str) -> tuple[Caution, ...]:
    """A caution where a quantity's standard error comes from too few samples to be trusted."""
    notes, samples = error_notes(dataset, quantity), error_count(dataset, quantity)
    if not any(CAUTION in note for note in notes):
        return ()
    return (Caution(f"from {samples} {_counted(dataset, quantity)} the standard error is often too small", Severity.FEW_SAMPLES),)


def terms_line(dataset: xr.Dataset) -> str:
    """A caution where the terms of the loss do not add up to it."""
    count = dataset.attrs.get("terms_differ")
    return f"{CAUTION}the terms do not add up to the loss in {count:,} cells" if isinstance(count, int) and count else ""


def _rise_lines(dataset: xr.Dataset) -> tuple[str, ...]:
    """Notes on the height of a line between models above the chord of its ends, or above what it had reached before."""
    barrier, shape = mapping_of(dataset.attrs.get("barrier")), mapping_of(dataset.attrs.get("interpolation"))
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
    """A line through a cell that is not finite has no barrier, and archives from elsewhere may hold anything."""
    return all(isinstance(source.get(key), int | float) and bool(np.isfinite(source[key])) for key in keys)


def _error(barrier: Mapping[str, Any]) -> str:
    return f"error {format_percent(barrier['error'])} at {barrier['error_at']:.2g}"


def _curvature_lines(dataset: xr.Dataset) -> tuple[str, ...]:
    """Notes on the curvature found at the model, and on what a slice may not be taken to say of it."""
    report = mapping_of(dataset.attrs.get("curvature_report"))
    return tuple(str(report[key]) for key in ("line", "caveat") if report.get(key))


def computed_line(dataset: xr.Dataset) -> str:
    """Such as ``"312 of 2601 cells computed (12.0 %)"``; nothing is said of a surface without a `done` mask."""
    if "done" not in dataset:
        return ""
    done = np.asarray(dataset["done"].values, bool)
    count, total = int(done.sum()), done.size
    if count < total and (line := sampling_line(dataset)):
        return line
    if count == total:
        return f"all {total} cells computed"
    return f"{count} of {total} cells computed ({format_percent(count / total)}){_estimate(dataset)}"


def sampling_line(dataset: xr.Dataset) -> str:
    """Sampling of a surface, such as ``"estimated from 50,000 samples, within 0.8 % of the range (95 % intervals)"``; "" of others."""
    sampling, error = mapping_of(dataset.attrs.get("sampling")), dataset.attrs.get("estimated_error")
    if not _has_numbers(sampling, "samples", "share") or not isinstance(error, int | float) or not np.isfinite(error):
        return ""
    spread = {"log": "log range", "robust": "range of the middle 90 % of the cells"}.get(str(sampling.get("scale")), "range")
    return (
        f"estimated from {sampling['samples']:,} samples, within {format_rough_percent(error)} of the {spread} (95 % intervals), "
        f"by {format_percent(sampling['share'])} of all evaluations"
    )


def _estimate(dataset: xr.Dataset) -> str:
    """Error that a coarse-to-fine run expects between its cells, metric by metric, and structure that it cannot have seen."""
    error, scale, blind = (dataset.attrs.get(key) for key in ("estimated_error", "estimated_error_scale", "narrowest"))
    if not isinstance(error, int | float) or not np.isfinite(error):
        return ""
    others = {k: v for k, v in mapping_of(dataset.attrs.get("estimated_errors")).items() if isinstance(v, int | float) and np.isfinite(v)}
    text = (
        f", estimated error{' of the loss' if others else ''} {format_rough_percent(error)} of the {'log ' if scale == 'log' else ''}range"
    )
    text += "".join(f", of the {name} {format_rough_percent(other)}" for name, other in others.items())
    return f"{text}; features narrower than {blind} cells may be missed" if isinstance(blind, int) and blind > 1 else text


def _objective_line(objective: Mapping[str, Any]) -> str:
    model = objective.get("model") if objective.get("kind") != "callable" else None  # a function is the loss itself
    named = [_loss_of(objective), model_name(model) if isinstance(model, str) else ""]
    parts = [
        " of ".join(name for name in named if name),
        _mode(objective),
        _data(objective),
        value_text(objective, "dtype", "{}"),
    ]
    return sentence("loss", parts)


def _mode(objective: Mapping[str, Any]) -> str:
    labels = {
        "eval": "eval mode (BatchNorm by running statistics, no dropout)",
        "interpolated": "eval mode with interpolated BatchNorm statistics",
        "recalibrated": "eval mode, BatchNorm statistics re-estimated at every point",
        "anchored": "eval mode, BatchNorm statistics re-estimated at every point, at each model its own",
        "batch": "BatchNorm by each batch's statistics, no dropout",
        "train": "train mode (BatchNorm by batch statistics, dropout noise the same at every point)",
    }
    mode = objective.get("mode")
    if not isinstance(mode, str) or objective.get("kind") == "callable":
        return ""
    return _without_absent_layers(objective.get("mode_layers", True), labels.get(mode, "")) or f"{mode} mode"


def _without_absent_layers(layers: object, label: str) -> str:
    """The label of a mode without its parts on BatchNorm or dropout where the model has none; `layers` is true where nobody knows."""
    if layers is True:
        return label
    present = layers if isinstance(layers, list | tuple) else ()
    absent = [kind for kind in ("BatchNorm", "dropout") if kind not in present]
    head, _, inside = label.partition(" (")
    whole, details = (
        [part for part in text.split(", ") if part and not any(kind in part for kind in absent)] for text in (head, inside.rstrip(")"))
    )
    return ", ".join(whole) + (f" ({', '.join(details)})" if details else "")


def statistics_line(plane: Mapping[str, Any], objective: Mapping[str, Any]) -> str:
    """Source of the BatchNorm statistics that a figure shows, where they are not the objective's own."""
    whose = objective.get("statistics")
    if whose == "plane":
        return f"BatchNorm statistics everywhere: those recorded with the model at {origin_model_label(plane)}"
    if whose == "extrapolated":
        return "BatchNorm statistics below 0 and above 1 are extrapolated (variances by their logarithm), no network's own"
    if whose == "another model":
        return "CAUTION: the BatchNorm statistics are another model's than the one on this plane; these values are not its loss"
    return ""


def model_lines(dataset: xr.Dataset) -> tuple[str, ...]:
    """A caution for every model on the plane whose own loss the plane does not read."""
    models = dataset.attrs.get("models")
    differing = [m for m in models if isinstance(m, Mapping) and m.get("differs") is True] if isinstance(models, list | tuple) else []
    return tuple(
        f"CAUTION: at {model.get('label', 'a model')} {_losses(model)} (BatchNorm statistics of another model)" for model in differing
    )


def _losses(model: Mapping[str, Any]) -> str:
    return f"the plane reads {_number(model.get('plane_loss'))}, that model's own loss is {_number(model.get('loss'))}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "NaN"


def origin_caution(dataset: xr.Dataset, origin: object) -> str:
    """Addition to the label of the mark at the origin, where the plane does not read that model's own loss."""
    models = dataset.attrs.get("models")
    for model in models if isinstance(models, list | tuple) else ():
        if isinstance(model, Mapping) and model.get("differs") is True and model.get("place") == origin:
            return f" ({_losses(model)})"
    return ""


def path_cautions(dataset: xr.Dataset) -> tuple[str, ...]:
    """The same of a path's ends, where their distance from the plane does not explain it."""
    differences = dataset.attrs.get("statistics_differ")
    rows = [row for row in differences if isinstance(row, Mapping)] if isinstance(differences, list | tuple) else []
    return tuple(f"CAUTION: at step {row.get('step')} {_losses(row)} ({row.get('why', 'other BatchNorm statistics')})" for row in rows)


def end_caution(dataset: xr.Dataset) -> str:
    """Addition to the label of a path, where the plane under its end reads another loss for another model's statistics."""
    differences = dataset.attrs.get("statistics_differ")
    last = differences[-1] if isinstance(differences, list | tuple) and differences else None
    ends = isinstance(last, Mapping) and "step" in dataset and last.get("step") == int(np.asarray(dataset["step"].values)[-1])
    return f" (own loss {_number(last.get('loss'))}, plane {_number(last.get('plane_loss'))})" if ends and last is not None else ""


def origin_model_label(plane: Mapping[str, Any]) -> str:
    """Name of the model at the plane's origin."""
    names = {"pca": "the end of the run", "start-end": "the end of the run", "shared": "the common start", "between": "model a"}
    if plane.get("kind") == "input":
        return "the sample itself" if len(plane.get("samples") or ()) == 1 else "the samples themselves"
    here = [model.label for model in models_of(plane) if list(model.place) == plane.get("origin")]
    return here[0] if here else names.get(str(plane.get("kind")), "the center θ₀" if is_of_vector(plane) else "the model itself")


def models_of(plane: Mapping[str, Any]) -> tuple[ModelPlace, ...]:
    """Models that a plane between models was laid through; of other planes none, for paths show where those stand."""
    rows = plane.get("model_places") if plane.get("kind") == "between" else ()
    return tuple(
        ModelPlace(str(label), tuple(float(x) for x in place))
        for label, place, *_ in (row for row in rows or () if isinstance(row, list | tuple) and len(row) >= 2)
        if isinstance(place, list | tuple) and all(isinstance(x, int | float) for x in place)
    )


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


def quantity_notes(dataset: xr.Dataset, quantity: str) -> tuple[str, ...]:
    """Notes on one quantity: how a metric beside loss and accuracy was measured, and its standard error."""
    note = metric_note(dataset, quantity)
    return (*((note,) if note else ()), *error_notes(dataset, quantity))


def _counted(dataset: xr.Dataset, quantity: str) -> str:
    attrs = dataset[quantity].attrs if quantity in dataset else {}
    return "samples" if attrs.get("of") != "model" else "items" if "items" in attrs else "repeats"


def error_notes(dataset: xr.Dataset, quantity: str) -> tuple[str, ...]:
    """The standard error of one quantity; nothing where it has none."""
    key = f"{quantity}_standard_error"
    errors = np.asarray(dataset[key].values, float) if key in dataset else np.empty(0)
    errors = errors[np.isfinite(errors)]
    if not errors.size:
        return ()
    units = dataset[quantity].attrs.get("units", "") if quantity in dataset else ""
    objective = mapping_of(dataset.attrs.get("objective"))
    counted, samples, population = _counted(dataset, quantity), error_count(dataset, quantity), objective.get("population")
    population = population if counted == "samples" else None
    if population is not None and population == samples:
        estimated = mapping_of(dataset.attrs.get("sampling"))  # from some of them, with an error that is told there
        return () if estimated else ("no standard error: these samples are all there is",)
    of = f" for all {population:,} samples" if isinstance(population, int) else ""
    name, unit = quantity.replace("_", " "), "" if units in ("", "1", "fraction") else f" {units}"
    line = f"standard error of a cell's {name}{of} up to {errors.max():.2g}{unit}"
    few = isinstance(samples, int) and samples < CAREFUL_SAMPLES and "Wilson" not in metric_note(dataset, quantity)
    return (
        f"{line}; CAUTION: from {samples} {counted} such an error is often too small (trust it from {CAREFUL_SAMPLES})" if few else line,
    )
