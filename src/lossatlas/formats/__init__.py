"""Import and export of other tools' files, chosen by file ending."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from lossatlas.errors import InputError
from lossatlas.formats.files import Location

__all__ = ["FORMATS", "Format", "export_surface", "import_surface"]


@dataclass(frozen=True)
class Format:
    """One kind of file: what it is, and where its reader and writer live (``module:function``; "" where there is none)."""

    title: str
    reader: str = ""
    writer: str = ""


FORMATS: dict[str, Format] = {
    ".h5": Format("surface file of Li et al. 2018", "li_h5:read_surface", "li_h5:write_surface"),
    ".vtp": Format("VTK mesh for ParaView", "vtp:read_vtp", "vtp:write_vtp"),
    ".csv": Format("table, one row a cell", "table:read_csv", "table:write_csv"),
    ".npz": Format("NumPy arrays", "table:read_npz", "table:write_npz"),
    ".glb": Format("mesh for Blender and other 3-D programs", writer="mesh:write_mesh"),
    ".stl": Format("closed solid for 3-D printing", writer="mesh:write_mesh"),
}


def import_surface(path: Location, **options: Any) -> xr.Dataset:
    """A surface from another tool's file, by the ending of its name; nothing in the file is executed.

    Args:
        path: .h5, .vtp, .csv or .npz.
        **options: of the format's reader, such as ``split="test"`` for .h5.

    Returns:
        a Dataset over ``("alpha", "beta")`` or ``("alpha",)`` as `archive.surface` gives it; ``attrs["imported"]`` says
        from which file.

    Raises:
        InputError: an unknown ending or option, or a file that is missing, damaged or of another kind.
        MissingDependencyError: the format needs an extra that is not installed.
    """
    return _call(path, "reader", path, **options)


def export_surface(dataset: xr.Dataset, path: Location, **options: Any) -> Path:
    """Write a surface for another tool, by the ending of the name; the file appears whole or not at all.

    Args:
        dataset: a surface as `archive.surface` gives it.
        path: .h5, .vtp, .csv, .npz, .glb or .stl.
        **options: of the format's writer, such as ``zmax=10, log=True`` for .vtp.

    Raises:
        InputError: an unknown ending or option, or a surface that the format cannot hold.
        MissingDependencyError: the format needs an extra that is not installed.
    """
    return _call(path, "writer", dataset, path, **options)


def _call(path: Location, role: str, *arguments: Any, **options: Any) -> Any:
    function = _function(path, role)
    allowed = list(inspect.signature(function).parameters)[len(arguments) :]
    if unknown := sorted(options.keys() - set(allowed)):
        raise InputError("options", ", ".join(unknown), f"for {Path(path).suffix}: {', '.join(allowed) or 'none'}")
    return function(*arguments, **options)


def _function(path: Location, role: str) -> Callable[..., Any]:
    suffix = Path(path).suffix.lower()
    known = {ending: getattr(kind, role) for ending, kind in FORMATS.items() if getattr(kind, role)}
    if suffix not in known:
        raise InputError("path", str(path), "a name that ends in " + ", ".join(known))
    module, name = known[suffix].split(":")
    return getattr(importlib.import_module(f"lossatlas.formats.{module}"), name)
