"""JavaScript bundle of the viewer, shipped in `static/`."""

from __future__ import annotations

from functools import cache
from importlib import resources

from lossatlas.errors import LossatlasError


class MissingBundleError(LossatlasError):
    """This installation carries no viewer bundle."""


@cache
def script() -> str:
    """The classic script for a page of its own; safe inside ``<script>``."""
    return _read("viewer.js").replace("</script", "<\\/script")


@cache
def module() -> str:
    """The same as an ES module, for notebooks and live pages."""
    return _read("viewer.mjs")


def _read(name: str) -> str:
    file = resources.files("lossatlas.viz").joinpath("static", name)
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingBundleError(
            f"The viewer's {name} is not in this installation. From a checkout, build it with: "
            "cd viewer && npm ci --ignore-scripts && node build.mjs; "
            "or install again with: pip install --force-reinstall lossatlas"
        ) from error
