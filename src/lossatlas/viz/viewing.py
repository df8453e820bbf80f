"""`la.view`: show anything that can be drawn, wherever the caller is."""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lossatlas.archive import Archive
from lossatlas.viz.web.html import export_html
from lossatlas.viz.web.payload import Precision


def view(
    source: Any,
    *,
    export: str | os.PathLike[str] | None = None,
    title: str | None = None,
    theme: str | None = None,
    view: Mapping[str, Any] | None = None,
    precision: Precision = "uint16",
    height: int = 620,
    open_browser: bool = True,
) -> Any:
    """Show landscapes in the interactive viewer.

    With `export` a self-contained HTML file is written. Else, in a notebook, a widget is returned; elsewhere archives
    are served as a live page that follows their evaluation (until Ctrl-C), and anything else opens as a page.

    Args:
        source: a surface, an archive or its path, a `Scene`, or a list of these to compare.
        export: path of an HTML file.
        view: the state to open with, the same keys as in the page's address.
        height: of the widget, in pixels.
        open_browser: False only serves or writes the page.

    Returns:
        The path of the file, the widget, or None after a live page was closed. A widget of an archive fills when told:
        ``shown = la.view(archive)`` in one cell, ``la.evaluate(..., archive=archive, watch=lambda *_: shown.update())`` in
        the next.

    Raises:
        InputError: something that cannot be drawn.
    """
    if export is not None:
        return export_html(source, export, title=title, theme=theme, precision=precision, view=view)
    if in_notebook():
        from lossatlas.viz.web.widget import widget

        return widget(source, theme=theme, view=view, height=height, precision=precision, title=title)
    if _is_archive(source) or (isinstance(source, list | tuple) and source and all(map(_is_archive, source))):
        from lossatlas.viz.web.server import serve

        return serve(source, open_browser=open_browser)
    page = export_html(
        source, Path(tempfile.mkdtemp(prefix="lossatlas-")) / "landscape.html", title=title, theme=theme, precision=precision, view=view
    )
    if open_browser:
        webbrowser.open(page.as_uri())
    return page


def in_notebook() -> bool:
    """Is this code running in a notebook's kernel (and not in a terminal or a script)?"""
    if "marimo" in sys.modules and sys.modules["marimo"].running_in_notebook():
        return True
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and shell.__class__.__name__ == "ZMQInteractiveShell"


def _is_archive(source: Any) -> bool:
    return isinstance(source, Archive | str | os.PathLike)
