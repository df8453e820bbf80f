"""Settings of the C library's allocator in processes that ask for blocks of the same sizes until they end."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Of `mallopt`, see mallopt(3)."""
TRIM_BYTES = 2**31 - 1
MMAP_BYTES = (2**30, 2**25)
"""Older versions of glibc take no more than 32 MiB."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, as far as the allocator is glibc's; whether it is.

    glibc maps every block beyond a threshold of its own, unmaps it when it is freed, and the system zeroes each page anew at the next
    one: a third of LeNet's time on batches of 2,000 digits. Workers and trainings ask for blocks of the same sizes until
    they end, so that keeping them costs no more memory than the largest batch.
    """
    if sys.platform != "linux":
        return False
    with suppress(OSError, AttributeError, ValueError):  # another C library, which has no such name or function
        if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return False
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)) and any(mallopt(M_MMAP_THRESHOLD, size) for size in MMAP_BYTES)
    return False
