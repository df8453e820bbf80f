"""The paper's claims: its own numbers fulfil all of them, and each is broken by numbers that contradict it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lossatlas.recipes.li2018.claims import RULES, claims_summary, decided_claims, write_claims

ERRORS = {(0.0, 128): 0.0737, (0.0, 8192): 0.1107, (5e-4, 128): 0.06, (5e-4, 8192): 0.1019}


def solution(decay: float, batch: int, norm: float) -> dict[str, Any]:
    return {
        "name": f"{decay:g} {batch}",
        "batch_size": batch,
        "weight_decay": decay,
        "optimizer": "sgd",
        "test_accuracy": 1 - ERRORS[decay, batch],
        "weight_norm": norm,
        "norm_growing_share": 1.0,
    }


def network(error: float, negative: float = 0.1, near: float = 0.5) -> dict[str, Any]:
    return {"source": "full training", "test_accuracy": 1 - error, "shape": {"negative_share_center": negative, "near_share": near}}


def as_in_the_paper() -> dict[str, Any]:
    """Test errors as published, the rest as its text describes it."""
    made = [solution(0.0, 128, 90.0), solution(0.0, 8192, 50.0), solution(5e-4, 128, 20.0), solution(5e-4, 8192, 40.0)]
    solutions = {one["name"]: one for one in made}
    width = {"0 128": 1.2, "0 8192": 0.8, "0.0005 128": 1.3, "0.0005 8192": 0.9}
    rough = [{"mean": {"negative_share_center": share, "basins": basins}} for share, basins in ((0.67, 46.0), (0.14, 5.0))]
    depths = {"resnet20": (0.0737, 0.1), "resnet56": (0.0589, 0.12), "resnet110": (0.0579, 0.11)}
    depths |= {"resnet20_noshort": (0.0818, 0.1), "resnet56_noshort": (0.1331, 0.6), "resnet110_noshort": (0.1644, 0.8)}
    widths = {"resnet56": (0.0589, 0.3), "wrn56_2": (0.0507, 0.4), "resnet56_noshort": (0.1331, 0.1), "wrn56_2_noshort": (0.1026, 0.2)}
    ratio = {"ratio_where_plane_is_convex": 0.01, "ratio_elsewhere": 0.3}
    return {
        "1": {"roughness": {"resnet56_noshort": rough[0], "resnet56": rough[1]}},
        "2": {"solutions": solutions, "sharper_looking": {"0": "large batch", "0.0005": "small batch"}},
        "3": {"solutions": solutions, "width": width},
        "5": {"networks": {name: network(error, negative) for name, (error, negative) in depths.items()}},
        "6": {"networks": {name: network(error, near=near) for name, (error, near) in widths.items()}},
        "7": {"networks": {"resnet56": ratio | {"share_convex": 0.9}, "resnet56_noshort": ratio | {"share_convex": 0.4}}},
        "8": {"captured_share": {"random": 1e-5, "principal": 0.8}, "expected_by_chance": 1e-5},
        "9": {"a": {"explained_variance_ratio": [0.5, 0.1, 0.1], "random_walk_null": [0.61, 0.15, 0.07]}},
        "repeat": {"directions": 10, "relative_spread_at_half": {"small": 0.02, "large": 0.03}},
    }


def test_the_papers_own_numbers_agree() -> None:
    claims = decided_claims(as_in_the_paper())
    assert len(claims) == len(RULES)
    assert [claim for claim in claims if claim.agrees is not True] == []


def _swap(figure: str, a: str, b: str, key: str) -> Callable[[dict[str, Any]], None]:
    """Exchange one number of two networks or solutions."""

    def change(figures: dict[str, Any]) -> None:
        table = figures[figure].get("solutions") or figures[figure]["networks"]
        table[a][key], table[b][key] = table[b][key], table[a][key]

    return change


def _set(figure: str, *path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(figures: dict[str, Any]) -> None:
        table = figures[figure]
        for key in path[:-1]:
            table = table[key]
        table[path[-1]] = value

    return change


CONTRADICTIONS: dict[str, list[Callable[[dict[str, Any]], None]]] = {
    "small batches generalize better": [_swap("2", "0 128", "0 8192", "test_accuracy")],
    "on the line between": [_set("2", "sharper_looking", "0.0005", value="large batch")],
    "the norm of the weights grows": [_set("2", "solutions", "0 128", "norm_growing_share", value=0.7)],
    "end with larger weights": [_swap("2", "0 128", "0 8192", "weight_norm")],
    "end with smaller weights": [_swap("2", "0.0005 128", "0.0005 8192", "weight_norm")],
    "large-batch minima are sharper": [_set("3", "width", "0 8192", value=1.25)],
    "goes with test error": [_set("3", "width", value={"0 128": 0.9, "0 8192": 1.3, "0.0005 128": 0.8, "0.0005 8192": 1.2})],
    "a deep network's surface is chaotic": [_set("1", "roughness", "resnet56", "mean", "basins", value=60.0)],
    "depth makes the surface chaotic": [_set("5", "networks", "resnet110_noshort", "shape", "negative_share_center", value=0.05)],
    "depth hardly changes": [_set("5", "networks", "resnet110", "shape", "negative_share_center", value=0.95)],
    "at every depth": [_swap("5", "resnet56", "resnet56_noshort", "test_accuracy")],
    "flatter minima": [_swap("6", "wrn56_2_noshort", "resnet56_noshort", "shape")],
    "err less": [_swap("6", "wrn56_2", "resnet56", "test_accuracy")],
    "over more of the plane": [_swap("7", "resnet56", "resnet56_noshort", "share_convex")],
    "where the plane looks convex": [_set("7", "networks", "resnet56", "ratio_elsewhere", value=0.001)],
    "random directions show nothing": [_set("8", "captured_share", "random", value=0.2)],
    "two principal directions": [_set("9", "a", "explained_variance_ratio", value=[0.2, 0.1, 0.1])],
    "the same line": [_set("repeat", "relative_spread_at_half", "large", value=0.4)],
}


@pytest.mark.parametrize("words", CONTRADICTIONS)
def test_a_contradiction_is_seen(words: str) -> None:
    figures = copy.deepcopy(as_in_the_paper())
    for change in CONTRADICTIONS[words]:
        change(figures)
    assert [claim.agrees for claim in decided_claims(figures) if words in claim.claim][-1:] == [False]


def test_every_rule_can_be_contradicted() -> None:
    assert len(CONTRADICTIONS) == len(RULES)


def test_figures_that_were_not_drawn_leave_their_claims_open() -> None:
    claims = decided_claims({"8": as_in_the_paper()["8"]})
    assert [claim.figure for claim in claims if claim.agrees is not None] == ["8"]
    assert all("has not been computed" in claim.why for claim in claims if claim.agrees is None)


def test_imported_surfaces_decide_nothing() -> None:
    figures = as_in_the_paper()
    for name in ("resnet56", "resnet110", "resnet56_noshort", "resnet110_noshort"):
        figures["5"]["networks"][name] |= {"source": "imported surface", "test_accuracy": None}
    depth = [claim for claim in decided_claims(figures) if claim.figure == "5"]
    assert [claim.agrees for claim in depth] == [None, None, True]
    assert all("lacks" in claim.why for claim in depth[:2])


def test_the_table_and_the_plain_form_say_the_same(tmp_path: Path) -> None:
    claims = decided_claims({"repeat": as_in_the_paper()["repeat"]})
    write_claims(claims, "laptop run", tmp_path)
    rows = [line for line in (tmp_path / "claims.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[4] for row in rows] == ["yes" if claim.agrees else "not computed" for claim in claims]
    assert [one["agrees"] for one in claims_summary({"repeat": as_in_the_paper()["repeat"]})] == [claim.agrees for claim in claims]
