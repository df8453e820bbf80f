"""Slider over versions of a scene: precomputed ones on a page, computed ones in a notebook."""

from __future__ import annotations

import html
import json
import os
import tempfile
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lossatlas.errors import MissingDependencyError
from lossatlas.viz.scene.model import Scene
from lossatlas.viz.web.html import export_html


def export_with_slider(
    scenes: Sequence[Scene],
    path: str | os.PathLike[str] | None,
    *,
    label: str,
    values: Sequence[str],
    start: int,
    open_browser: bool = True,
    **options: Any,
) -> Path:
    """Write one offline page that shows a scene for each place of a slider.

    Args:
        scenes: one a place.
        path: the file; None writes a temporary one and opens it.
        label: of the slider.
        values: of its places, as text.
        start: where it stands at first.
        open_browser: open a temporary page.
        **options: of `export_html`.
    """
    target = Path(tempfile.mkdtemp(prefix="lossatlas-")) / "race.html" if path is None else Path(path)
    view = {**(options.pop("view", None) or {}), "scene": start}
    page = export_html(list(scenes), target, view=view, controls=slider_controls(label, values, start), **options)
    if path is None and open_browser:
        webbrowser.open(page.as_uri())
    return page


def slider_controls(label: str, values: Sequence[str], start: int) -> str:
    """A bar above the picture; its script opens the scene of the place it is moved to."""
    shown = json.dumps(list(values)).replace("<", "\\u003c")
    return _CONTROLS % {"label": html.escape(label), "last": len(values) - 1, "start": start, "values": shown}


def widget_with_slider(make_scene: Callable[[float], Scene], first: Scene, *, label: str, **options: Any) -> Any:
    """A notebook widget under a logarithmic slider; `make_scene` is called with the factor that it is moved to.

    Raises:
        MissingDependencyError: the extra `notebook` is not installed.
    """
    from lossatlas.viz.web.widget import widget

    picture = widget(first, **options)
    try:
        import ipywidgets
    except ImportError as error:
        raise MissingDependencyError("The slider", "notebook") from error
    wide = ipywidgets.Layout(width="60%")
    slider = ipywidgets.FloatLogSlider(
        value=1.0, base=10, min=-2, max=2, step=0.05, description=f"{label} ×", continuous_update=False, readout_format=".3g", layout=wide
    )
    slider.style.description_width = "initial"
    slider.observe(lambda change: picture.show(make_scene(float(change["new"]))), names="value")
    return ipywidgets.VBox([slider, picture])


_CONTROLS = """<style>
#slider { position: fixed; inset: 0 0 auto 0; height: 44px; display: flex; gap: 12px; align-items: center; padding: 0 16px;
  font: 14px system-ui, sans-serif; color: CanvasText; background: Canvas;
  border-bottom: 1px solid color-mix(in srgb, CanvasText 18%%, Canvas); }
#slider input { flex: 1; max-width: 420px; accent-color: #1d5fa8; }
#slider output { min-width: 5em; font-variant-numeric: tabular-nums; }
#lossatlas { inset: 45px 0 0 0 !important; }
</style>
<div id="slider"><label for="place">%(label)s</label>
<input id="place" type="range" min="0" max="%(last)d" step="1" value="%(start)d"><output for="place"></output></div>
<script>
(() => {
  const values = %(values)s, place = document.getElementById("place"), text = document.querySelector("#slider output");
  const viewer = () => document.getElementById("lossatlas").viewer;
  const show = () => { text.textContent = values[place.value]; place.setAttribute("aria-valuetext", values[place.value]); };
  place.addEventListener("input", () => { show(); viewer()?.openScene(Number(place.value)); });
  const follow = () => { const shown = viewer()?.state.scene; if (shown !== undefined && shown !== Number(place.value)) {
    place.value = shown; show(); } };
  show();
  setInterval(follow, 500);
})();
</script>
"""
