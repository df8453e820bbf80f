"""Races: each path is its optimizer's own, from the same start; one that diverges is seen leaving."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.compute.paths.optimizer_choice import optimizer_choices
from lossatlas.optimizer_race import Race
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.mpl import figure as drawing


def bowl(x: Any, y: Any) -> Any:
    return x**2 / 2 + 2 * y**2


def by_torch(make: Any, start: tuple[float, float], steps: int) -> np.ndarray:
    """The same optimizer in a plain loop."""
    point = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer, places = make([point]), [point.detach().numpy().copy()]
    for _ in range(steps):
        optimizer.zero_grad()
        bowl(*point).backward()
        optimizer.step()
        places.append(point.detach().numpy().copy())
    return np.array(places)


FORMS: dict[str, tuple[Any, Any]] = {
    "a rate": (("SGD", 0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "lower case": (("adam", 0.2), lambda p: torch.optim.Adam(p, lr=0.2)),
    "momentum": (("momentum", 0.1), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "options": (("mine", {"optimizer": "SGD", "lr": 0.1, "momentum": 0.5}), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5)),
    "a class": (("RMS", torch.optim.RMSprop), lambda p: torch.optim.RMSprop(p)),
    "a factory": (("f", lambda p: torch.optim.NAdam(p, lr=0.3)), lambda p: torch.optim.NAdam(p, lr=0.3)),
    "a name": (("fast", "AdamW"), lambda p: torch.optim.AdamW(p)),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_path_is_that_of_a_plain_loop(form: str) -> None:
    (label, value), make = FORMS[form]
    result = la.race(bowl, {label: value}, (1.5, -1.0), 7, resolution=3)
    path, expected = result.paths[label], by_torch(make, (1.5, -1.0), 7)
    np.testing.assert_allclose(np.stack([path.path_alpha, path.path_beta], 1), expected, rtol=1e-12)  # the same operations in float64
    np.testing.assert_allclose(path.path_loss, [bowl(*place) for place in expected], rtol=1e-12)


def test_functions_without_tensors_run_by_finite_differences() -> None:
    plain = la.race(lambda x, y: math.cosh(x) + y**2, {"SGD": 0.1}, (1.0, 0.5), 5, resolution=3)
    x, y = 1.0, 0.5
    for alpha, beta in zip(plain.paths["SGD"].path_alpha.values, plain.paths["SGD"].path_beta.values, strict=True):
        assert (alpha, beta) == pytest.approx((x, y), rel=1e-7)  # central differences of a smooth function
        x, y = x - 0.1 * math.sinh(x), y - 0.1 * 2 * y


def test_known_functions_bring_window_and_start() -> None:
    for function in (la.functions.himmelblau, la.functions.himmelblau()):
        result = la.race(function, {"Adam": 0.2}, steps=3, resolution=(4, 3))
        assert result.start == (0.0, 0.0) and result.surface.attrs["grid"]["bounds"] == [[-6, 6], [-6, 6]]
    assert result.surface.attrs["plane"]["origin"] is None


def test_one_rate_serves_a_list_of_names() -> None:
    result = la.race(bowl, ["SGD", "Adam"], (1.0, 1.0), 2, lr=0.05, resolution=3)
    assert [choice.learning_rate for choice in result.choices] == [0.05, 0.05]
    assert result.paths["Adam"].attrs["label"] == "Adam, lr 0.05"
    assert la.race(bowl, ["adam"], (1.5, -1.0), 2, resolution=3).paths["adam"].attrs["label"] == "Adam, lr 0.001"


def test_an_objective_runs_on_its_plane() -> None:
    torch.manual_seed(0)
    x = torch.randn(20, 3)
    objective = la.Objective(torch.nn.Linear(3, 2), torch.nn.functional.cross_entropy, (x, (x[:, 0] > 0).long()))
    plane = la.random_plane(objective, seed=4)
    result = la.race(objective, {"SGD": 0.5}, steps=4, plane=plane, resolution=(3, 4))
    expected = la.optimize_on_plane(objective, plane, (0, 0), learning_rate=0.5, steps=4)
    np.testing.assert_array_equal(result.paths["SGD"].path_loss, expected.path_loss)
    assert float(result.paths["SGD"].path_loss[0]) == pytest.approx(objective.loss(), rel=1e-6)


def diverging() -> Race:
    return la.race(la.functions.rosenbrock(), {"SGD": 0.02, "Adam": 0.1}, (-1.5, 2.5), 30, resolution=(5, 4))


@pytest.mark.slow
def test_a_run_that_diverges_is_seen_leaving() -> None:
    result = diverging()
    path = result.paths["SGD"]
    assert not np.isfinite(path.path_loss[-1]) and np.isfinite(path.path_loss[:-1]).all() and path.sizes["step"] < 31
    assert path.attrs["label"] == f"SGD, lr 0.02 (diverged at step {int(path.step[-1])})"
    assert "SGD, lr 0.02" in str(result).splitlines()[-1]
    scene = compose([result.surface, *result._drawn_paths()], kind="contour")
    figure = drawing.figure(scene)
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    lines = [np.asarray(line.get_xdata(), float) for line in axes.lines]
    assert any(len(x) > 1 and x[0] == -1.5 and (x[1] < low or x[1] > high) for x in lines), "the step out of the window is drawn"
    assert all(np.nanmax(np.abs(x), initial=0) < 1e6 for x in lines)


def test_all_rates_times_a_factor() -> None:
    result = la.race(bowl, {"SGD": 0.1, "momentum": {"lr": 0.01}}, (1.0, 1.0), 3, resolution=3)
    faster = result.at(3)
    assert [choice.learning_rate for choice in faster.choices] == pytest.approx([0.3, 0.03]) and faster.surface is result.surface
    np.testing.assert_allclose(faster.paths["SGD"].path_alpha, by_torch(lambda p: torch.optim.SGD(p, lr=0.3), (1, 1), 3)[:, 0], rtol=1e-12)


def test_a_page_has_a_slider_over_the_rates(tmp_path: Path) -> None:
    result = la.race(bowl, {"SGD": 0.1}, (1.0, 1.0), 3, resolution=3)
    page = result.view(export=tmp_path / "race.html", factors=(0.5, 2)).read_text(encoding="utf-8")
    header = json.loads(re.search(r'id="lossatlas-header">(.*?)</script>', page)[1])  # type: ignore[index]
    assert [scene["paths"][0]["label"] for scene in header["scenes"]] == ["SGD, lr 0.05", "SGD, lr 0.1", "SGD, lr 0.2"]
    assert header["view"] == {"scene": 1}
    assert 'type="range" min="0" max="2" step="1" value="1"' in page
    values = re.search(r"const values = (\[.*?\])", page)
    assert values is not None and json.loads(values[1]) == ["× 0.5", "× 1", "× 2"]


def test_a_race_is_stored_and_drawn_from_its_archive(tmp_path: Path) -> None:
    result = la.race(bowl, {"SGD": 0.1}, (1.0, 1.0), 3, resolution=3, archive=tmp_path / "race.zarr")
    stored = la.open_archive(tmp_path / "race.zarr")
    np.testing.assert_array_equal(stored.trajectory("SGD").path_loss, result.paths["SGD"].path_loss)
    assert [path.label for path in compose(tmp_path / "race.zarr").paths] == ["SGD, lr 0.1"]


@pytest.mark.parametrize(
    ("optimizers", "words"),
    [
        ({"SDG": 0.1}, r"one of .*SGD.*Did you mean SGD\?"),
        ({"SGD": -1}, "above 0"),
        ({}, "at least one"),
        (3, "a dict such as"),
        ({"SGD": {"lr": 0.1, "momentun": 0.9}}, "momentun"),
        ({"mine": lambda p: 3}, r"a torch\.optim\.Optimizer"),
        ({"L": lambda p: torch.optim.LBFGS(p)}, "takes no closure"),
        ({"SGD": None}, "a learning rate, a dict of options"),
    ],
)
def test_what_is_no_optimizer_is_named(optimizers: Any, words: str) -> None:
    with pytest.raises(la.InputError, match=words):
        optimizer_choices(optimizers)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((bowl, {"SGD": 0.1}), "where the race begins"),
        ((bowl, {"SGD": 0.1}, (1, 2, 3)), "two numbers"),
        (("bowl", {"SGD": 0.1}, (1, 2)), "function: got bowl; expected .rosenbrock"),
        ((5, {"SGD": 0.1}, (1, 2)), "a function f"),
        ((bowl, {"SGD": 0.1}, (1, 2), 0), "at least 1"),
    ],
)
def test_what_is_no_race_is_named(arguments: Any, words: str) -> None:
    with pytest.raises(la.InputError, match=words):
        la.race(*arguments)


@pytest.mark.slow
def test_a_function_goes_by_its_name_and_a_race_prints_and_shows_itself_briefly() -> None:
    by_name = la.race("Himmelblau", {"SGD": 0.01}, steps=2, resolution=3)
    given = la.race(la.functions.himmelblau, {"SGD": 0.01}, steps=2, resolution=3)
    assert by_name.paths["SGD"].identical(given.paths["SGD"])
    assert repr(by_name) == "<Race of SGD, lr 0.01: 2 steps each on Himmelblau>"
    assert by_name._repr_png_().startswith(b"\x89PNG")


@pytest.mark.slow
def test_plot_takes_a_race_as_it_is() -> None:
    result = la.race("himmelblau", {"SGD": 0.01}, steps=2, resolution=3)
    drawn, expected, without = (
        la.plot(parts, kind="contour") for parts in (result, [result.surface, *result.paths.values()], result.surface)
    )
    pictures = [drawing.encoded(figure, ".png", 40) for figure in (drawn, expected, without)]
    assert pictures[0] == pictures[1] != pictures[2]
