"""Bounded reading of files from elsewhere: sizes are checked before memory is taken."""

from __future__ import annotations

import pickletools
from typing import IO, Any, cast

PIECE = 2**20
"""Bytes read at a time: `read(n)` of a buffered file takes n bytes of memory before it has any."""

_CONTAINERS = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "LIST", "EMPTY_LIST", "DICT", "EMPTY_DICT", "EMPTY_SET", "FROZENSET"}
_PUT, _GET = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}


def read_at_most(stream: IO[bytes], count: int) -> bytes:
    """Up to `count` bytes; memory grows with what is there, not with what was asked for."""
    parts, left = [], count
    while left > 0 and (part := stream.read(min(left, PIECE))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


class BoundedStream:
    """A binary stream that reads in pieces and ends with an error after `limit` bytes, such as a small file unpacks to."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self.stream, self.limit, self.position = stream, limit, 0

    def read(self, count: int = -1) -> bytes:
        content = read_at_most(self.stream, self.limit + 1 - self.position if count < 0 else count)
        self.position += len(content)
        if self.position > self.limit:
            raise ValueError(f"more than {self.limit:,} bytes unpacked")
        return content

    def seek(self, position: int) -> int:
        """Only forwards, as reading an archive does."""
        if position < self.position:
            raise ValueError("a place before the one that was read")
        while self.position < position and self.read(min(PIECE, position - self.position)):
            pass
        return self.position

    def tell(self) -> int:
        return self.position


class _Pieces:
    """A stream as `pickletools` reads it, taking no more memory than there is content."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.readline, self.tell = stream, stream.readline, stream.tell

    def read(self, count: int) -> bytes:
        return read_at_most(self.stream, count)


def check_pickle(content: bytes | IO[bytes], size: int, *, containers_again: bool = False) -> None:
    """Look through one pickle without loading it.

    Args:
        content: the pickle, or a stream that stands at its beginning and is read to its end.
        size: bytes of the whole file, which no count or index in it can exceed.
        containers_again: may a list, tuple or dictionary be referred to again? A few such references unpack to any size.

    Raises:
        ValueError: cut short, or a claim beyond the file: a string, a memo index, a tensor's storage.
    """
    memo_size, memo_containers, last, recent = 0, set[int](), "", list[Any]()
    for operation, argument, _ in pickletools.genops(content if isinstance(content, bytes) else cast(Any, _Pieces(content))):
        name = operation.name
        if name in _PUT or name == "MEMOIZE":
            index = memo_size if name == "MEMOIZE" else int(argument or 0)
            if not 0 <= index <= size:
                raise ValueError(f"a memo of {index:,} entries in {size:,} bytes")
            memo_size += 1
            if last in _CONTAINERS:
                memo_containers.add(index)
        elif not containers_again and (name == "DUP" or (name in _GET and int(argument or 0) in memo_containers)):
            raise ValueError("a container that is referred to again")
        elif name in ("BINPERSID", "PERSID") and any(isinstance(n, int) and n > size for n in recent):
            raise ValueError(f"a tensor larger than the file of {size:,} bytes")
        elif name in ("GLOBAL", "STACK_GLOBAL", "INST") and "bytearray" in (str(argument), *str(argument).split(), *map(str, recent[-2:])):
            raise ValueError("a bytearray of any size")
        last = name if name not in _PUT and name != "MEMOIZE" else last
        recent = [*recent[-11:], argument]
