"""`bounds=None` is the window that shows what a plane is made of, whoever asks: `evaluate`, the cost estimate, the maps."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

import lossatlas as la
from lossatlas.compute.planes.windows import window_around

X = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
Y = (X[:, 0] > 0).long()


@functools.cache
def net(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


@functools.cache
def run(seed: int = 0, steps: int = 5, scale: float = 4.0) -> la.Trajectory:
    """A path several units long that bends."""
    start = {n: p.detach() for n, p in net(0).named_parameters()}
    along, across = ({n: torch.randn(p.shape, generator=torch.Generator().manual_seed(seed + k)) for n, p in start.items()} for k in (5, 9))
    points = (
        {n: p + scale * t * along[n] + scale * t * (1 - t) * across[n] for n, p in start.items()} for t in np.linspace(0, 1, steps).tolist()
    )
    return la.Trajectory.from_checkpoints(dict(point) for point in points)


@functools.cache
def objective() -> la.Objective:
    return la.Objective(net(0), torch.nn.functional.cross_entropy, (X, Y))


def curve() -> la.Curve:
    return la.Curve("bezier", tuple({n: p.detach() for n, p in net(seed).named_parameters()} for seed in range(3)))


PLANES = {
    "random": lambda: la.random_plane(net(0)),
    "random line": lambda: la.random_plane(net(0), ndim=1),
    "random, as long as drawn": lambda: la.random_plane(net(0), normalize="none"),
    "weights": lambda: la.weight_plane(net(0), ("0.weight", (0, 1)), ("2.bias", 1)),
    "line between models": lambda: la.plane_through(net(0), net(1)),
    "between models": lambda: la.plane_through(net(0), net(1), net(2)),
    "curve": lambda: la.curve_plane(curve()),
    "hessian": lambda: la.hessian_plane(objective(), tol=0.5),
    "explicit": lambda: la.Plane.from_directions(net(0), net(1), net(2)),
    "pca": lambda: la.pca_plane(run()),
    "centered pca": lambda: la.pca_plane(run(), centered=True),
    "start-end": lambda: la.start_end_plane(run()),
    "shared": lambda: la.joint_pca_plane([run(), run(3)]),
}


def points_to_show(kind: str, plane: la.Plane) -> np.ndarray:
    """Coordinates of what the plane is made of, by projecting each model."""
    models = {
        "pca": [run().params(k) for k in range(5)],
        "centered pca": [run().params(k) for k in range(5)],
        "start-end": [run().params(k) for k in range(5)],
        "shared": [one.params(k) for one in (run(), run(3)) for k in range(5)],
        "line between models": [net(0), net(1)],
        "between models": [net(0), net(1), net(2)],
        "curve": [curve().point(t) for t in (0, 0.25, 0.5, 0.75, 1)],
    }.get(kind, [net(0)])
    return np.array([plane.project(model).coordinates for model in models])


@pytest.mark.parametrize("kind", list(PLANES))
def test_the_window_holds_what_the_plane_is_made_of_and_is_the_default_everywhere(kind: str) -> None:
    plane = PLANES[kind]()
    window, points = np.array(plane.window), points_to_show(kind, plane)
    assert window.shape == (plane.ndim, 2)
    width = window[:, 1] - window[:, 0]
    assert (points >= window[:, 0] + 0.05 * width).all() and (points <= window[:, 1] - 0.05 * width).all()
    if len(points) > 1:
        assert (width <= 3.5 * np.ptp(points, axis=0).max()).all(), "what is there is not lost in the window"
    surface = la.evaluate(objective(), plane, resolution=3, progress=False)
    assert [[float(surface[axis][0]), float(surface[axis][-1])] for axis in surface.loss.dims] == window.tolist()
    estimate = la.estimate_cost(objective(), plane, resolution=3)
    reached = np.array([place for place, _ in estimate.values])
    np.testing.assert_allclose([reached.min(0), reached.max(0)], window.T)


def test_known_windows() -> None:
    assert PLANES["random"]().window == PLANES["hessian"]().window == PLANES["explicit"]().window == ((-1.0, 1.0), (-1.0, 1.0))
    assert PLANES["random line"]().window == ((-1.0, 1.0),)
    assert PLANES["between models"]().window == ((-0.25, 1.25),) * 2 and PLANES["line between models"]().window == ((-0.25, 1.25),)
    free = la.random_plane(net(0), normalize="none")
    weights = torch.cat([p.detach().reshape(-1) for n, p in net(0).named_parameters() if n in free.moving_names])
    step = torch.cat([t.reshape(-1) for t in free.directions[0].params.values()])
    low, high = free.window[0]
    assert -low == high == pytest.approx(float(weights.norm() / step.norm()), rel=0.12)
    model = net(0)
    value, others = float(model[0].weight[0, 1].detach()), model[0].weight.detach().double()
    (low, high), _ = PLANES["weights"]().window
    assert (low + high) / 2 == pytest.approx(value) and (high - low) / 2 >= max(2 * abs(value), 3 * float(others.square().mean().sqrt()))


def test_a_path_of_one_straight_axis_and_points_that_are_not_finite() -> None:
    assert window_around(np.array([[0.0, 1.0], [0.0, 1.0]])) == ((-0.49, 0.49), (0.51, 1.49))
    assert window_around(np.array([[np.nan, 0.0], [2.0, 1.0], [0.0, 0.0]])) == window_around(np.array([[2.0, 1.0], [0.0, 0.0]]))
    (low, high), (down, up) = window_around(np.array([[-300.0, 7.0], [500.0, 7.5]]))
    assert low <= -460 and high >= 660 and (up - down) >= 0.7 * 800


def test_maps_take_the_window_too() -> None:
    plane = la.plane_through(net(0), net(1), net(2))
    noise = la.gradient_noise(objective(), plane, resolution=2, batch_size=4)
    assert noise.alpha.values.tolist() == [-0.25, 1.25]


@pytest.mark.slow
def test_the_hessian_map_takes_the_window_too() -> None:
    plane = la.plane_through(net(0), net(1), net(2))
    assert la.hessian_map(objective(), plane, resolution=2, tol=0.5).alpha.values.tolist() == [-0.25, 1.25]
