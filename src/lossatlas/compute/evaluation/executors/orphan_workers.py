"""Workers that end when their driver has died."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress

POLL_SECONDS = 1.0
PR_SET_PDEATHSIG = 1
"""Of `prctl`, see prctl(2): the signal that the kernel sends to a process when the thread that started it ends."""


def end_with_parent(parent: int) -> None:
    """End this process soon after process `parent`, which started it, has ended.

    On Linux the kernel sees to it, even where an operation holds the interpreter's lock; elsewhere on Unix, and where the
    driver ended before this call, a thread looks whether the process has another parent by now.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # no such function in this C library
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), name="lossatlas-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)
