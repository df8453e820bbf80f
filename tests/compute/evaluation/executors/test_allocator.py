"""Worker processes keep the memory that they free."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lossatlas.compute.evaluation.executors import allocator

BLOCKS = """
import ctypes, resource, sys
from lossatlas.compute.evaluation.executors.allocator import keep_freed_memory
c = ctypes.CDLL(None)
c.malloc.restype, c.malloc.argtypes, c.free.argtypes, c.memset.argtypes = (
    ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t])
def touch():
    block = c.malloc(40 * 2**20)
    c.memset(block, 1, 40 * 2**20)
    c.free(block)
if not keep_freed_memory():
    sys.exit(3)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_large_blocks_are_not_faulted_in_again() -> None:
    """40 MiB are 10,240 pages of 4 KiB; glibc by itself maps blocks beyond 32 MiB at every call."""
    done = subprocess.run([sys.executable, "-c", BLOCKS], capture_output=True, text=True, check=False)
    if done.returncode == 3:
        pytest.skip("another C library")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500


@pytest.mark.parametrize("library", [None, "musl 1.2"])
def test_other_c_libraries_are_left_alone(library: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def unused(*_: object) -> None:
        raise AssertionError("no setting of this library")

    monkeypatch.setattr(allocator.sys, "platform", "linux")
    monkeypatch.setattr(allocator.os, "confstr", lambda _: library, raising=False)
    monkeypatch.setattr(allocator.ctypes, "CDLL", unused)
    assert allocator.keep_freed_memory() is False


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.sys, "platform", "win32")
    assert allocator.keep_freed_memory() is False
