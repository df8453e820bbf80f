"""What figures, pages and `lossatlas info` say of a surface, and what they do not say where it would be false."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import xarray as xr
from torch import nn
from torch.nn import functional as F

import lossatlas as la
from lossatlas.viz.compose.compose import compose
from lossatlas.viz.compose.pages import combine
from lossatlas.viz.scene.footnotes import footnotes
from lossatlas.viz.scene.provenance_text import surface_notes
from lossatlas.viz.summary import describe_archive
from lossatlas.viz.web.archive_feed import ArchiveFeed
from lossatlas.viz.web.payload import encode

X, Y = torch.rand(12, 4, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 3


class Adapted(nn.Module):
    """A frozen layer of 8 x 4 weights with an adapter of 12 beside it, and a head of 24; 3 biases."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(4, 8, bias=False)
        self.lora_a, self.lora_b = nn.Linear(4, 1, bias=False), nn.Linear(1, 8, bias=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.base(x) + self.lora_b(self.lora_a(x)))


def adapted() -> Adapted:
    torch.manual_seed(0)
    return Adapted()


def surface(model: Any, plane: Any = None, archive: Any = None, **options: Any) -> xr.Dataset:
    objective = model if isinstance(model, la.Objective) else la.Objective(model, F.cross_entropy, (X, Y), **options)
    plane = la.random_plane(objective) if plane is None else plane
    resolution, metrics = (4, 3) if plane.ndim == 2 else 4, ("loss", "accuracy") if objective.module else ("loss",)
    return la.evaluate(objective, plane, resolution=resolution, metrics=metrics, archive=archive)


def axes_note(dataset: xr.Dataset) -> str:
    (line,) = (note for note in surface_notes(dataset) if note.startswith("axes"))
    return line


PART = "moves 12 of 71 weights: lora_*"


def test_a_plane_of_some_weights_says_so_on_figures_on_pages_and_in_the_inventory() -> None:
    archive = la.open_archive(None, "a")
    found = surface(adapted(), la.random_plane(adapted(), params="lora_*"), archive)
    assert found.attrs["plane"]["weight_count"] == {"moved": 12, "of": 71, "tensors": 5}
    assert axes_note(found).endswith(PART) and "fixed" not in axes_note(found)
    assert any(PART in note for note in footnotes(compose(found)))
    assert PART in describe_archive(archive)
    assert any(PART in note for note in encode(combine([archive])).header["scenes"][0]["surfaces"][0]["notes"])
    assert any(PART in note for note in ArchiveFeed([archive]).poll().payload.header["scenes"][0]["surfaces"][0]["notes"])  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"params": ["lora_a", "head"]}, "biases fixed, moves 28 of 71 weights: lora_a and head"),
        ({"params": ["lora_a", "head"], "biases": True}, "biases perturbed, moves 31 of 71 weights: lora_a and head"),
        ({"params": ["lora_a", "lora_b", "base", "head"]}, "biases fixed"),
        ({"biases": True}, "biases perturbed"),
        ({}, "biases fixed"),
    ],
)
def test_a_plane_of_all_weights_says_nothing_of_it(options: dict[str, Any], words: str) -> None:
    assert axes_note(surface(adapted(), la.random_plane(adapted(), **options))).split(", ", 4)[-1] == words


def test_other_planes_of_some_weights_say_so_too() -> None:
    model, other, far = adapted(), adapted(), adapted()
    with torch.no_grad():
        other.lora_a.weight.add_(1)
        far.base.weight[2:4, 1].add_(1)
        far.head.bias.add_(1)
    assert axes_note(surface(model, la.plane_through(model, other))).endswith("moves 4 of 71 weights: lora_a.weight")
    assert axes_note(surface(model, la.plane_through(model, other, far))).endswith(
        "moves 9 of 71 weights: base.weight, lora_a.weight and head.bias"
    )
    assert axes_note(surface(model, la.weight_plane(model, ("head.bias", 0), ("head.bias", 2)))).endswith("moves 2 of 71 weights")
    every = {n: torch.ones_like(p) for n, p in model.named_parameters()}
    assert "moves" not in axes_note(surface(model, la.Plane.from_directions(model, every, every | {"base.weight": torch.zeros(8, 4)})))
    none_of_head = every | {"head.weight": torch.zeros(3, 8)}
    assert axes_note(
        surface(model, la.Plane.from_directions(model, none_of_head, copy.copy(none_of_head) | {"lora_a.weight": -torch.ones(1, 4)}))
    ).endswith("moves 47 of 71 weights")


def test_many_tensors_are_counted_not_listed() -> None:
    layers = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(5)), nn.Linear(4, 3, bias=False))
    moved = {f"{i}.weight": torch.ones(4, 4) for i in range(4)}
    assert axes_note(surface(layers, la.Plane.from_directions(layers, moved))).endswith(
        "moves 64 of 92 weights: 0.weight, 1.weight and 2 more"
    )


def test_layers_are_spoken_of_where_there_are_some() -> None:
    norm = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))
    drop = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Dropout(0.5), nn.Linear(5, 3, bias=False))
    plain = nn.Sequential(nn.Linear(4, 5, bias=False), nn.LayerNorm(5), nn.Linear(5, 3, bias=False))
    bare = nn.Sequential(nn.Linear(4, 5, bias=False), nn.Linear(5, 3, bias=False))
    said = {name: surface_notes(surface(m)) for name, m in (("norm", norm), ("drop", drop), ("plain", plain), ("bare", bare))}
    assert "biases and BatchNorm fixed" in said["norm"][0] and "(BatchNorm by running statistics)" in said["norm"][1]
    assert "fixed" not in said["drop"][0] and "eval mode (no dropout)," in said["drop"][1]
    assert "LayerNorm fixed" in said["plain"][0] and "eval mode," in said["plain"][1]
    for name in ("drop", "plain", "bare"):
        assert not any(word in note for note in said[name] for word in ("BatchNorm", "bias")), name
    batch = surface(drop, mode="train")
    assert "train mode (dropout noise the same at every point)," in surface_notes(batch)[1]


def test_of_an_analytic_function_nothing_is_said_of_layers() -> None:
    bowl = la.Objective(lambda p, _: (p["w"] ** 2).sum(), params={"w": torch.ones(2, 3)})
    for plane in (la.random_plane(bowl), la.weight_plane(bowl, ("w", (0, 0)), ("w", (1, 2)))):
        notes = surface_notes(surface(bowl, plane))
        assert not any(word in note for note in notes for word in ("BatchNorm", "bias", "dropout", "mode")), notes


def test_older_archives_say_what_is_known_of_them() -> None:
    found = surface(adapted())
    plane = {k: v for k, v in found.attrs["plane"].items() if k not in ("one_dimensional", "weight_count", "filter_axes")}
    old = found.assign_attrs(plane=plane, objective={**found.attrs["objective"], "mode_layers": True})
    assert axes_note(old).endswith("one-dimensional weights fixed")
    assert "(BatchNorm by running statistics, no dropout)" in surface_notes(old)[1]


def test_a_figure_tells_the_standard_error_of_the_quantity_it_shows() -> None:
    """From the numbers: the largest error of each quantity over the cells."""
    found = surface(adapted())
    largest = {key: float(found[f"{key}_standard_error"].max()) for key in ("loss", "accuracy")}
    assert largest["accuracy"] > 0 and largest["loss"] > 0
    for quantity, other in (("loss", "accuracy"), ("accuracy", "loss")):
        (line,) = (note for note in footnotes(compose(found, quantity=quantity)) if "standard error" in note)
        said = line.split("; ")[0].removeprefix(f"standard error of a cell's {quantity} up to ").removesuffix(" nats")
        assert float(said) == pytest.approx(largest[quantity], rel=0.06), "two digits"
        assert ("nats" in line) == (quantity == "loss") and f"cell's {other}" not in line
    assert any("cell's loss" in note for note in footnotes(compose(found, quantity="loss_standard_error")))
    told = [note for note in surface_notes(found) if "standard error" in note]
    assert [note.split("'s ")[1].split()[0] for note in told] == ["accuracy", "loss"]


def test_a_quantity_without_standard_errors_is_told_none() -> None:
    found = surface(adapted()).drop_vars("accuracy_standard_error")
    assert not any("standard error" in note for note in footnotes(compose(found, quantity="accuracy")))
    whole = surface(adapted(), population=12)
    assert [note for note in surface_notes(whole) if "standard error" in note] == ["no standard error: these samples are all there is"]


def test_the_inventory_tells_the_range_of_what_was_estimated_from_samples() -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(1000, 3, generator=generator), torch.randint(0, 2, (1000,), generator=generator)
    objective = la.Objective(torch.nn.Linear(3, 2), F.cross_entropy, (x, y), population=1000)
    archive = la.open_archive(None, "a")
    plane = la.random_plane(objective, seed=0)
    found = la.evaluate(objective, plane, resolution=9, archive=archive, tol=0.2, engine=la.Engine(sampling="multilevel"))
    assert not found.done.all(), "estimated"
    text = describe_archive(archive)
    lowest, highest = float(found.loss_filled.min()), float(found.loss_filled.max())
    assert f"loss_filled: {lowest:.6g} to {highest:.6g}" in text and "samples_drawn: " in text
    assert "no finite value" not in text and "no standard error" not in text


def test_the_inventory_says_of_a_recording_what_is_known() -> None:
    archive, model = la.open_archive(None, "a"), adapted()
    la.Trajectory.from_checkpoints([model.state_dict(), model.state_dict()], archive=archive, name="saved", label="checkpoints")
    with la.Recorder(archive, model, torch.optim.SGD(model.parameters(), lr=0.25), name="sgd") as recorder:
        recorder.step()
    text = describe_archive(archive)
    assert "?" not in text
    assert "trajectory saved (checkpoints)\n    1 steps" in text
    assert "trajectory sgd\n    SGD, learning rate 0.25, 1 steps" in text
