"""What every test shares: one thread, no display, the real data where it is."""

from __future__ import annotations

import os
import random
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
settings.register_profile("lossatlas", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("lossatlas")

NEIGHBOR = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browsers and clusters are processes of their own, with time limits of their own: on a busy machine they get another try."""
    for item in items:
        if any(item.get_closest_marker(tier) for tier in ("browser", "ray")):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
    if seed := os.environ.get("LOSSATLAS_TEST_ORDER"):
        _shuffle(items, seed)


def _shuffle(items: list[pytest.Item], seed: str) -> None:
    """Another order of modules, of classes within a module and of tests within a class, the same in every worker."""

    def place(*names: str) -> float:
        return random.Random("/".join((seed, *names))).random()

    def key(item: pytest.Item) -> tuple[float, ...]:
        file, *middle, name = item.nodeid.split("::")
        return place(file), place(file, *middle), place(file, *middle, name)

    items.sort(key=key)


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
