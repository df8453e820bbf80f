"""One HTML file with a scene, its data and the viewer; it opens offline in any browser."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lossatlas._util.argument_checks import check_text, path_of
from lossatlas._util.files import write_file
from lossatlas.errors import InputError, output_errors
from lossatlas.viz.compose.pages import scenes_of
from lossatlas.viz.scene.model import Scene
from lossatlas.viz.web.bundle import script
from lossatlas.viz.web.payload import Payload, Precision, encode
from lossatlas.viz.web.thumbnail import thumbnail_png
from lossatlas.viz.web.view_state import check_quantity, page_state


def export_html(
    source: Any,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    theme: str | None = None,
    precision: Precision = "uint16",
    view: Mapping[str, Any] | None = None,
    controls: str = "",
) -> Path:
    """Write `source` as one self-contained page that needs no network.

    Args:
        source: a `Scene`, an archive or its path, a surface (`xarray.Dataset`), or a list of any of these. Several
            archives or surfaces share one scene, to be overlaid; several scenes are offered in turn.
        path: the file to write; folders on the way are made.
        title: heading of the page; None keeps the scene's own.
        theme: "light", "dark" or None, which follows the reader's system.
        precision: "uint16" keeps values within 1e-5 of the range, "float32" to seven digits (about three times the size).
        view: the state to open with, such as ``{"scale": "log", "camera": {"azimuth": 30}}``; `page_state` lists the keys.

        controls: HTML that comes after the viewer, such as a slider over its scenes.

    Returns:
        The path written.

    Raises:
        InputError: a source that cannot be drawn, an unknown key in `view`, a suffix other than .html, a wrong `precision` or
            `theme`, or a place that cannot be written.
        ArchiveError: no archive at that path.
        MissingBundleError: this installation carries no viewer bundle.
    """
    if title is not None:
        check_text("title", title)
    state, target = page_state(view), _html_path(path)
    scenes, warnings = scenes_of(source, title=title)
    check_quantity(state.get("quantity"), scenes)
    payload = encode(scenes, precision=precision, theme=theme, view=state, warnings=warnings)
    text = page(payload, scenes, controls)
    with output_errors(target):
        write_file(target, text)
    return target


def _html_path(path: str | os.PathLike[str]) -> Path:
    target = path_of(path, "export")
    if target.suffix.lower() in (".html", ".htm"):
        return target
    instead = dict.fromkeys((".pdf", ".png", ".svg", ".jpg"), "la.plot(source, file), on the command line lossatlas plot")
    instead |= dict.fromkeys((".gif", ".mp4"), "la.animate(source, file), on the command line lossatlas animate")
    step = f"Write {target.suffix} with {instead[target.suffix]}" if target.suffix in instead else ""
    raise InputError("export", target.name, "a name that ends in .html", step)


def page(payload: Payload, scenes: Sequence[Scene], controls: str = "") -> str:
    """The whole page as text."""
    thumbnail = base64.b64encode(thumbnail_png(scenes[0])).decode("ascii") if scenes else ""
    title = html.escape(scenes[0].title or "Loss landscape") if scenes else "Loss landscape"
    return _PAGE.format(
        title=title,
        scheme=payload.header["theme"] or "light dark",
        poster=thumbnail,
        description=html.escape("; ".join(scenes[0].all_notes()) if scenes else ""),
        header=payload.json().replace("<", "\\u003c"),
        data=payload.base64(),
        script=script(),
        controls=controls,
    )


def fragment(payload: Payload, scenes: Sequence[Scene], height: int = 620) -> str:
    """The page inside an `<iframe>`, for notebooks that were turned into HTML and hold no widgets."""
    inner = html.escape(page(payload, scenes), quote=True)
    style = f'style="width:100%;height:{height}px;border:0;border-radius:8px" title="Loss landscape"'
    return f'<iframe srcdoc="{inner}" {style} allowfullscreen></iframe>'


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="{scheme}">
<meta name="generator" content="lossatlas">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
html, body {{ margin: 0; height: 100%; background: Canvas; }}
#lossatlas {{ position: fixed; inset: 0; }}
#poster {{ position: fixed; inset: 0; margin: auto; max-width: 92vw; max-height: 86vh; }}
.ready #poster {{ display: none; }}
@media print {{ .ready #poster {{ display: block; }} #lossatlas {{ display: none; }} }}
</style>
</head>
<body>
<img id="poster" alt="{title}. {description}" src="data:image/png;base64,{poster}">
<div id="lossatlas"></div>
<script type="application/json" id="lossatlas-header">{header}</script>
<script type="application/octet-stream" id="lossatlas-data">{data}</script>
<script>{script}</script>
<script>lossatlas.default.start().then(function () {{ document.documentElement.className = "ready"; }});</script>
{controls}</body>
</html>
"""
