"""Caption of a figure, in three sizes, from the scene alone: every renderer prints the same.

A short caption is at most two lines: what is shown, and, where something here could mislead, the caution that changes a
reader's conclusion most (`Severity` ranks them). A full one is everything that is known; files carry it in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np

from lossatlas._util.text import format_percent, format_rough_percent
from lossatlas.errors import InputError
from lossatlas.viz.scene.cautions import Caution, Severity
from lossatlas.viz.scene.cell_masks import classify_cells
from lossatlas.viz.scene.footnotes import drawn_values, footnotes, shown_paths, shown_surfaces
from lossatlas.viz.scene.metric_text import WHOLE_MODEL, spoken_name
from lossatlas.viz.scene.model import Pane, PathData, Scene, Surface
from lossatlas.viz.scene.value_ranges import FIELD_PANES, limits_of

CaptionSize = Literal["short", "full", "none"]
CAUTION = "Caution: "
"""Opening of the marked line of a short caption."""
LINE = 120
"""Characters of a line; at 7 points they fill the 6.5 inches of a page."""
SEPARATOR = " · "
MANY_CELLS = 0.1
"""Share of the cells without a height of their own from which that is a caution and no mere fact."""


def caption(scene: Scene, size: CaptionSize = "short") -> tuple[str, ...]:
    """Lines of a scene's caption.

    Args:
        size: "short", at most a line and a line of caution; "full", every note; "none", nothing.

    >>> caption(Scene(panes=(), notes=("drawn by hand", "CAUTION: not to scale")))
    ('Drawn by hand', 'Caution: not to scale')

    Raises:
        InputError: another size.
    """
    check_caption(size)
    if size != "short":
        return footnotes(scene) if size == "full" else ()
    cautions = list(_cautions(scene))
    worst = max(cautions, key=lambda one: one.severity, default=None)  # the first of those of equal rank
    rest = [text for text, share in _cell_facts(scene) if worst is None or text != worst.text]
    summary = _summary(scene, rest)
    return tuple(line for line in (summary, _one_line(f"{CAUTION}{worst.text}") if worst else "") if line)


def _one_line(text: str) -> str:
    """The text without its last parenthesis where it is too long for a line; the full caption has it all.

    >>> _one_line("Caution: " + "x" * 100 + " (statistics of another model)").endswith("x")
    True
    """
    return re.sub(r" \([^()]*\)$", "", text) if len(text) > LINE else text


def check_caption(size: Any) -> CaptionSize:
    """The size, if it is one.

    Raises:
        InputError: another one.
    """
    if not isinstance(size, str) or size not in get_args(CaptionSize):
        raise InputError("caption", size, '"short" (a line, and a line of caution), "full" (everything) or "none"')
    return size  # pyright: ignore[reportReturnType]


def caption_text(scene: Scene) -> str:
    """The full caption under the title, for files: plain text, one note a line."""
    return "\n".join(line for line in (scene.title, scene.subtitle, *caption(scene, "full")) if line)


def _summary(scene: Scene, cells: list[str]) -> str:
    """Data, plane and what became of the cells; where a line does not hold all, the plane is left out first, the cells last."""
    if scene.summary:
        return scene.summary
    surfaces = shown_surfaces(scene)
    if not surfaces:
        return _first_phrases([note for note in scene.notes if not note.startswith(CAUTION.upper())])
    data, plane = _data_phrase(scene, surfaces), _joined(surface.provenance.plane for surface in surfaces)
    fitting: list[str] = []
    for phrase in (*cells, data, plane):
        if phrase and len(SEPARATOR.join([*fitting, phrase])) <= LINE:
            fitting.append(phrase)
    return _capitalized(SEPARATOR.join(phrase for phrase in (data, plane, *cells) if phrase in fitting))


def _first_phrases(phrases: list[str]) -> str:
    """As many as a line holds; the first in any case."""
    line = ""
    for phrase in phrases:
        longer = f"{line}{SEPARATOR}{phrase}" if line else phrase
        if line and len(longer) > LINE:
            break
        line = longer
    return _capitalized(line)


def _capitalized(line: str) -> str:
    return line[:1].upper() + line[1:]


def _joined(phrases: Iterable[str]) -> str:
    """The phrase that all surfaces share, or the two that there are; of more, the titles of the panes tell."""
    distinct = [phrase for phrase in dict.fromkeys(phrases) if phrase]
    return " and ".join(distinct) if len(distinct) <= 2 else ""


def _data_phrase(scene: Scene, surfaces: list[Surface]) -> str:
    """Such as "cross-entropy and accuracy on 50,000 train samples"."""
    quantities = dict.fromkeys(pane.quantity for pane in scene.panes if pane.surfaces)
    loss = _joined(surface.provenance.loss for surface in surfaces) or "loss"
    data = _joined(surface.provenance.data for surface in surfaces)
    groups: dict[str, list[str]] = {}
    for quantity in quantities:
        foreign = _joined(surface.fields[quantity].data for surface in surfaces if quantity in surface.fields)
        groups.setdefault(foreign or data, []).append(loss if quantity == "loss" else spoken_name(quantity))
    if not data and not any(surface.provenance.loss for surface in surfaces):
        return ""
    listed = {where: " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part) for where, names in groups.items()}
    phrase = ", ".join(f"{names} {'of' if where == WHOLE_MODEL else 'on'} {where}" if where else names for where, names in listed.items())
    unknown = sum(not surface.provenance.data for surface in surfaces)
    return f"{phrase} (not known of {unknown} of the {len(surfaces)} surfaces)" if data and unknown else phrase


def _cautions(scene: Scene) -> Iterator[Caution]:
    """Every caution of what is drawn; what belongs to one of several paths or surfaces names its owner."""
    yield from (Caution(note.removeprefix(CAUTION.upper()), Severity.STATED) for note in scene.notes if note.startswith(CAUTION.upper()))
    surfaces, paths = shown_surfaces(scene), shown_paths(scene)
    of_surfaces = [(surface, (*surface.cautions, *_error_cautions(scene, surface))) for surface in surfaces]
    of_paths = [(path, (*path.cautions, *_not_finite(path))) for path in paths]
    for owned in (of_surfaces, of_paths):
        several = len(owned) > 1
        for owner, cautions in owned:
            for one in cautions:
                everywhere = all(one in others for _, others in owned)
                prefix = f"{_short_name(owner)}: " if several and not everywhere else ""
                yield Caution(f"{prefix}{one.text}", one.severity)
    yield from (Caution(_OTHER_SCALE, Severity.COARSE_ESTIMATE) for _ in range(_estimated_elsewhere(scene, surfaces)))
    yield from (Caution(text, Severity.CELLS) for text, share in _cell_facts(scene) if share >= MANY_CELLS)


def _error_cautions(scene: Scene, surface: Surface) -> Iterator[Caution]:
    """Cautions on the standard error of a quantity, where that error is drawn: as a band, as hatching, or itself."""
    for pane in (pane for pane in scene.panes if surface.name in pane.surfaces):
        field = surface.fields.get(pane.quantity.removesuffix("_standard_error"))
        shown = pane.kind == "line" or pane.quantity.endswith("_standard_error") or (field is not None and field.doubtful is not None)
        yield from field.cautions if field is not None and shown else ()


def _short_name(owner: Surface | PathData) -> str:
    """Its label up to the first colon or semicolon, behind which there are numbers and explanations."""
    return re.split(r"[:;]", owner.label or owner.name, maxsplit=1)[0]


_OTHER_SCALE = "cells were estimated on a linear scale: on this log scale low values may be far off"


def _estimated_elsewhere(scene: Scene, surfaces: list[Surface]) -> bool:
    log = any(scene.color_of(pane).scale == "log" for pane in scene.panes if pane.kind in FIELD_PANES)
    return log and any(surface.provenance.estimated_on == "linear" for surface in surfaces)


def _not_finite(path: Any) -> Iterator[Caution]:
    lost = ~np.isfinite(path.alpha)
    if lost.any():
        step = int(path.step[np.argmax(lost)])
        yield Caution(f"the weights are not finite from step {step:,} on: the path ends there", Severity.DIVERGED)


def _cell_facts(scene: Scene) -> list[tuple[str, float]]:
    """Phrases on the cells of all surfaces together, and the share that each concerns."""
    surfaces = [s for s in shown_surfaces(scene) if any(_draws(pane, s) for pane in scene.panes)]
    facts = [_computed(surfaces), *_holes(scene, surfaces), *_clipped(scene)]
    return [fact for fact in facts if fact[1] > 0]


def _draws(pane: Pane, surface: Surface) -> bool:
    return surface.name in pane.surfaces and pane.kind in (*FIELD_PANES, "line")


def _computed(surfaces: list[Surface]) -> tuple[str, float]:
    """Interpolated cells are a fact however many they are: what their error is has its own caution."""
    masks = [mask for mask in (s.done if s.sampled is None else s.sampled for s in surfaces) if mask is not None]
    total = sum(mask.size for mask in masks)
    left = total - sum(int(mask.sum()) for mask in masks)
    if not left:
        return "", 0.0
    interpolated = any(s.sampled is not None for s in surfaces)
    return f"{format_percent(1 - left / total)} of cells computed, {'others interpolated' if interpolated else 'others empty'}", 1e-9


def _holes(scene: Scene, surfaces: list[Surface]) -> Iterator[tuple[str, float]]:
    views = {(s.name, pane.quantity, scene.color_of(pane)) for pane in scene.panes for s in surfaces if _draws(pane, s)}
    cells = [
        classify_cells(scene.surface(name), color, quantity) for name, quantity, color in views if quantity in scene.surface(name).fields
    ]
    total = sum(one.values.size for one in cells)
    for text, count in (
        ("NaN or infinite", sum(int(one.not_finite.sum()) for one in cells)),
        ("≤ 0, which a log scale cannot show", sum(int(one.not_positive.sum()) for one in cells)),
    ):
        if count:
            yield f"{format_rough_percent(count / total)} of cells {text}", count / total


def _clipped(scene: Scene) -> Iterator[tuple[str, float]]:
    """Of the color scale that hides the largest share."""
    shares = []
    for pane in scene.panes:
        if pane.kind in FIELD_PANES:
            low, high = limits_of(scene, pane)
            drawn = [
                drawn_values(s, scene.color_of(pane), pane.quantity) for s in map(scene.surface, pane.surfaces) if pane.quantity in s.fields
            ]
            values = np.concatenate(drawn) if drawn else np.zeros(0)
            if values.size:
                shares += [(float(np.mean(values > high)), "above", high), (float(np.mean(values < low)), "below", low)]
    share, side, limit = max(shares, default=(0.0, "", 0.0))
    if share:
        yield f"{format_rough_percent(share)} of cells clipped {side} {limit:.4g}".replace("-", "−"), share
