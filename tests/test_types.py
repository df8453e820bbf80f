"""The public surface is typed for whoever uses it: `py.typed` is there, and `pyright --verifytypes` knows every public name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import lossatlas as la

SOURCE = Path(la.__file__).parents[1]
SCIPY = {"CurvatureOperator", "extreme_eigenvalues", "estimate_trace", "ggn_operator", "hessian_operator", "spectral_density"}
"""These are or take a `scipy.sparse.linalg.LinearOperator`, and SciPy ships no types."""


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "lossatlas" / "py.typed").is_file()


@pytest.mark.slow
def test_every_public_name_has_known_types() -> None:
    symbols = verified_symbols()
    public = {name: (f"lossatlas.{name}", f"{module}.{name}") for name, module in la._PUBLIC.items() if name not in SCIPY}
    wrong = [
        symbol["name"]
        for symbol in symbols
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
        for paths in public.values()
        if symbol["name"] in paths or symbol["name"].startswith(f"{paths[1]}.")
    ]
    exported = {symbol["name"] for symbol in symbols}
    missing = [name for name, paths in public.items() if not exported.intersection(paths)]
    assert not wrong
    assert not missing


def verified_symbols() -> list[dict[str, Any]]:
    """What pyright says of each symbol of the package; it takes the Python that comes first in PATH and this tree from PYTHONPATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "pyright", "--verifytypes", "lossatlas", "--ignoreexternal", "--outputjson"]
    report = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300).stdout)["typeCompleteness"]
    assert Path(report["packageRootDirectory"]).resolve() == (SOURCE / "lossatlas").resolve()
    return [symbol for symbol in report["symbols"] if symbol["isExported"]]
