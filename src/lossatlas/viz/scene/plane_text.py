"""Words for the plane of a surface: kind, normalization, directions, parameters that it moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_NAMES = 3
"""Of the tensors that move, where only some do."""


def plane_line(plane: Mapping[str, Any]) -> str:
    parts = [
        kind_label(plane),
        normalization_label(plane),
        value_text(plane, "seed", "direction seed {}"),
        _cosine(plane),
        _biases(plane),
        _part_moved(plane),
        _box(plane),
    ]
    return sentence("axes", parts)


def kind_label(plane: Mapping[str, Any]) -> str:
    labels = {
        "random": "random directions",
        "weights": "two weights' own values",
        "between": "lines between models",
        "explicit": "given directions",
        "pca": "principal components of the path",
        "start-end": "from the start of the run to its end, and across",
        "shared": "principal components of all runs together",
        "hessian": "Hessian eigenvectors",
        "input": "directions in input space",
    }
    kind = plane.get("kind")
    if kind == "weights" and is_of_vector(plane):
        return "variables' own values"
    if kind == "weights" and len(plane.get("axis_labels") or ()) == 1:
        return "one weight's own value"
    return labels.get(kind, f"{kind} directions") if isinstance(kind, str) else ""


def normalization_label(plane: Mapping[str, Any]) -> str:
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
    """Only random directions choose whether biases move; what there is of them is known since `one_dimensional` is stored."""
    if plane.get("kind") != "random" or "biases" not in plane:
        return ""
    kinds = plane.get("one_dimensional", {"one-dimensional weights": 0})
    return f"{join_names(list(kinds))} {'perturbed' if plane['biases'] else 'fixed'}" if kinds else ""


def _part_moved(plane: Mapping[str, Any]) -> str:
    """Such as ``"moves 4,608 of 116,992 weights: *lora*"``; nothing where all weights move but those that `biases` leaves out."""
    count, left_out = mapping_of(plane.get("weight_count")), mapping_of(plane.get("one_dimensional"))
    moved, total = count.get("moved"), count.get("of")
    if not isinstance(moved, int) or not isinstance(total, int):
        return ""
    still = 0 if plane.get("biases") else sum(left_out.values())
    where = _places(plane, count.get("tensors"))
    return f"moves {moved:,} of {total:,} weights{f': {where}' if where else ''}" if moved < total - still else ""


def _box(plane: Mapping[str, Any]) -> str:
    """The box that inputs should stay in, and whether they are moved back into it."""
    box = plane.get("box")
    if not isinstance(box, list | tuple) or len(box) != 2 or not all(isinstance(value, int | float) for value in box):
        return ""
    sides = f"[{box[0]:g}, {box[1]:g}]".replace("-", "−")
    return f"inputs clipped to {sides}" if plane.get("clip") else f"inputs not clipped to {sides}"


def _places(plane: Mapping[str, Any], tensors: object) -> str:
    """The patterns that were asked for, else the names of the tensors that move where only some do; axes of weights name them already."""
    names = [str(name) for name in plane.get("params") or plane.get("parameters") or ()]
    if plane.get("kind") == "weights" or (not plane.get("params") and len(names) == tensors):
        return ""
    return join_names(names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], f"{len(names) - MOST_NAMES + 1} more"])


def join_names(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def is_of_vector(plane: Mapping[str, Any]) -> bool:
    """Whether the plane is that of a function of a vector, which is no model."""
    return plane.get("parameters") == ["theta"]


def value_text(source: Mapping[str, Any], key: str, form: str) -> str:
    return "" if source.get(key) is None else form.format(source[key])


def sentence(subject: str, parts: Iterable[str]) -> str:
    lines = [part for part in parts if part]
    return f"{subject}: {', '.join(lines)}" if lines else ""


def mapping_of(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
