"""Recognition of out-of-memory errors, on accelerators and on the host."""

from __future__ import annotations

OUT_OF_MEMORY_MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")


def out_of_memory(error: BaseException) -> bool:
    """Whether a smaller chunk could help.

    >>> out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), out_of_memory(RuntimeError("shape"))
    (True, False)
    """
    return isinstance(error, MemoryError) or any(message in str(error).lower() for message in OUT_OF_MEMORY_MESSAGES)
