"""Drawing: everything here reads scenes and archives, and none of it imports torch.

The package itself can be called: ``lossatlas.view(surface)`` is `lossatlas.view.view`, although both names are one.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_PLACES = {
    "view": "lossatlas.view.open",
    "export_html": "lossatlas.view.html",
    "serve": "lossatlas.view.server",
    "LiveServer": "lossatlas.view.server",
    "widget": "lossatlas.view.widget",
}
"""Public names and where they live; read on first use, so that importing the package stays fast."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


class _Callable(ModuleType):
    """A package that is also its main function."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        from lossatlas.view.open import view

        return view(*args, **options)


sys.modules[__name__].__class__ = _Callable
