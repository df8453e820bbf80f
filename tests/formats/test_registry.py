"""Import and export by the ending of a name."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from formats import cases
from lossatlas import archive, schema
from lossatlas.errors import InputError
from lossatlas.formats import FORMATS, export_surface, import_surface


@pytest.mark.parametrize("suffix", [suffix for suffix, kind in FORMATS.items() if kind.reader and kind.writer])
def test_every_format_brings_the_values_back(suffix: str, tmp_path: Path) -> None:
    given = cases.surface()
    back = import_surface(export_surface(given, tmp_path / f"s{suffix}"))
    assert back.loss.dims == ("alpha", "beta")
    assert np.array_equal(back.loss, given.loss)
    assert np.array_equal(back.done, given.done)
    assert back.attrs["kind"] == "surface"


@pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS.keys())
def test_every_registered_function_exists(kind: object) -> None:
    for place in filter(None, (kind.reader, kind.writer)):  # type: ignore[attr-defined]
        module, name = place.split(":")
        assert callable(getattr(importlib.import_module(f"lossatlas.formats.{module}"), name))


def test_options_reach_the_format(tmp_path: Path) -> None:
    path = export_surface(cases.surface(), tmp_path / "s_zmax=150_log.vtp", zmax=150.0, log=True)
    assert float(import_surface(path).loss.max()) == np.log(150.1)


def test_unknown_endings_and_options(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.h5, \.vtp, \.csv, \.npz"):
        import_surface(tmp_path / "s.pkl")
    with pytest.raises(InputError, match=r"ends in .*\.vtp"):
        export_surface(cases.surface(), tmp_path / "s")
    with pytest.raises(InputError, match=r"options: got zmin; expected for \.vtp: quantity, zmax, log"):
        export_surface(cases.surface(), tmp_path / "s.vtp", zmin=3)
    with pytest.raises(InputError, match="a file that exists"):
        import_surface(tmp_path / "absent.csv")


@pytest.mark.parametrize("suffix", [".h5", ".csv", ".npz", ".vtp"])
def test_an_import_can_be_stored_in_an_archive(suffix: str, tmp_path: Path) -> None:
    """Every import has the attributes and arrays that the archive takes, and comes back from it the same."""
    surface = import_surface(export_surface(cases.surface(), tmp_path / f"s{suffix}"))
    store = archive.open_archive(None, "a")
    metrics = [schema.variable(str(name)) for name in surface.data_vars if name != "done"]
    store.create_surface("imported", {axis: surface[axis].values for axis in surface.dims}, metrics, surface.attrs)
    cells = np.flatnonzero(surface.done)
    store.write_cells("imported", cells, {v.name: surface[v.name].values.ravel()[cells] for v in metrics})
    back = store.surface("imported")
    assert np.array_equal(back.loss, surface.loss)
    assert back.attrs == surface.attrs


@pytest.mark.slow
def test_nothing_here_imports_torch_or_h5py() -> None:
    modules = [f"lossatlas.formats.{name}" for name in ("li_h5", "li_directions", "vtp", "table")]
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules or 'h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
