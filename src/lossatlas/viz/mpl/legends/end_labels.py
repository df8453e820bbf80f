"""Names of paths at their ends, where they cover nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.transforms import Bbox

from lossatlas.viz.mpl.artists.path import PathArtist, move_label
from lossatlas.viz.mpl.layout import Sheet
from lossatlas.viz.mpl.panes.base import PaneArtists

_PLACES = [(x, y) for r in (6, 11) for x, y in ((r, 0), (-r, 0), (0, r), (0, -r), (r, r), (r, -r), (-r, r), (-r, -r))]
"""Points from the end of a path to the nearest edge or corner of its name, in order of preference."""
MOST_COVERED = 12
"""Points of paths, of a thousand each, that a name may cover."""


def label_ends(sheet: Sheet, labels: set[str]) -> bool:
    """Write each label in the first pane that has it, maps before reliefs; False, and none written, where one has no room there."""
    written: list[Any] = []
    missing = set(labels)
    for drawn in sorted(sheet.panes, key=lambda one: one.is_relief):
        taken = [_around(drawn, track) for track in drawn.tracks]
        taken += [text.get_window_extent() for text in drawn.axes.texts if text.get_text() and text.get_visible()]
        points = [*(_points(drawn, track) for track in drawn.tracks), *_marks(drawn)]
        for track in {track.label: track for track in drawn.tracks if track.label in missing}.values():
            text = _place(drawn, track, taken, points)
            if text is None:
                for other in written:
                    other.remove()
                return False
            missing.remove(track.label)
            written.append(text)
            taken.append(text.get_window_extent())
    return True


def _place(drawn: PaneArtists, track: PathArtist, taken: list[Bbox], points: list[np.ndarray]) -> Any:
    """The label where it is inside the axes, clear of marks and other labels, and covers fewest points of paths; or None."""
    text = track.annotate_end(drawn.axes)
    if text is None:
        return None
    pane, choices = drawn.axes.get_window_extent(), []
    for order, (x, y) in enumerate(_PLACES):
        text.set(
            position=(x, y), ha="left" if x > 0 else "right" if x < 0 else "center", va="bottom" if y > 0 else "top" if y < 0 else "center"
        )
        box = text.get_window_extent()
        inside = box.x0 >= pane.x0 + 1 and box.x1 <= pane.x1 - 1 and box.y0 >= pane.y0 + 1 and box.y1 <= pane.y1 - 1
        if inside and not any(box.overlaps(other) for other in taken):
            covered = sum(int(_inside(box, way).sum()) for way in points)
            choices.append((covered, order))
    if not choices or min(choices)[0] > MOST_COVERED:
        text.remove()
        return None
    move_label(text, _PLACES[min(choices)[1]])
    return text


def _around(drawn: PaneArtists, track: PathArtist) -> Bbox:
    """Pixels of the dot at a path's end."""
    end = track.visible_end(drawn.axes)
    if end is None:
        return Bbox([[-1, -1], [-1, -1]])
    x, y = drawn.axes.transData.transform(end)
    size = 3.2 * drawn.axes.get_figure(root=True).dpi / 72
    return Bbox([[x - size, y - size], [x + size, y + size]])


def _points(drawn: PaneArtists, track: PathArtist) -> np.ndarray:
    """A thousand points along a path, in pixels."""
    usable = np.isfinite(track.x) & np.isfinite(track.y)
    if usable.sum() < 2:
        return np.empty((0, 2))
    way = drawn.axes.transData.transform(np.column_stack([track.x[usable], track.y[usable]]))
    at = np.linspace(0, len(way) - 1, 1000)
    return np.column_stack([np.interp(at, np.arange(len(way)), way[:, k]) for k in (0, 1)])


def _marks(drawn: PaneArtists) -> list[np.ndarray]:
    """The places of minimum and models in pixels, each as often as makes two of them too much to cover."""
    lines = [line for line in drawn.axes.lines if line.get_marker() in ("*", "P") and len(line.get_xdata())]
    return [np.repeat(drawn.axes.transData.transform(line.get_xydata()), 1 + MOST_COVERED // 2, axis=0) for line in lines]


def _inside(box: Bbox, points: np.ndarray) -> np.ndarray:
    return (points[:, 0] > box.x0) & (points[:, 0] < box.x1) & (points[:, 1] > box.y0) & (points[:, 1] < box.y1)
