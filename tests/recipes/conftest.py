"""Every figure that a recipe draws in these tests has a short caption that fits under it at page width."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from lossatlas.viz.mpl import figure as drawing
from lossatlas.viz.mpl.sizes import PAGE, base_points
from lossatlas.viz.scene import captions
from lossatlas.viz.scene.model import Scene

MARGINS = 0.28
"""Inches beside the text of a figure."""


def lines_at_page_width(line: str) -> int:
    """Lines that a caption fills on a page 6.75 inches wide, in its own letters of at least 6 points; by the width of its glyphs."""
    points = max(6.0, 0.8 * base_points(PAGE))
    width = TextPath((0, 0), line, prop=FontProperties(family="DejaVu Sans", size=points)).get_extents().width / 72
    return -int(-width // (PAGE - MARGINS))


def check_short_caption(scene: Scene) -> None:
    lines = captions.caption(scene, "short")
    assert len(lines) <= 2, lines
    known = any(surface.provenance.data or surface.provenance.plane for surface in scene.surfaces)
    assert lines or not known, f"nothing is said of {scene.title}"
    assert sum(lines_at_page_width(line) for line in lines) <= 2, lines


@pytest.fixture(autouse=True)
def short_captions_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check each scene as it is drawn: no recipe has to run for this alone."""
    caption_lines = drawing.caption_lines

    def checked(scene: Scene, size: Any) -> tuple[str, ...]:
        check_short_caption(scene)
        return caption_lines(scene, size)

    monkeypatch.setattr(drawing, "caption_lines", checked)
