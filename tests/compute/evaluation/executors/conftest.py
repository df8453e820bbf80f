"""A local Ray cluster for the tests that ask for one; started once a module, since a node takes seconds to come up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def two_ray_workers() -> Iterator[None]:
    """Ray on this machine with two processors, a cluster of its own also where another test has one."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.fixture
def local_ray(request: pytest.FixtureRequest) -> None:
    """The local cluster for tests marked `ray`; nothing otherwise."""
    if request.node.get_closest_marker("ray") is not None:
        request.getfixturevalue("two_ray_workers")
