"""The paper's claims, each decided from the numbers of the figures.

Every claim says by which rule it was decided, so that "agrees" is a computation and no opinion. A claim whose figure was not drawn
stays undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from lossatlas._util.files import write_file
from lossatlas._util.text import format_percent, format_rough_percent
from lossatlas.errors import output_errors

Figures = Mapping[str, Any]
Verdict = tuple[bool, str]
"""Whether our numbers agree, and the numbers in words."""
IMPORTED = "imported surface"
"""The source of networks whose surfaces another computed; they decide nothing."""
SAME_LINE = 0.1
"""Relative spread of random lines below which they count as nearly identical."""
SMALL_RATIO = 0.1
"""Ratio of Hessian eigenvalues below which negative curvature counts as insignificant."""


@dataclass(frozen=True)
class Claim:
    """A statement of the paper beside our numbers.

    Attributes:
        figure: of the paper, and of the recipe that decides it.
        theirs: the paper's numbers or words.
        ours: our numbers in words, "" where they are missing.
        agrees: None where nothing was measured.
        why: the rule of the decision; for a claim without a verdict, what is missing.
    """

    figure: str
    claim: str
    theirs: str
    ours: str
    agrees: bool | None
    why: str


@dataclass(frozen=True)
class Rule:
    """A claim, the figures whose numbers it needs, and the decision."""

    figure: str
    claim: str
    theirs: str
    why: str
    decide: Callable[[Figures], Verdict]

    def applied(self, figures: Figures) -> Claim:
        try:
            agrees, ours = self.decide(figures)
        except (KeyError, IndexError, StopIteration):
            lacking = "lacks the networks or the cells for it" if self.figure in figures else "has not been computed"
            return Claim(self.figure, self.claim, self.theirs, "", None, f"figure {self.figure} {lacking}")
        return Claim(self.figure, self.claim, self.theirs, ours, bool(agrees), self.why)


def decided_claims(figures: Figures) -> list[Claim]:
    """All claims with the verdicts that the figures computed so far allow.

    >>> decided_claims({})[0].agrees is None
    True
    """
    return [rule.applied(figures) for rule in RULES]


def claims_summary(figures: Figures) -> list[dict[str, Any]]:
    """The same as plain data, for ``summary.json``."""
    return [asdict(claim) for claim in decided_claims(figures)]


def write_claims(claims: Sequence[Claim], label: str, out: Path) -> None:
    """Write the table as ``claims.md``."""
    verdicts = {True: "yes", False: "no", None: "not computed"}
    rows = [f"| {c.figure} | {c.claim} | {c.theirs} | {c.ours or '–'} | {verdicts[c.agrees]} | {c.why} |" for c in claims]
    head = ["| figure | claim | theirs | ours | agrees | how it was decided |", "|---|---|---|---|---|---|"]
    with output_errors(out / "claims.md"):
        write_file(out / "claims.md", "\n".join([f"# Claims of the paper, {label}", "", *head, *rows]) + "\n")


def _solution(solutions: Mapping[str, Any], decay: float, large: bool, optimizer: str = "sgd") -> Mapping[str, Any]:
    """The solution of a decay and of the smaller or larger batch."""
    chosen = [s for s in solutions.values() if s["weight_decay"] == decay and s["optimizer"] == optimizer]
    ordered = sorted(chosen, key=lambda s: s["batch_size"])
    if len(ordered) < 2:
        raise KeyError("solution")
    return ordered[-1 if large else 0]


def _error(one: Mapping[str, Any]) -> str:
    return format_percent(1 - one["test_accuracy"])


def _small_batches_generalize_better(figures: Figures) -> Verdict:
    solutions = figures["2"]["solutions"]
    pairs = [(_solution(solutions, decay, False), _solution(solutions, decay, True)) for decay in (0.0, 5e-4)]
    texts = [f"{_error(small)} against {_error(large)} at decay {small['weight_decay']:g}" for small, large in pairs]
    return all(small["test_accuracy"] > large["test_accuracy"] for small, large in pairs), "; ".join(texts)


def _raw_sharpness_flips(figures: Figures) -> Verdict:
    sharper = figures["2"]["sharper_looking"]
    agrees = sharper["0"] == "large batch" and sharper["0.0005"] == "small batch"
    return agrees, f"sharper-looking: {sharper['0']} at decay 0, {sharper['0.0005']} at 5e-4"


def _norm_grows(figures: Figures) -> Verdict:
    solutions = [_solution(figures["2"]["solutions"], 0.0, large) for large in (False, True)]
    shares = [s["norm_growing_share"] for s in solutions]
    text = ", ".join(
        f"{format_rough_percent(s['norm_growing_share'])} of the recorded steps in batches of {s['batch_size']:,}" for s in solutions
    )
    return min(shares) > 0.9, f"the norm grows in {text}"


def _weights(figures: Figures, decay: float) -> tuple[float, float]:
    small, large = (_solution(figures["2"]["solutions"], decay, which)["weight_norm"] for which in (False, True))
    return small, large


def _large_weights_without_decay(figures: Figures) -> Verdict:
    small, large = _weights(figures, 0.0)
    return small > large, f"norm {small:.3g} (small batch) against {large:.3g}"


def _small_weights_with_decay(figures: Figures) -> Verdict:
    small, large = _weights(figures, 5e-4)
    return small < large, f"norm {small:.3g} (small batch) against {large:.3g}"


def _normalized_width_orders(figures: Figures) -> Verdict:
    texts, agrees = [], True
    for decay in (0.0, 5e-4):
        small, large = (_solution(figures["3"]["solutions"], decay, which) for which in (False, True))
        widths = [figures["3"]["width"][one["name"]] for one in (small, large)]
        agrees &= widths[0] > widths[1]
        texts.append(f"{widths[0]:.2f} (small batch) against {widths[1]:.2f} at decay {decay:g}")
    return agrees, "width " + "; ".join(texts)


def _width_follows_error(figures: Figures) -> Verdict:
    """Concordant pairs among the solutions: the wider of two errs less."""
    solutions, width = figures["3"]["solutions"], figures["3"]["width"]
    names = list(solutions)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :] if width[a] != width[b]]
    right = sum((width[a] > width[b]) == (solutions[a]["test_accuracy"] > solutions[b]["test_accuracy"]) for a, b in pairs)
    return len(pairs) > 0 and right > len(pairs) / 2, f"in {right} of {len(pairs)} pairs the wider minimum errs less"


def _shortcuts_smooth(figures: Figures) -> Verdict:
    rough = figures["1"]["roughness"]
    without = next(values["mean"] for name, values in rough.items() if name.endswith("_noshort"))
    with_ = next(values["mean"] for name, values in rough.items() if not name.endswith("_noshort"))
    agrees = with_["negative_share_center"] < without["negative_share_center"] and with_["basins"] < without["basins"]
    text = f"negative curvature {with_['negative_share_center']:.2f} with, {without['negative_share_center']:.2f} without; "
    return agrees, text + f"basins {with_['basins']:.1f} and {without['basins']:.1f}"


def _depths(figures: Figures, tail: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Networks of figure 5 with measured planes, from shallow to deep."""
    networks = figures["5"]["networks"]
    chosen = [(n, s) for n, s in networks.items() if n.endswith("_noshort") == bool(tail) and "shape" in s and s["source"] != IMPORTED]
    if len(chosen) < 2:
        raise KeyError("depths")
    return sorted(chosen, key=lambda item: int(item[0].removeprefix("resnet").removesuffix("_noshort")))


def _shares(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    return ", ".join(f"{name.removesuffix('_noshort')} {one['shape']['negative_share_center']:.2f}" for name, one in rows)


def _depth_without_shortcuts(figures: Figures) -> Verdict:
    rows = _depths(figures, "_noshort")
    shares = [one["shape"]["negative_share_center"] for _, one in rows]
    return shares[-1] > shares[0], f"negative curvature near the center: {_shares(rows)}"


def _depth_with_shortcuts(figures: Figures) -> Verdict:
    plain, rough = _depths(figures, ""), _depths(figures, "_noshort")
    gains = [rows[-1][1]["shape"]["negative_share_center"] - rows[0][1]["shape"]["negative_share_center"] for rows in (plain, rough)]
    return gains[0] < gains[1], f"negative curvature near the center: {_shares(plain)}"


def _shortcuts_err_less(figures: Figures) -> Verdict:
    networks = figures["5"]["networks"]
    pairs = [
        (name, one, networks[f"{name}_noshort"])
        for name, one in networks.items()
        if f"{name}_noshort" in networks and None not in (one["test_accuracy"], networks[f"{name}_noshort"]["test_accuracy"])
    ]
    if not pairs:
        raise KeyError("pairs")
    text = "; ".join(f"{name} {_error(one)} with, {_error(other)} without" for name, one, other in pairs)
    return all(one["test_accuracy"] > other["test_accuracy"] for _, one, other in pairs), text


def _wider_is_flatter(figures: Figures) -> Verdict:
    agrees, texts = True, []
    for tail in ("", "_noshort"):
        rows = [one for name, one in figures["6"]["networks"].items() if name.endswith("_noshort") == bool(tail)]
        shares = [one["shape"]["near_share"] for one in rows]
        agrees &= len(shares) > 1 and all(b > a for a, b in pairwise(shares))
        texts.append(f"{'without' if tail else 'with'} shortcuts " + ", ".join(f"{s:.2f}" for s in shares))
    return agrees, "share of the plane within a nat of the center, narrow to wide: " + "; ".join(texts)


def _wider_errs_less(figures: Figures) -> Verdict:
    agrees, texts = True, []
    for tail in ("", "_noshort"):
        rows = [one for name, one in figures["6"]["networks"].items() if name.endswith("_noshort") == bool(tail)]
        agrees &= len(rows) > 1 and all(b["test_accuracy"] > a["test_accuracy"] for a, b in pairwise(rows))
        texts.append(f"{'without' if tail else 'with'} shortcuts " + ", ".join(_error(one) for one in rows))
    return agrees, "; ".join(texts)


def _ratio_is_small_with_shortcuts(figures: Figures) -> Verdict:
    networks = figures["7"]["networks"]
    with_, without = (
        [one["share_convex"] for name, one in networks.items() if name.endswith("_noshort") == rough] for rough in (False, True)
    )
    text = ", ".join(f"{name} {format_rough_percent(one['share_convex'])}" for name, one in networks.items())
    return min(with_) > max(without), f"share of the plane with a ratio below {SMALL_RATIO:g}: {text}"


def _ratio_follows_the_plane(figures: Figures) -> Verdict:
    networks = figures["7"]["networks"].values()
    pairs = [(one["ratio_where_plane_is_convex"], one["ratio_elsewhere"]) for one in networks]
    known = [(inside, outside) for inside, outside in pairs if None not in (inside, outside)]
    text = "; ".join(f"median {inside:.2g} where the plane is convex, {outside:.2g} elsewhere" for inside, outside in known)
    if not known:
        raise KeyError("ratios")
    return all(inside < outside for inside, outside in known), text


def _random_planes_miss_paths(figures: Figures) -> Verdict:
    shares, chance = figures["8"]["captured_share"], figures["8"]["expected_by_chance"]
    random = f"{100 * shares['random']:.2g} % of the motion on two random directions (by chance {100 * chance:.2g} %)"
    text = f"{random}, {format_rough_percent(shares['principal'])} on principal"
    return shares["random"] < 0.01 < shares["principal"], text


def _paths_are_low_dimensional(figures: Figures) -> Verdict:
    shares = [sum(one["explained_variance_ratio"][:2]) for one in figures["9"].values()]
    nulls = [sum(one["random_walk_null"][:2]) for one in figures["9"].values()]
    low, high, null = (format_rough_percent(share) for share in (min(shares), max(shares), max(nulls)))
    text = f"{low} to {high} over {len(shares)} runs (two components of a random walk: {null})"
    return min(shares) >= 0.4, text


def _lines_repeat(figures: Figures) -> Verdict:
    spread = figures["repeat"]["relative_spread_at_half"]
    deviations = " and ".join(map(format_rough_percent, spread.values()))
    text = f"one deviation of {figures['repeat']['directions']} directions is {deviations}"
    return max(spread.values()) < SAME_LINE, text + " of the loss"


RULES = (
    Rule(
        "2",
        "small batches generalize better, with and without weight decay",
        "test errors 7.37 % against 11.07 % at decay 0, 6.00 % against 10.19 % at 5e-4",
        "both pairs in that order",
        _small_batches_generalize_better,
    ),
    Rule(
        "2",
        "on the line between the solutions, the large-batch one looks sharper; weight decay turns that around",
        "large batch sharper at decay 0, small batch sharper at 5e-4",
        "second difference of the training loss over a quarter of the way, at both ends",
        _raw_sharpness_flips,
    ),
    Rule(
        "2", "without weight decay the norm of the weights grows steadily", "grows steadily", "in over 90 % of recorded steps", _norm_grows
    ),
    Rule(
        "2", "without weight decay, small batches end with larger weights", "histograms", "norms at the end", _large_weights_without_decay
    ),
    Rule("2", "with weight decay, small batches end with smaller weights", "histograms", "norms at the end", _small_weights_with_decay),
    Rule(
        "3",
        "filter-normalized, large-batch minima are sharper, with and without weight decay",
        "slightly sharper in both pairs",
        "length of the line within a nat of the minimum",
        _normalized_width_orders,
    ),
    Rule(
        "3",
        "filter-normalized sharpness goes with test error",
        "flatter minima err less",
        "most pairs of the four solutions in that order",
        _width_follows_error,
    ),
    Rule(
        "1",
        "without shortcuts a deep network's surface is chaotic, with them nearly convex",
        "ResNet-56 in two pictures",
        "share of negative curvature and basins deeper than 0.1 nats, means of several planes",
        _shortcuts_smooth,
    ),
    Rule(
        "5",
        "without shortcuts, depth makes the surface chaotic",
        "ResNet-20 benign, ResNet-56 and -110 chaotic",
        "the deepest against the shallowest",
        _depth_without_shortcuts,
    ),
    Rule(
        "5",
        "with shortcuts, depth hardly changes it",
        "three like pictures",
        "growth from the shallowest to the deepest, below that without shortcuts",
        _depth_with_shortcuts,
    ),
    Rule(
        "5",
        "shortcuts lower the test error at every depth",
        "7.37 against 8.18 %, 5.89 against 13.31 %, 5.79 against 16.44 %",
        "every pair of which both are trained",
        _shortcuts_err_less,
    ),
    Rule(
        "6",
        "wider networks have flatter minima",
        "pictures of widths 1 to 8",
        "every step of width, with and without shortcuts",
        _wider_is_flatter,
    ),
    Rule(
        "6",
        "wider networks err less",
        "5.89, 5.07, 4.34, 3.93 % with shortcuts; 13.31, 10.26, 9.69, 8.70 % without",
        "every step of width",
        _wider_errs_less,
    ),
    Rule(
        "7",
        "negative curvature is insignificant over more of the plane with shortcuts than without",
        "maps",
        "the share itself",
        _ratio_is_small_with_shortcuts,
    ),
    Rule(
        "7",
        "where the plane looks convex, negative curvature is insignificant",
        "maps",
        "median ratios where both curvatures of the plane are positive, and elsewhere",
        _ratio_follows_the_plane,
    ),
    Rule(
        "8", "random directions show nothing of a training path", "a picture", "below a hundredth of the motion", _random_planes_miss_paths
    ),
    Rule(
        "9",
        "two principal directions hold most of a path",
        "40 to 90 % of the variation",
        "at least 40 % in every run",
        _paths_are_low_dimensional,
    ),
    Rule(
        "repeat",
        "other random directions give the same line",
        "ten nearly identical lines",
        f"spread half a unit from the center below {format_rough_percent(SAME_LINE)}",
        _lines_repeat,
    ),
)
