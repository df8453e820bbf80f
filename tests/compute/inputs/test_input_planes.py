"""Planes in input space against closed forms in NumPy: a linear model is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import lossatlas as la
from lossatlas.compute.inputs.clipping_box import polygon_inside
from lossatlas.viz.compose.clipping_box import box_outlines
from lossatlas.viz.compose.compose import compose

F64 = torch.float64
GENERATOR = torch.Generator().manual_seed(0)
X = torch.rand(6, 5, generator=GENERATOR, dtype=F64) * 0.6 + 0.2
Y = torch.tensor([0, 1, 2, 0, 1, 2])
WEIGHT = torch.randn(3, 5, generator=GENERATOR, dtype=F64)
BIAS = torch.randn(3, generator=GENERATOR, dtype=F64)


def linear() -> torch.nn.Linear:
    layer = torch.nn.Linear(5, 3, dtype=F64)
    with torch.no_grad():
        layer.weight.copy_(WEIGHT), layer.bias.copy_(BIAS)
    return layer


def objective(samples: Any = 0, **options: Any) -> la.InputObjective:
    return la.InputObjective(la.Objective(linear(), F.cross_entropy, (X, Y), batch_size=4), samples, **options)


def logits(x: np.ndarray) -> np.ndarray:
    return x @ WEIGHT.numpy().T + BIAS.numpy()


def losses(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Cross-entropy, in NumPy."""
    z = logits(x)
    return np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) + z.max(1) - z[np.arange(len(y)), y]


def loss_gradients(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``W' (softmax - one_hot)``."""
    p = np.exp(logits(x) - logits(x).max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return (p - np.eye(3)[y]) @ WEIGHT.numpy()


@pytest.mark.parametrize("samples", [2, [4, 1], range(6)])
@pytest.mark.parametrize("kinds", [("gradient", "random"), ("signed gradient", "Rademacher"), (X[5] - X[0], "gradient")])
def test_the_plane_of_a_linear_model_is_exact(samples: Any, kinds: tuple[Any, Any]) -> None:
    around = objective(samples)
    plane = la.input_plane(around, *kinds, seed=3)
    surface = la.evaluate(around, plane, ((-1, 1), (-0.5, 2)), (4, 3), ("loss", "accuracy"), progress=False)
    index = [samples] if isinstance(samples, int) else list(samples)
    x, y = X[index].numpy(), Y[index].numpy()
    d, e = (direction.params["input"].numpy() for direction in plane.directions)
    for i, a in enumerate(surface.alpha.values):
        for j, b in enumerate(surface.beta.values):
            moved = x + a * d + b * e
            assert float(surface.loss[i, j]) == pytest.approx(losses(moved, y).mean(), rel=1e-12)
            assert float(surface.accuracy[i, j]) == (logits(moved).argmax(1) == y).mean()
            if len(index) > 1:
                error = losses(moved, y).std(ddof=1) / np.sqrt(len(index))
                assert float(surface.loss_standard_error[i, j]) == pytest.approx(error, rel=1e-9)
    assert around.loss() == pytest.approx(losses(x, y).mean(), rel=1e-14)


def test_directions_are_what_their_names_say() -> None:
    around = objective(range(6))
    expected = loss_gradients(X.numpy(), Y.numpy())
    np.testing.assert_allclose(around.gradients(), expected, rtol=1e-12)
    gradient, random = (d.params["input"].numpy() for d in la.input_plane(around, "gradient", "random").directions)
    np.testing.assert_allclose(gradient, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(random, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose((gradient * random).sum(1), 0, atol=1e-14)
    signed, rademacher = (d.params["input"].numpy() for d in la.input_plane(around, "signed gradient", "Rademacher").directions)
    np.testing.assert_array_equal(signed, np.sign(expected))
    assert set(np.unique(rademacher)) == {-1.0, 1.0}
    again, other = (la.input_plane(around, "gradient", "random", seed=s).directions[1].params["input"].numpy() for s in (0, 1))
    np.testing.assert_array_equal(random, again)
    assert not np.allclose(random, other)


def test_a_sample_stands_at_one_on_the_line_towards_it() -> None:
    around = objective(0)
    line = la.input_plane(around, X[5] - X[0], None)
    surface = la.evaluate(around, line, (0, 1), 3, progress=False)
    expected = losses(np.stack([X[0].numpy(), X[5].numpy()]), np.array([0, 0]))
    np.testing.assert_allclose(surface.loss[[0, 2]], expected, rtol=1e-12)


def test_inputs_are_clipped_where_asked() -> None:
    around = objective(1, box=(0.0, 1.0), clip=True)
    plane = la.input_plane(around, "signed gradient", "Rademacher")
    surface = la.evaluate(around, plane, (-1, 1), (3, 4), progress=False)
    d, e = (direction.params["input"].numpy() for direction in plane.directions)
    expected = [
        [losses(np.clip(X[1:2].numpy() + a * d + b * e, 0, 1), Y[1:2].numpy())[0] for b in surface.beta.values]
        for a in surface.alpha.values
    ]
    np.testing.assert_allclose(surface.loss, expected, rtol=1e-12)


def test_evaluators_agree_on_images_with_batch_norm() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(48, 4)
    ).double()
    images, labels = torch.rand(5, 1, 6, 6, dtype=F64), torch.tensor([0, 1, 2, 3, 0])
    model(images)  # running statistics of its own
    before = {name: value.clone() for name, value in model.state_dict().items()}
    around = la.InputObjective(la.Objective(model, F.cross_entropy, (images, labels)), range(5))
    plane = la.input_plane(around)
    loop, vmap = (
        la.evaluate(around, plane, resolution=(3, 4), engine=la.Engine(evaluator=name), progress=False) for name in ("loop", "vmap")
    )
    np.testing.assert_allclose(loop.loss, vmap.loss, rtol=1e-12)
    model.eval()
    moved = images + plane.directions[0].params["input"] * loop.alpha.values[0] + plane.directions[1].params["input"] * loop.beta.values[0]
    assert float(loop.loss[0, 0]) == pytest.approx(float(F.cross_entropy(model(moved), labels).detach()), rel=1e-12)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_model_of_other_weights_continues_no_surface(tmp_path: Path) -> None:
    around = objective(0)
    plane = la.input_plane(around)
    la.evaluate(around, plane, resolution=3, archive=tmp_path / "a.zarr", progress=False)
    la.evaluate(around, plane, resolution=3, archive=tmp_path / "a.zarr", progress=False)
    model = linear()
    with torch.no_grad():
        model.weight *= 2
    other = la.InputObjective(la.Objective(model, F.cross_entropy, (X, Y)), 0)
    with pytest.raises(la.ArchiveError, match="is another one"):
        la.evaluate(other, plane, resolution=3, archive=tmp_path / "a.zarr", progress=False)


# -- the box -------------------------------------------------------------------------------------------------


def inside(polygon: np.ndarray, point: np.ndarray) -> bool:
    """Whether a point lies in a convex polygon whose corners go around in either sense."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    offsets = point - polygon
    cross = edges[:, 0] * offsets[:, 1] - edges[:, 1] * offsets[:, 0]
    return bool((cross >= 0).all() or (cross <= 0).all())


@pytest.mark.parametrize("seed", range(4))
def test_the_polygon_holds_the_points_within_the_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, d, e = rng.uniform(0.1, 0.9, 7), rng.normal(size=7), rng.normal(size=7)
    polygon = polygon_inside(x, d, e, (0.0, 1.0))
    for point in rng.uniform(-0.6, 0.6, (300, 2)):
        moved = x + point[0] * d + point[1] * e
        if min(abs(moved).min(), abs(moved - 1).min()) > 1e-9:
            assert inside(polygon, point) == bool(((moved >= 0) & (moved <= 1)).all())


def test_a_black_pixel_leaves_the_box_at_once() -> None:
    d, e = np.array([1.0, -1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, -1.0])
    polygon = polygon_inside(np.zeros(4), d, e, (0.0, 1.0))
    np.testing.assert_allclose(polygon, 0, atol=1e-12)


def test_figures_mark_the_box() -> None:
    around = objective(1, box=(0.0, 1.0))
    surface = la.evaluate(around, la.input_plane(around), (-2, 2), (5, 4), progress=False)
    scene = compose(surface)
    (outline,) = scene.outlines
    assert outline.label == "inputs within [0, 1]"
    assert np.abs(outline.alpha).max() <= 2 and np.abs(outline.beta).max() <= 2
    assert scene.surfaces[0].origin_label == "the sample itself"
    several = objective([0, 1], box=(0.0, 1.0))
    assert not compose(la.evaluate(several, la.input_plane(several), resolution=(3, 4), progress=False)).outlines


@pytest.mark.parametrize("damage", [None, "text", [[1.0]], [[0.0, float("nan")]], {}])
def test_boxes_of_strangers_are_left_out(damage: Any) -> None:
    around = objective(1, box=(0.0, 1.0))
    surface = la.evaluate(around, la.input_plane(around), (-2, 2), 3, progress=False)
    surface.attrs["plane"] = {**surface.attrs["plane"], "box_polygon": damage}
    assert box_outlines([surface]) == ()


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 6}, "0 to 5"),
        ({"samples": []}, "samples"),
        ({"samples": [1, 1]}, "different"),
        ({"samples": 1.5}, "samples"),
        ({"box": (1.0, 0.0)}, "lower number first"),
        ({"box": 1.0}, "box"),
        ({"box": (0.5, 0.6)}, "standardized"),
        ({"clip": True}, r"box=\(0\.0, 1\.0\)"),
    ],
)
def test_wrong_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(la.InputError, match=message):
        objective(**options)


def test_what_has_no_inputs_to_move_is_refused() -> None:
    with pytest.raises(la.InputError, match=r"nn\.Module"):
        la.InputObjective(la.functions.booth())
    embedding = torch.nn.Sequential(torch.nn.Embedding(4, 3), torch.nn.Flatten(), torch.nn.Linear(6, 2))
    tokens = la.Objective(embedding, F.cross_entropy, (torch.tensor([[0, 1], [2, 3]]), torch.tensor([0, 1])))
    with pytest.raises(la.InputError, match="embeddings"):
        la.InputObjective(tokens)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gradients",), "'signed gradient'"),
        (("gradient", "gradient"), "parallel"),
        ((np.ones(4),), r"shape \(4,\)"),
        ((np.zeros(5),), "zero"),
        ((np.full(5, np.nan),), "finite"),
        ((object(),), "first"),
    ],
)
def test_wrong_directions_are_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(la.InputError, match=message):
        la.input_plane(objective(0), *arguments)


def test_a_loss_without_a_gradient_is_refused() -> None:
    model = linear()
    with torch.no_grad():
        model.weight.zero_()
    with pytest.raises(la.InputError, match="zero or not finite"):
        la.input_plane(la.InputObjective(la.Objective(model, F.cross_entropy, (X, Y)), 0))
    with pytest.raises(la.InputError, match=r"la\.InputObjective"):
        la.input_plane(la.Objective(linear(), F.cross_entropy, (X, Y)))  # type: ignore[arg-type]


# -- decision regions ----------------------------------------------------------------------------------------


def test_decision_regions_are_those_of_the_linear_model() -> None:
    around = objective(2)
    plane = la.input_plane(around, "gradient", "random")
    regions = la.decision_regions(around, plane=plane, bounds=((-3, 3), (-2, 2)), resolution=(7, 4))
    d, e = (direction.params["input"].numpy() for direction in plane.directions)
    expected = [[logits(X[2:3].numpy() + a * d + b * e).argmax() for b in regions.area_y.values] for a in regions.area_x.values]
    np.testing.assert_array_equal(regions.area_class[0], expected)
    scene = compose(regions, title="regions")
    assert [pane.kind for pane in scene.panes] == ["areas"] and scene.panes[0].x_label == plane.labels[0]


@pytest.mark.parametrize("options", [{}, {"plane": "a plane"}])
def test_decision_regions_need_an_input_plane(options: dict[str, Any]) -> None:
    around = objective(2)
    if options:
        options = {"plane": la.random_plane(la.Objective(linear(), F.cross_entropy, (X, Y)))}
    with pytest.raises(la.InputError, match="input_plane"):
        la.decision_regions(around, **options)
    with pytest.raises(la.InputError, match="of one sample"):
        la.decision_regions(objective([0, 1]), plane=la.input_plane(objective([0, 1])))
