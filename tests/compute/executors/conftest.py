"""A local Ray cluster for the tests that ask for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def local_ray(request: pytest.FixtureRequest) -> Iterator[None]:
    """Two workers on this machine, for tests marked `ray`; nothing otherwise."""
    if request.node.get_closest_marker("ray") is None:
        yield
        return
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()
