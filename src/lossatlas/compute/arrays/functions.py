"""Analytic test functions of optimization as objectives, with their minima, a window that shows them, and their source.

Each is an `ArrayObjective` with exact gradients, vectorized: planes, lines, descents and Hessians take it as they take a network. ::

    f = la.functions.himmelblau()
    surface = la.evaluate(f, la.weight_plane(f, 0, 1), f.bounds, 101)
    path = la.optimize_on_plane(f, la.weight_plane(f, 0, 1), f.theta0, optimizer="adam", learning_rate=0.1, steps=100)

Formulas and minima as in the source of each; the minima that have no closed form were found by Newton's method and are given to
twelve digits. For a survey see Jamil and Yang 2013 (arXiv 1308.4008).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lossatlas._util.argument_checks import check_choice, check_integer, check_number
from lossatlas._util.arrays import FloatArray
from lossatlas.compute.arrays.array_function import ArrayFunction
from lossatlas.compute.arrays.array_objective import ArrayObjective, objective_parts
from lossatlas.compute.arrays.checks import check_theta

Bounds = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class CriticalPoint:
    """A point where the gradient is zero, and the value there."""

    theta: tuple[float, ...]
    value: float


@dataclass(frozen=True, init=False, eq=False, repr=False)
class AnalyticFunction(ArrayObjective):
    """An analytic test function: an `ArrayObjective` of which minima, saddle points and a good window are known."""

    def __init__(self, fun: Callable[..., Any], jac: Callable[..., Any], theta0: ArrayLike, name: str, **facts: Any) -> None:
        theta = check_theta("theta0", theta0).astype(np.float64)
        labels = ("x", "y") if len(theta) == 2 else tuple(f"x[{i}]" for i in range(len(theta)))
        function = ArrayFunction(_without_warnings(fun), _without_warnings(jac), vectorized=True, facts={"labels": labels, **facts})
        self._fill(objective_parts(function, theta, name, ""))

    @property
    def bounds(self) -> Bounds:
        """A window ``((x0, x1), (y0, y1))`` over the first two entries that shows what the function is known for."""
        return self.array_function.facts["bounds"]

    @property
    def minima(self) -> tuple[CriticalPoint, ...]:
        """Its local minima, the lowest first; of a function with a regular lattice of them the global one only."""
        return self.array_function.facts.get("minima", ())

    @property
    def saddles(self) -> tuple[CriticalPoint, ...]:
        """Its saddle points, where they are known."""
        return self.array_function.facts.get("saddles", ())

    @property
    def formula(self) -> str:
        """In plain text."""
        return self.array_function.facts["formula"]

    @property
    def source(self) -> str:
        """The paper or book that it comes from."""
        return self.array_function.facts["source"]


def rosenbrock(size: int = 2, theta0: ArrayLike | None = None) -> AnalyticFunction:
    """Rosenbrock's valley: a curved, flat-bottomed valley in which steepest descent zigzags.

    Args:
        size: number of variables, at least 2.
        theta0: the center and start; None takes the customary -1.2, 1, -1.2, ….

    Example:
        >>> rosenbrock().value([1.0, 1.0]), rosenbrock().minima[0].theta
        (0.0, (1.0, 1.0))
    """
    size = check_integer("size", size, least=2)

    def value(t: FloatArray) -> FloatArray:
        a, b = t[:, :-1], t[:, 1:]
        return (100 * (b - a**2) ** 2 + (1 - a) ** 2).sum(1)

    def gradient(t: FloatArray) -> FloatArray:
        a, b = t[:, :-1], t[:, 1:]
        result = np.zeros_like(t)
        result[:, :-1] = -400 * a * (b - a**2) - 2 * (1 - a)
        result[:, 1:] += 200 * (b - a**2)
        return result

    start = np.where(np.arange(size) % 2, 1.0, -1.2) if theta0 is None else theta0
    return AnalyticFunction(
        value, gradient, start, "Rosenbrock",
        bounds=((-2.0, 2.0), (-1.0, 3.0)), minima=_points(((1.0,) * size, 0.0)),
        formula="sum 100 (x[i+1] - x[i]^2)^2 + (1 - x[i])^2", source="Rosenbrock 1960, Computer Journal 3, 175",
    )  # fmt: skip


def beale(theta0: ArrayLike = (-2.0, 2.0)) -> AnalyticFunction:
    """Beale's function: a narrow curved valley between steep walls at the corners."""
    constants = (1.5, 2.25, 2.625)

    def value(t: FloatArray) -> FloatArray:
        x, y = t.T
        return sum(((c - x + x * y**k) ** 2 for k, c in enumerate(constants, 1)), np.zeros(len(t)))

    def gradient(t: FloatArray) -> FloatArray:
        x, y = t.T
        errors = [c - x + x * y**k for k, c in enumerate(constants, 1)]
        dx = sum((2 * e * (y**k - 1) for k, e in enumerate(errors, 1)), np.zeros(len(t)))
        dy = sum((2 * e * k * x * y ** (k - 1) for k, e in enumerate(errors, 1)), np.zeros(len(t)))
        return np.stack([dx, dy], axis=1)

    return AnalyticFunction(
        value, gradient, theta0, "Beale",
        bounds=((-4.5, 4.5), (-4.5, 4.5)), minima=_points(((3.0, 0.5), 0.0)),
        formula="(1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2", source="Beale 1958, Princeton technical report 25",
    )  # fmt: skip


def himmelblau(theta0: ArrayLike = (0.0, 0.0)) -> AnalyticFunction:
    """Himmelblau's function: four minima of equal depth."""

    def value(t: FloatArray) -> FloatArray:
        x, y = t.T
        return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2

    def gradient(t: FloatArray) -> FloatArray:
        x, y = t.T
        a, b = x**2 + y - 11, x + y**2 - 7
        return np.stack([4 * x * a + 2 * b, 2 * a + 4 * y * b], axis=1)

    minima = ((3.0, 2.0), (-2.805118086953, 3.131312518250), (-3.779310253378, -3.283185991286), (3.584428340330, -1.848126526964))
    return AnalyticFunction(
        value, gradient, theta0, "Himmelblau",
        bounds=((-6.0, 6.0), (-6.0, 6.0)), minima=_points(*((m, 0.0) for m in minima)),
        formula="(x^2 + y - 11)^2 + (x + y^2 - 7)^2", source="Himmelblau 1972, Applied Nonlinear Programming, McGraw-Hill",
    )  # fmt: skip


def rastrigin(size: int = 2, theta0: ArrayLike | None = None) -> AnalyticFunction:
    """Rastrigin's function: a bowl under a regular lattice of local minima.

    Args:
        size: number of variables.
        theta0: the center and start; None takes 3.3 everywhere.
    """
    size = check_integer("size", size, least=2)

    def value(t: FloatArray) -> FloatArray:
        return (t**2 - 10 * np.cos(2 * np.pi * t) + 10).sum(1)

    def gradient(t: FloatArray) -> FloatArray:
        return 2 * t + 20 * np.pi * np.sin(2 * np.pi * t)

    return AnalyticFunction(
        value, gradient, np.full(size, 3.3) if theta0 is None else theta0, "Rastrigin",
        bounds=((-5.12, 5.12), (-5.12, 5.12)), minima=_points(((0.0,) * size, 0.0)),
        formula="sum x[i]^2 - 10 cos(2 pi x[i]) + 10", source="Rastrigin 1974, Systems of Extremal Control, Nauka",
    )  # fmt: skip


def ackley(size: int = 2, theta0: ArrayLike | None = None) -> AnalyticFunction:
    """Ackley's function: a nearly flat, rippled plain around a deep funnel; its tip has no gradient, which is given as 0 there.

    Args:
        size: number of variables.
        theta0: the center and start; None takes 2.5 everywhere.
    """
    size = check_integer("size", size, least=2)

    def value(t: FloatArray) -> FloatArray:
        radius, waves = np.sqrt((t**2).mean(1)), np.cos(2 * np.pi * t).mean(1)
        return -20 * np.expm1(-0.2 * radius) - np.exp(waves) + np.e

    def gradient(t: FloatArray) -> FloatArray:
        radius, waves = np.sqrt((t**2).mean(1, keepdims=True)), np.cos(2 * np.pi * t).mean(1, keepdims=True)
        funnel = 4 * np.exp(-0.2 * radius) * t / (np.where(radius == 0, 1.0, radius) * size)
        return funnel + np.exp(waves) * 2 * np.pi * np.sin(2 * np.pi * t) / size

    return AnalyticFunction(
        value, gradient, np.full(size, 2.5) if theta0 is None else theta0, "Ackley",
        bounds=((-5.0, 5.0), (-5.0, 5.0)), minima=_points(((0.0,) * size, 0.0)),
        formula="20 - 20 exp(-0.2 sqrt(mean x[i]^2)) - exp(mean cos(2 pi x[i])) + e",
        source="Ackley 1987, A Connectionist Machine for Genetic Hillclimbing, Kluwer",
    )  # fmt: skip


def booth(theta0: ArrayLike = (-6.0, 8.0)) -> AnalyticFunction:
    """Booth's function: a tilted quadratic bowl with eigenvalues 2 and 18."""
    matrix = np.array([[10.0, 8.0], [8.0, 10.0]])

    def value(t: FloatArray) -> FloatArray:
        x, y = t.T
        return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2

    return AnalyticFunction(
        value, lambda t: (t - np.array([1.0, 3.0])) @ matrix, theta0, "Booth",
        bounds=((-10.0, 10.0), (-10.0, 10.0)), minima=_points(((1.0, 3.0), 0.0)),
        formula="(x + 2 y - 7)^2 + (2 x + y - 5)^2", source="Jamil and Yang 2013, arXiv 1308.4008, function 17",
    )  # fmt: skip


def quadratic(condition: float = 20.0, theta0: ArrayLike = (-1.5, 1.0)) -> AnalyticFunction:
    """A quadratic bowl with eigenvalues 1 and `condition`, the plainest test of momentum and preconditioning.

    Args:
        condition: the larger eigenvalue, along y.
        theta0: the center and start.
    """
    scales = np.array([1.0, check_number("condition", condition, above=0.0)])
    return AnalyticFunction(
        lambda t: 0.5 * (t**2 * scales).sum(1), lambda t: t * scales, theta0, "Quadratic bowl",
        bounds=((-2.0, 2.0), (-2.0, 2.0)), minima=_points(((0.0, 0.0), 0.0)),
        formula=f"(x^2 + {scales[1]:g} y^2) / 2", source="Polyak 1964, USSR Computational Mathematics 4, 1",
    )  # fmt: skip


def goldstein_price(theta0: ArrayLike = (1.2, 0.6)) -> AnalyticFunction:
    """Goldstein and Price's function: values from 3 to a million, for which the scale is logarithmic."""

    def factors(t: FloatArray) -> tuple[FloatArray, ...]:
        x, y = t.T
        p = 19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2
        q = 18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2
        return x + y + 1, p, 2 * x - 3 * y, q

    def value(t: FloatArray) -> FloatArray:
        a, p, b, q = factors(t)
        return (1 + a**2 * p) * (30 + b**2 * q)

    def gradient(t: FloatArray) -> FloatArray:
        (x, y), (a, p, b, q) = t.T, factors(t)
        slope = -14 + 6 * x + 6 * y
        px, qx, qy = slope, -32 + 24 * x - 36 * y, 48 - 36 * x + 54 * y
        first, second = 1 + a**2 * p, 30 + b**2 * q
        dx = (2 * a * p + a**2 * px) * second + first * (4 * b * q + b**2 * qx)
        dy = (2 * a * p + a**2 * px) * second + first * (-6 * b * q + b**2 * qy)
        return np.stack([dx, dy], axis=1)

    minima = (((0.0, -1.0), 3.0), ((-0.6, -0.4), 30.0), ((1.8, 0.2), 84.0), ((1.2, 0.8), 840.0))
    return AnalyticFunction(
        value, gradient, theta0, "Goldstein-Price",
        bounds=((-2.0, 2.0), (-2.0, 2.0)), minima=_points(*minima),
        formula="(1 + (x + y + 1)^2 (19 - 14 x + 3 x^2 - 14 y + 6 x y + 3 y^2))"
        " (30 + (2 x - 3 y)^2 (18 - 32 x + 12 x^2 + 48 y - 36 x y + 27 y^2))",
        source="Goldstein and Price 1971, Mathematics of Computation 25, 569",
    )  # fmt: skip


def six_hump_camel(theta0: ArrayLike = (0.3, 0.9)) -> AnalyticFunction:
    """The six-hump camel back: six minima in three pairs of equal depth."""

    def value(t: FloatArray) -> FloatArray:
        x, y = t.T
        return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2

    def gradient(t: FloatArray) -> FloatArray:
        x, y = t.T
        return np.stack([8 * x - 8.4 * x**3 + 2 * x**5 + y, x - 8 * y + 16 * y**3], axis=1)

    minima = (
        ((0.089842013100, -0.712656403021), -1.031628453490),
        ((-1.703606714970, 0.796083568673), -0.215463824384),
        ((-1.607104752920, -0.568651454884), 2.104250310311),
    )
    return AnalyticFunction(
        value, gradient, theta0, "Six-hump camel",
        bounds=((-2.0, 2.0), (-1.1, 1.1)),
        minima=_points(*(((s * m[0], s * m[1]), v) for m, v in minima for s in (1, -1))),
        formula="(4 - 2.1 x^2 + x^4 / 3) x^2 + x y + (4 y^2 - 4) y^2",
        source="Dixon and Szego 1978, Towards Global Optimisation 2, North-Holland",
    )  # fmt: skip


def styblinski_tang(size: int = 2, theta0: ArrayLike | None = None) -> AnalyticFunction:
    """Styblinski and Tang's function: a double well along every axis, one side deeper.

    Args:
        size: number of variables.
        theta0: the center and start; None takes 0.5 everywhere.
    """
    size = check_integer("size", size, least=2)
    deep, shallow = (-2.903534027771, -39.166165703771), (2.746802770991, -25.029446655284)
    sides = [[deep if not number >> axis & 1 else shallow for axis in range(size)] for number in range(2 ** min(size, 6))]
    minima = sorted(((tuple(s[0] for s in side), sum(s[1] for s in side)) for side in sides), key=lambda m: m[1])
    return AnalyticFunction(
        lambda t: 0.5 * (t**4 - 16 * t**2 + 5 * t).sum(1), lambda t: 2 * t**3 - 16 * t + 2.5,
        np.full(size, 0.5) if theta0 is None else theta0, "Styblinski-Tang",
        bounds=((-5.0, 5.0), (-5.0, 5.0)), minima=_points(*minima),
        formula="sum (x[i]^4 - 16 x[i]^2 + 5 x[i]) / 2", source="Styblinski and Tang 1990, Neural Networks 3, 467",
    )  # fmt: skip


def mueller_brown(theta0: ArrayLike = (-0.3, 1.0)) -> AnalyticFunction:
    """Müller and Brown's potential: three minima and two saddle points along a bent reaction path."""
    heights, a = np.array([-200.0, -100.0, -170.0, 15.0]), np.array([-1.0, -1.0, -6.5, 0.7])
    b, c = np.array([0.0, 0.0, 11.0, 0.6]), np.array([-10.0, -10.0, -6.5, 0.7])
    x0, y0 = np.array([1.0, 0.0, -0.5, -1.0]), np.array([0.0, 0.5, 1.5, 1.0])

    def terms(t: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        dx, dy = t[:, :1] - x0, t[:, 1:] - y0
        return dx, dy, heights * np.exp(a * dx**2 + b * dx * dy + c * dy**2)

    def gradient(t: FloatArray) -> FloatArray:
        dx, dy, values = terms(t)
        return np.stack([((2 * a * dx + b * dy) * values).sum(1), ((b * dx + 2 * c * dy) * values).sum(1)], axis=1)

    minima = (
        ((-0.558223634633, 1.441725841805), -146.699517209954),
        ((0.623499404931, 0.028037758529), -108.166724116852),
        ((-0.050010822998, 0.466694104872), -80.767818129659),
    )
    saddles = (((-0.822001558733, 0.624312802815), -40.664843508657), ((0.212486582001, 0.292988325107), -72.248940112325))
    return AnalyticFunction(
        lambda t: terms(t)[2].sum(1), gradient, theta0, "Müller-Brown",
        bounds=((-1.5, 1.2), (-0.3, 2.0)), minima=_points(*minima), saddles=_points(*saddles),
        formula="sum of four Gaussians A exp(a (x - x0)^2 + b (x - x0) (y - y0) + c (y - y0)^2)",
        source="Müller and Brown 1979, Theoretica Chimica Acta 53, 75",
    )  # fmt: skip


def saddle(theta0: ArrayLike = (1.0, 1e-3)) -> AnalyticFunction:
    """The plainest saddle: a minimum along x and a maximum along y, unbounded below."""
    signs = np.array([1.0, -1.0])
    return AnalyticFunction(
        lambda t: (t**2 * signs).sum(1), lambda t: 2 * t * signs, theta0, "Saddle",
        bounds=((-1.5, 1.5), (-1.5, 1.5)), saddles=_points(((0.0, 0.0), 0.0)),
        formula="x^2 - y^2", source="Dauphin et al. 2014, arXiv 1406.2572, figure 1",
    )  # fmt: skip


def monkey_saddle(theta0: ArrayLike = (1.0, 1e-3)) -> AnalyticFunction:
    """The monkey saddle: three valleys and three ridges meet where the Hessian vanishes, unbounded below."""

    def gradient(t: FloatArray) -> FloatArray:
        x, y = t.T
        return np.stack([3 * x**2 - 3 * y**2, -6 * x * y], axis=1)

    return AnalyticFunction(
        lambda t: t[:, 0] ** 3 - 3 * t[:, 0] * t[:, 1] ** 2, gradient, theta0, "Monkey saddle",
        bounds=((-1.5, 1.5), (-1.5, 1.5)), saddles=_points(((0.0, 0.0), 0.0)),
        formula="x^3 - 3 x y^2", source="Dauphin et al. 2014, arXiv 1406.2572, figure 1",
    )  # fmt: skip


FUNCTIONS: dict[str, Callable[..., AnalyticFunction]] = {
    f.__name__: f
    for f in (
        rosenbrock, beale, himmelblau, rastrigin, ackley, booth, quadratic, goldstein_price, six_hump_camel, styblinski_tang, mueller_brown,
        saddle, monkey_saddle,
    )
}  # fmt: skip
"""All of them by name."""


def function_named(name: str) -> AnalyticFunction:
    """A test function with its defaults, by name such as "rosenbrock".

    Raises:
        InputError: an unknown name.
    """
    return FUNCTIONS[check_choice("name", name, FUNCTIONS)]()


def _without_warnings(function: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
    """The function where far points overflow to infinity in silence: a descent that diverges is told in words elsewhere."""

    def silent(thetas: FloatArray) -> FloatArray:
        with np.errstate(over="ignore", invalid="ignore"):
            return function(thetas)

    return silent


def _points(*points: tuple[Sequence[float], float]) -> tuple[CriticalPoint, ...]:
    return tuple(CriticalPoint(tuple(theta), value) for theta, value in points)
