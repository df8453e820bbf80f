"""The verb `doctor`: installed versions, optional parts and data folders, for bug reports."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

import typer

from lossatlas._util.version import __version__

NEEDED = ("torch", "numpy", "xarray", "zarr", "scipy", "matplotlib", "pillow", "scikit-learn", "safetensors")
EXTRAS = {
    "imageio-ffmpeg": "MP4 animations, [video]",
    "cmcrameri": "scientific color maps, [maps]",
    "h5py": "Li et al.'s .h5 files, [hdf5]",
}


def doctor() -> None:
    """Say which versions and optional parts are installed, and where data are looked for."""
    typer.echo(report())


def report() -> str:
    """Versions, optional parts and the data folder, a line each."""
    lines = [f"lossatlas {__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}"]
    lines += [f"  {name} {_version(name) or 'MISSING: pip install ' + name}" for name in NEEDED]
    lines += [f"  {name} {_version(name) or 'not installed'} ({purpose})" for name, purpose in EXTRAS.items()]
    lines.append(f"  cores: {os.cpu_count()}, executable: {sys.executable}")
    lines.append(f"  LOSSATLAS_DATA: {os.environ.get('LOSSATLAS_DATA', 'not set')}")
    return "\n".join(lines)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
