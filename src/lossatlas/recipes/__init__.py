"""Recipes: each reproduces one published system of figures, from data to summary.

A recipe is a module with ``run(out, data=None, quick=False, **options) -> dict``; the registry below names them
without importing torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lossatlas.errors import InputError

Run = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Option:
    """An option that a recipe takes on the command line, as ``--name VALUE``; of kind bool as ``--name`` alone."""

    name: str
    kind: type
    help: str


@dataclass(frozen=True)
class Recipe:
    """A name, the source it reproduces, what it shows, and its own options."""

    name: str
    source: str
    shows: str
    options: tuple[Option, ...] = ()

    def load(self) -> Run:
        """Import the recipe and return its `run`."""
        return importlib.import_module(f"lossatlas.recipes.{self.name}").run

    def text(self) -> str:
        """Description of the recipe, for `lossatlas run --list`."""
        lines = [f"{self.name}: {self.source}", f"    {self.shows}"]
        return "\n".join(
            lines + [f"    --{o.name}{'' if o.kind is bool else ' ' + o.kind.__name__.upper()}: {o.help}" for o in self.options]
        )

    def parse(self, arguments: Sequence[str]) -> dict[str, Any]:
        """``["--seed", "3"]`` to ``{"seed": 3}``, ``["--dry-run"]`` to ``{"dry_run": True}``.

        Raises:
            InputError: an option that the recipe does not take, or a value of another kind.
        """
        known = {f"--{o.name}": o for o in self.options}
        flags = [argument for argument in arguments if argument in known and known[argument].kind is bool]
        parts = [part for argument in arguments if argument not in flags for part in argument.split("=", 1)]
        if len(parts) % 2 or any(word not in known or known[word].kind is bool for word in parts[::2]):
            raise InputError(
                "options", " ".join(arguments), f"options of {self.name}: {', '.join(known) or 'none'}", "See: lossatlas run --list"
            )
        pairs = {known[word]: _value(known[word], value) for word, value in zip(parts[::2], parts[1::2], strict=True)}
        return {option.name.replace("-", "_"): value for option, value in {**{known[flag]: True for flag in flags}, **pairs}.items()}


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "tutorial",
            "Roeschl 2020, Animations of Gradient Descent and Loss Landscapes of Neural Networks",
            "surfaces over two weights of an MNIST network at N=100 and N=10,000, three descents, both animations, galleries of seeds",
            (
                Option("sample-size", int, "training images of the small sample, on which descents run (100)"),
                Option("resolution", int, "points along each axis of the surfaces (40)"),
                Option("seed", int, "of the network's weights (135)"),
                Option("gradient", str, "article (without the factor 2), or true to run the true gradient beside it"),
            ),
        ),
        Recipe(
            "spirals",
            "Yang 2021, From Animation to Intuition: Visualizing Optimization Trajectory in Neural Nets",
            "11 networks on the three-class spiral: path on its principal plane beside the decision areas; five optimizers on one plane",
            (Option("seed", int, "of the networks' first weights (0)"),),
        ),
        Recipe(
            "earthquake",
            "Shevchuk 2019, Earthquakes in the Landscape of Neural Network",
            "the landscape that each mini-batch sees: shaking surfaces, update arrows, batches of 10 against 100, samples and their mean",
            (
                Option("loss", str, "exact, or clipped as in the article, whose loss ends at 16.118 (exact)"),
                Option("resolution", int, "points along each axis of the clouds' surface (51)"),
                Option("samples", int, "images of the MNIST network (2000)"),
            ),
        ),
        Recipe(
            "li2018",
            "Li, Xu, Taylor, Studer, Goldstein 2018, Visualizing the Loss Landscape of Neural Nets",
            "planes of ResNets by shortcut, depth and width, small against large batch, Hessian-ratio maps, paths that fail and PCA paths",
            (
                Option("size", str, "quick (minutes), laptop (all of CIFAR-10, an evening of two cores) or full (days of a GPU) (full)"),
                Option("figure", str, "1 to 9 or repeat, several with commas (all)"),
                Option("images", str, "training images under the planes, a number or all (1000; quick 64; laptop all)"),
                Option("tol", float, "error to which planes are sampled from them, of the log range (none; laptop 0.01)"),
                Option("resolution", int, "points along each axis of a plane (51; quick 21)"),
                Option("seed", int, "of trainings (0)"),
                Option("device", str, "cpu or cuda (cpu)"),
                Option("precision", str, "of a laptop's trainings, float32 or bfloat16 (by the processor)"),
                Option("workers", int, "threads (as many as PyTorch would use)"),
                Option("weights", str, "zips of trained weights, paths or addresses (…#sha256=HEX), several with commas (train)"),
                Option("train-only", bool, "stop when the networks are trained"),
                Option("dry-run", bool, "only print which trainings are left and how long they take"),
            ),
        ),
        Recipe(
            "compare",
            "Mohan 2019, a viewer of loss landscapes",
            "ResNet-20/56 with and without shortcuts, VGG-16 and DenseNet-121 in one page; one function at two weight scales",
            (
                Option(
                    "networks", str, "names with commas between (all): resnet20, resnet20_noshort, vgg16, resnet56, resnet56_noshort, …"
                ),
                Option("size", str, "quick, laptop (all of CIFAR-10 in trainings and surfaces) or full (full)"),
                Option("trained", str, "folder of a run of li2018 whose networks to take (li2018 beside --out)"),
                Option("train-only", bool, "stop when the networks are trained"),
                Option("images", int, "training images under each surface (1000; quick 48; laptop all)"),
                Option("test-images", int, "under each test error (10000; quick 500)"),
                Option("resolution", int, "cells along each axis (51; quick 21)"),
                Option("samples", int, "training images of a short training (10000; quick 500)"),
                Option("epochs", int, "of a short training (30; quick 6)"),
                Option("seed", int, "of directions and short trainings (0)"),
                Option("device", str, "cpu or cuda (a GPU where there is one)"),
            ),
        ),
        Recipe(
            "reward",
            "Sullivan et al. 2022, Cliff Diving: Exploring Reward Surfaces; Fazel et al. 2018, on linear-quadratic regulators",
            "cost of a regulator by rollouts with standard errors beside the exact one; CartPole's return (pip install 'lossatlas[rl]')",
            (Option("seed", int, "of starts and episodes (0)"),),
        ),
        Recipe(
            "energy",
            "Rudolph et al. 2021, orqviz: Visualizing High-Dimensional Landscapes in Variational Quantum Algorithms",
            "energy of a two-qubit circuit with descents, exact diagonalization beside it",
        ),
        Recipe(
            "pinn",
            "Krishnapriyan et al. 2021, Characterizing possible failure modes in physics-informed neural networks",
            "Poisson equation in one dimension: the loss, its terms and the error of the solution on the plane of the training",
            (Option("seed", int, "of the network's first weights (0)"),),
        ),
    )
}


def recipe_named(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        InputError: no such recipe.
    """
    if name not in RECIPES:
        raise InputError("recipe", name, "one of " + ", ".join(RECIPES), "See: lossatlas run --list")
    return RECIPES[name]


def _value(option: Option, text: str) -> Any:
    try:
        return option.kind(text)
    except ValueError as error:
        raise InputError(f"--{option.name}", text, f"a value of type {option.kind.__name__}") from error
