"""Random numbers of models that draw some: seeds that repeat, and a caller's random state that is left alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_FIXED = threading.RLock()


@contextmanager
def fixed_rng(active: bool) -> Iterator[None]:
    """Dropout, or a model that samples, draws the same noise at every point; the caller's random state is left alone."""
    if not active:
        yield
        return
    with _FIXED, torch.random.fork_rng():
        seed_generators(0)
        yield


def seed_generators(seed: int) -> None:
    """Seed the default generators as `torch.manual_seed` does, those of accelerators only where one has been used.

    Elsewhere `torch.manual_seed` queues a call for each kind of accelerator, with a formatted stack of the caller, and keeps it for
    ever: a millisecond and a few kilobytes a call.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
