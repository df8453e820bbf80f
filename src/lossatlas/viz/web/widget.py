"""Notebook widget (JupyterLab, VS Code, marimo): the viewer as an anywidget.

The widget's state holds the scene and the cells that finished since, so a surface fills while the cell that computes it
still runs, and a view that opens late, or again, shows all of it. Messages would be lost where no view listens yet.
"""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lossatlas.archive import Archive
from lossatlas.errors import MissingDependencyError
from lossatlas.viz.compose.inputs import iter_inputs
from lossatlas.viz.compose.pages import scenes_of
from lossatlas.viz.mpl.figure import figure
from lossatlas.viz.scene.model import Scene
from lossatlas.viz.web.archive_feed import ArchiveFeed
from lossatlas.viz.web.bundle import module
from lossatlas.viz.web.html import fragment
from lossatlas.viz.web.payload import Payload, Precision, encode
from lossatlas.viz.web.view_state import check_quantity, page_state

PREVIEW_DPI = 80
"""Of the picture that stands for the widget in saved notebooks."""


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
    that are turned into web pages, which hold no live widgets. An archive may be empty still. `widget.follow()` updates it from a
    thread while another cell trains or evaluates.

    Raises:
        MissingDependencyError: the extra `notebook` is not installed.
    """
    things, state = tuple(iter_inputs(source)), page_state(view)

    def page() -> tuple[Payload, tuple[Scene, ...]]:
        scenes, warnings = scenes_of(things, title=title)
        check_quantity(state.get("quantity"), scenes)
        return encode(scenes, theme=theme, view=state, precision=precision, warnings=warnings), scenes

    feed = _feed_of(things)
    if feed is not None and feed.is_empty:
        made = _widget_class()(words=feed.progress()[0], height=height)
    else:
        payload, _ = page()
        words = feed.progress()[0] if feed is not None and feed.follows_recording else ""
        made = _widget_class()(header=payload.json(), blob=payload.blob, words=words, height=height)
    made.page, made.feed = page, feed
    return made


def _picture(scenes: Sequence[Scene]) -> str:
    """The first scene as a figure, PNG in base64."""
    buffer = io.BytesIO()
    figure(scenes[0]).savefig(buffer, format="png", dpi=PREVIEW_DPI)
    return base64.b64encode(buffer.getvalue()).decode()


def _feed_of(things: Sequence[Any]) -> ArchiveFeed | None:
    """Feed that follows the archives among `things`, as of now; None where none can grow."""
    if not any(isinstance(thing, Archive) for thing in things):
        return None
    feed = ArchiveFeed([thing for thing in things if not isinstance(thing, Scene)])
    feed.poll()
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
            header = traitlets.Unicode("").tag(sync=True)
            blob = traitlets.Bytes(b"").tag(sync=True)
            height = traitlets.Int(620).tag(sync=True)
            patches = traitlets.List(traitlets.Bytes()).tag(sync=True)
            notes = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)
            words = traitlets.Unicode("").tag(sync=True)
            finished = traitlets.Bool(False).tag(sync=True)
            scene = traitlets.Int(0).tag(sync=True)
            version = traitlets.Int(0).tag(sync=True)
            page: Any = None
            feed: ArchiveFeed | None = None

            def __init__(self, **traits: Any) -> None:
                self.lock = threading.RLock()
                super().__init__(**traits)

            def update(self) -> None:
                """Send what the archives hold beyond what was sent before."""
                with self.lock:
                    change = None if self.feed is None else self.feed.poll()
                    if change is None or self.feed is None:
                        return
                    with self.hold_sync():
                        self.patches, self.notes = list(self.feed.patches()), self.feed.notes()
                        if change.payload is not None:  # read anew, so its notes may be newer than the feed's
                            payload, scenes = self.page()
                            self.header, self.blob = payload.json(), payload.blob
                            self.notes = [list(surface.all_notes()) for surface in scenes[0].surfaces]
                            self.scene += 1
                        self.words, self.finished = change.words, change.finished
                    # Views read the whole state when this changes; some notebooks tell of one trait after the other.
                    self.version += 1

            def follow(self, seconds: float = 1.0) -> threading.Thread:
                """Update again and again, from a thread of its own, until the widget is closed or all is recorded and computed."""

                def watch() -> None:
                    while self.feed is not None and self.comm is not None:
                        try:
                            self.update()
                        except Exception as error:  # an archive may be looked at in the middle of a write
                            self.words = f"The archive cannot be read just now ({type(error).__name__})"
                        if self.finished:
                            return
                        time.sleep(seconds)

                thread = threading.Thread(target=watch, name="lossatlas-widget", daemon=True)
                thread.start()
                return thread

            def show(self, source: Any) -> None:
                """Show another source, such as a `Scene`, in place of what is shown; the reader's view of it stays."""
                made = tuple(iter_inputs(source))

                def page() -> tuple[Payload, tuple[Scene, ...]]:
                    scenes, warnings = scenes_of(made)
                    return encode(scenes, precision="uint16", warnings=warnings), scenes

                payload, _ = page()
                self.page, self.feed = page, None
                with self.hold_sync():
                    self.header, self.blob, self.patches = payload.json(), payload.blob, []
                    self.scene += 1
                self.version += 1

            def _repr_mimebundle_(self, **kwargs: Any) -> Any:
                """The widget, and a picture where no widget can live: GitHub, saved notebooks, previews."""
                bundle = super()._repr_mimebundle_(**kwargs)
                if bundle is None or self.page is None or not self.header:
                    return bundle
                data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
                return {**data, "image/png": _picture(self.page()[1])}, metadata

            def static(self) -> Any:
                """The page as HTML, for `nbconvert` and other places without widgets."""
                from IPython.core.display import HTML

                # A bare <iframe> would draw a warning from IPython.
                payload, scenes = self.page()
                return HTML(f"<div>{fragment(payload, scenes, self.height)}</div>")

        _CLASS.append(Landscape)
    return _CLASS[0]


_CLASS: list[Any] = []
