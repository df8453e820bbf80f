"""The viewer in a notebook (JupyterLab, VS Code, marimo): the same bundle, as an anywidget.

The scene travels once with the widget; cells that finish later travel as small binary messages, so a surface fills
while the cell that computes it still runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lossatlas.archive import Archive
from lossatlas.errors import MissingDependencyError
from lossatlas.view.bundle import module
from lossatlas.view.feed import Feed
from lossatlas.view.html import fragment
from lossatlas.view.pages import scenes_of
from lossatlas.view.payload import Precision, encode


def widget(
    source: Any,
    *,
    theme: str | None = None,
    view: Mapping[str, Any] | None = None,
    height: int = 620,
    precision: Precision = "uint16",
    title: str | None = None,
) -> Any:
    """A notebook widget that shows `source`; arguments as in `export_html`, `height` in pixels.

    `widget.update()` sends what has been computed since, for archives; `widget.static()` gives HTML for notebooks
    that are turned into web pages, which hold no live widgets.

    Raises:
        MissingDependencyError: the extra `notebook` is not installed.
    """
    scenes, warnings = scenes_of(source, title=title)
    payload = encode(scenes, theme=theme, view=view, precision=precision, warnings=warnings)
    made = _widget_class()(header=payload.json(), blob=payload.blob, height=height)
    made.page = lambda: fragment(payload, scenes, height)
    made.feed = _feed_of(source)
    return made


def _feed_of(source: Any) -> Feed | None:
    archives = (
        [source]
        if isinstance(source, Archive)
        else [thing for thing in source if isinstance(thing, Archive)]
        if isinstance(source, list | tuple)
        else []
    )
    if not archives:
        return None
    feed = Feed(archives)
    feed.look()
    return feed


def _widget_class() -> Any:
    """Made on first use: anywidget is optional, and the bundle is read only when a widget is wanted."""
    if not _CLASS:
        try:
            import anywidget
            import traitlets
        except ImportError as error:
            raise MissingDependencyError("The notebook widget", "notebook") from error

        class Landscape(anywidget.AnyWidget):
            _esm = module()
            header = traitlets.Unicode("{}").tag(sync=True)
            blob = traitlets.Bytes(b"").tag(sync=True)
            height = traitlets.Int(620).tag(sync=True)
            page: Any = None
            feed: Feed | None = None

            def update(self) -> None:
                """Send what the archives hold beyond what was sent before."""
                change = None if self.feed is None else self.feed.look()
                if change is None:
                    return
                if change.payload is not None:
                    self.send({"type": "scene", "header": change.payload.header}, buffers=[change.payload.blob])
                if change.patches:
                    self.send({"type": "patches"}, buffers=list(change.patches))
                self.send({"type": "progress", "words": change.words, "finished": change.finished})

            def static(self) -> Any:
                """The page as HTML, for `nbconvert` and other places without widgets."""
                from IPython.core.display import HTML

                # A bare <iframe> would draw a warning from IPython.
                return HTML(f"<div>{self.page()}</div>")

        _CLASS.append(Landscape)
    return _CLASS[0]


_CLASS: list[Any] = []
