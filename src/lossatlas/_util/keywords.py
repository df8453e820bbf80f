"""Errors for keywords that a function does not have: they name the right word, or the place where the keyword belongs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

from lossatlas._util.text import did_you_mean
from lossatlas.errors import InputTypeError

P = ParamSpec("P")
R = TypeVar("R")

SYNONYMS = {
    "colormap": ("cmap", "color_map", "palette"),
    "width": ("figsize", "size"),
    "file": ("filename", "fname", "path", "save", "savefig", "out", "output"),
    "scale": ("log", "logscale", "log_scale", "norm", "yscale", "zscale"),
    "clip": ("vmax", "zmax", "zlim", "clim"),
    "milliseconds": ("fps", "interval", "duration"),
    "quantity": ("metric", "value", "variable"),
    "resolution": ("steps", "num_points", "points", "n_points", "grid_size", "n"),
    "bounds": ("range", "limits", "xlim", "extent", "radius", "distance"),
    "metrics": ("metric",),
    "learning_rate": ("lr", "rate"),
    "batch_size": ("batchsize", "bs"),
    "loss": ("criterion", "loss_fn", "loss_function"),
    "data": ("loader", "dataloader", "dataset"),
    "every": ("interval", "frequency", "every_n_steps", "save_every"),
    "archive": ("path", "save", "file", "store", "out"),
    "export": ("file", "path", "save", "html"),
}
"""By our keyword, what others call it."""

ELSEWHERE = {
    "device": "It belongs to the objective: la.Objective(model, loss, data, device=...)",
    "dtype": "It belongs to the objective: la.Objective(model, loss, data, dtype=...)",
    "batch_size": "It belongs to the objective: la.Objective(model, loss, data, batch_size=...)",
    "samples": "It belongs to the objective: la.Objective(model, loss, data, samples=...)",
    "mode": "It belongs to the objective: la.Objective(model, loss, data, mode=...)",
    "seed": "It belongs to the plane: la.random_plane(objective, seed=...)",
    "normalize": "It belongs to the plane: la.random_plane(objective, normalize=...)",
    "resume": "Leave it out: the same call continues by itself",
    "lr": "The rate is that of the optimizer",
    "learning_rate": "The rate is that of the optimizer",
    "figsize": "Pass width= and height= in inches",
}


def explain_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that a keyword that it does not have is an error with the next step.

    >>> @explain_keywords
    ... def draw(colormap="atlas"): ...
    >>> draw(cmap="viridis")
    Traceback (most recent call last):
    lossatlas.errors.InputTypeError: cmap: got viridis; expected a keyword of draw: colormap. Pass colormap= in its place.
    """
    known = tuple(name for name in inspect.signature(function).parameters if name not in ("self", "cls"))
    name = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        for keyword, value in kwargs.items():
            if keyword not in known:
                raise unknown_keyword(name, keyword, value, known)
        return function(*args, **kwargs)

    return checked


def unknown_keyword(function: str, keyword: str, value: object, known: Iterable[str]) -> InputTypeError:
    """The error for a keyword that a function does not have.

    Args:
        function: its name.
        keyword: that was passed.
        value: that was passed with it.
        known: keywords that it has.
    """
    listed = tuple(known)
    return InputTypeError(keyword, value, f"a keyword of {function}: {', '.join(listed)}", advice_for(keyword, listed))


def advice_for(keyword: str, known: Iterable[str]) -> str:
    """The next step for a keyword that is not known; empty where nobody knows."""
    listed = tuple(known)
    if keyword == "figsize" and {"width", "height"} <= set(listed):
        return ELSEWHERE["figsize"]
    word = next((word for word, others in SYNONYMS.items() if word in listed and keyword in others), None)
    return f"Pass {word}= in its place" if word else ELSEWHERE.get(keyword, "") or did_you_mean(keyword, listed)
