"""What every test shares: one thread, no display, the real data where it is."""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
from hypothesis import HealthCheck, settings

# Reading, drawing and analysis are also tested where torch is not installed (`make pythons`).
if importlib.util.find_spec("torch"):
    import torch

    torch.set_num_threads(1)
settings.register_profile("lossatlas", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("lossatlas")

NEIGHBOR = Path(__file__).resolve().parents[2] / "shared" / "data"


FAST_CASES = 2
"""Cases of one parametrized test in the fast tier, the first and the last; the others are slow, and `make test` runs them all."""


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browsers and clusters are processes of their own, with time limits of their own: on a busy machine they get another try."""
    for item in items:
        if any(item.get_closest_marker(tier) for tier in ("browser", "ray")):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
    _mark_further_cases_slow(items)
    if seed := os.environ.get("LOSSATLAS_TEST_ORDER"):
        _shuffle(items, seed)


def pytest_collection_finish() -> None:
    """What was imported stays: the garbage collector need not look through a million objects of it again and again."""
    gc.collect()
    gc.freeze()


def _mark_further_cases_slow(items: list[pytest.Item]) -> None:
    """Leave FAST_CASES of each parametrized test in the fast tier, evenly spread over its cases: first and last kinds alike."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.nodeid.endswith("]"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for group in cases.values():
        fast = {round(k * (len(group) - 1) / (FAST_CASES - 1)) for k in range(FAST_CASES)}
        for number, item in enumerate(group):
            if len(group) > FAST_CASES and number not in fast:
                item.add_marker(pytest.mark.slow)


def _shuffle(items: list[pytest.Item], seed: str) -> None:
    """Another order of modules, of classes within a module and of tests within a class, the same in every worker."""

    def place(*names: str) -> float:
        return random.Random("/".join((seed, *names))).random()

    def key(item: pytest.Item) -> tuple[float, ...]:
        file, *middle, name = item.nodeid.split("::")
        return place(file), place(file, *middle), place(file, *middle, name)

    items.sort(key=key)


@pytest.fixture(autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """A test that changes the number of torch's threads for those after it fails here, whichever worker those run on."""
    yield
    if (torch := sys.modules.get("torch")) and (count := torch.get_num_threads()) != 1:
        torch.set_num_threads(1)
        pytest.fail(f"the test left torch with {count} threads; tests run with one")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data: `LOSSATLAS_DATA`, else the shared one. Absent, tests are skipped; in CI they fail."""
    root = Path(os.environ.get("LOSSATLAS_DATA", NEIGHBOR))
    if root.is_dir():
        return root
    reason = f"no real data at {root}; set LOSSATLAS_DATA"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
