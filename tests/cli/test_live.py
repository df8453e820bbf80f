"""`evaluate_live`: a page follows, may stop it, and changes no value."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.cli.app import main

pytest.importorskip("starlette")


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that would have been opened in the browser."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    return opened


def problem() -> tuple[Any, Any]:
    objective = la.Objective(lambda p, batch: (p["w"] ** 4).sum() + p["w"].prod(), params={"w": torch.tensor([0.3, -0.2])})
    return objective, la.weight_plane(objective, ("w", 0), ("w", 1))


def test_a_page_stands_while_cells_are_computed_and_values_stay(pages: list[str]) -> None:
    objective, plane = problem()
    seen: list[int] = []

    def look(*_: Any) -> None:
        with urllib.request.urlopen(pages[0], timeout=10) as page:
            seen.append(page.status)

    surface = la.evaluate_live(objective, plane, resolution=(3, 4), engine=la.Engine(tile=6, executor="serial"), on_tile=look)
    np.testing.assert_array_equal(surface.loss, la.evaluate(objective, plane, resolution=(3, 4)).loss)
    assert len(pages) == 1 and seen == [200, 200]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(pages[0], timeout=2)


@pytest.mark.slow
def test_the_page_stops_it_and_the_same_call_continues(pages: list[str], tmp_path: Path) -> None:
    objective, plane = problem()
    options: dict[str, Any] = {"resolution": (3, 4), "engine": la.Engine(tile=5, executor="serial"), "archive": tmp_path / "a.zarr"}

    def stop(*_: Any) -> None:
        wish = urllib.request.Request(pages[0].replace("/?", "/ask?"), json.dumps({"do": "stop"}).encode(), method="POST")
        wish.add_header("Origin", pages[0].split("/?")[0])
        urllib.request.urlopen(wish, timeout=10).close()

    with pytest.raises(KeyboardInterrupt):
        la.evaluate_live(objective, plane, on_tile=stop, **options)
    assert int(la.open_archive(tmp_path / "a.zarr").surface().done.sum()) == 5
    continued = la.evaluate(objective, plane, **options)
    np.testing.assert_array_equal(continued.loss, la.evaluate(objective, plane, resolution=(3, 4)).loss)


def test_the_browser_may_stay_closed_and_wrong_keywords_are_named(pages: list[str]) -> None:
    objective, plane = problem()
    assert la.evaluate_live(objective, plane, resolution=(3, 4), open_browser=False).done.all() and not pages
    wrong: dict[str, Any] = {"tile": 3}
    with pytest.raises(la.InputError, match=r"engine=la.Engine\(tile=3\)"):
        la.evaluate_live(objective, plane, **wrong)
    with pytest.raises(la.InputError, match="host"):
        la.evaluate_live(objective, plane, resolution=(3, 4), host="example.org")


@pytest.mark.slow
def test_the_command_opens_a_page(pages: list[str], tmp_path: Path) -> None:
    model = Path(__file__).parents[2] / "examples" / "my_model.py"
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", f"{model}:objective", "--archive", str(tmp_path / "a.zarr"), "--resolution", "3x4", "--live"])
    assert not ended.value.code and len(pages) == 1
    assert la.open_archive(tmp_path / "a.zarr").surface().done.all()
