"""Small scenes with known values for the browser tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from lossatlas.viz.scene.model import Field, Pane, PathData, Scene, Surface, Timeline


def bowl(na: int = 21, nb: int = 33, shift: float = 0.0) -> np.ndarray:
    """A tilted bowl over [-1, 1] x [-1, 1], no two neighboring cells alike."""
    alpha, beta = np.linspace(-1, 1, na)[:, None], np.linspace(-1, 1, nb)[None]
    return 0.3 + (alpha - shift) ** 2 + 0.6 * beta**2 + 0.2 * alpha * beta + 0.1 * np.sin(5 * alpha + 3 * beta)


def scene(values: np.ndarray, *, name: str = "s", alpha: Any = None, beta: Any = None, **more: Any) -> Scene:
    shape = values.shape[-2:]
    a = np.linspace(-1, 1, shape[0]) if alpha is None else np.asarray(alpha, float)
    b = np.linspace(-1, 1, shape[1]) if beta is None else np.asarray(beta, float)
    surface = Surface(name, a, b, {"loss": Field(values, "loss [nats]", "nats")}, label=name, notes=("made up for a test",))
    return Scene((Pane("surface", (name,)),), (surface,), **{"title": "A test", **more})


def animated(frames: int = 8, side: int = 17) -> Scene:
    """A bowl that moves, with a path, over `frames` frames."""
    values = np.stack([bowl(side, side, 0.5 * k / frames) for k in range(frames)])
    steps = np.arange(frames) * 10
    path = PathData(
        "descent",
        np.linspace(-0.8, 0, frames),
        np.linspace(0.7, 0.1, frames),
        steps,
        label="SGD",
        loss=np.linspace(2, 0.4, frames),
        residual=np.full(frames, 0.25),
    )
    made = scene(values, paths=(path,), timeline=Timeline(steps, tuple(f"step {s}" for s in steps)))
    return made.replace(panes=(Pane("surface", ("s",), ("descent",)),))


def pair() -> Scene:
    """Two surfaces on one plane, of different height."""
    one, two = scene(bowl(), name="one").surfaces[0], scene(2 * bowl(), name="two").surfaces[0]
    return Scene((Pane("surface", ("one", "two")),), (one, two), title="A pair")
