"""Figures, animations, the browser page and the notebook widget, drawn from scenes and archives without torch.

`compose` reads whatever is handed in and makes a `Scene`, plain data; `scene` holds its types and what every renderer asks
of it; `mpl`, `animation` and `web` draw the same scene. `api` has the calls: `plot`, `animate` and `view`;
`axes_level` those that draw one thing into axes of the user.
"""

from __future__ import annotations

import importlib
from typing import Any

_PLACES = {
    "plot": "lossatlas.viz.api",
    "animate": "lossatlas.viz.api",
    "view": "lossatlas.viz.api",
    "export_html": "lossatlas.viz.web.html",
    "serve": "lossatlas.viz.web.server",
    "LiveServer": "lossatlas.viz.web.server",
    "widget": "lossatlas.viz.web.widget",
}
"""Public names and where they live; read on first use, so that importing the package stays fast."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
