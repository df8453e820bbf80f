"""What every fuzz target shares: a seeded loop within a time limit, and mutations of bytes, numbers and JSON.

A target runs a fixed number of cases by default, a second or less. ``LOSSATLAS_FUZZ_SECONDS`` lengthens it (`make fuzz`), and
then each run starts from another seed, which is printed; ``LOSSATLAS_FUZZ_SEED`` repeats one.
"""

from __future__ import annotations

import copy
import json
import os
import random
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from lossatlas.errors import LossatlasError

SECONDS = float(os.environ.get("LOSSATLAS_FUZZ_SECONDS", "0"))

NUMBERS = (0, 1, -1, 2, 3, 255, 65536, 2**31 - 1, 2**31, 2**40, 2**63, -(2**63), 10**400, 0.0, -0.0, 0.5, 1e-320, 1e308, -1e308,
           float("nan"), float("inf"), float("-inf"))  # fmt: skip
TEXTS = ("", " ", "x", "a/b", "..", ".", "../../x", "\x00", "\x1b[2J", "\ud800", "é\u202e", "$\\frac{$", "$$", "$x$ $_", "%s", "{0}", "nan",
         "-1", "1e999", "x" * 3000, "<script>", "auto", "__proto__")  # fmt: skip
VALUES: tuple[Any, ...] = (None, True, False, [], [None], [[1]], [1, 2], {}, {"a": 1}, *NUMBERS, *TEXTS)


def run_cases(target: str, case: Callable[[random.Random], object], fewest: int = 40) -> Counter[str]:
    """Call `case` again and again: `fewest` times, the same everywhere, or for `LOSSATLAS_FUZZ_SECONDS`.

    A case may return or raise one of our errors, no more.

    Returns:
        How many cases there were ("cases"), and how many were refused ("refused").
    """
    seed = int(os.environ.get("LOSSATLAS_FUZZ_SEED", time.time_ns() % 10**9 if SECONDS else 0))
    end, counts = time.monotonic() + SECONDS, Counter[str](cases=0, refused=0)
    while counts["cases"] < fewest if not SECONDS else time.monotonic() < end:
        dice = random.Random(f"{target}/{seed}/{counts['cases']}")
        counts["cases"] += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numbers that only damage makes so large
                case(dice)
        except LossatlasError as error:
            counts["refused"] += 1
            str(error)
        except BaseException as error:
            error.add_note(f"fuzz target {target}: LOSSATLAS_FUZZ_SEED={seed}, case {counts['cases'] - 1}")
            raise
    print(f"{target}: seed {seed}, {counts['cases']:,} cases, {counts['refused']:,} refused")
    return counts


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Bytes cut short, changed, doubled or replaced in places."""
    if not content:
        return bytes([dice.randrange(256)])
    kind = dice.randrange(8)
    if kind == 0:
        return content[: dice.randrange(len(content))]
    if kind == 1:
        start = dice.randrange(len(content))
        return content[:start] + content[start + dice.randrange(1, 64) :]
    if kind == 2:
        start = dice.randrange(len(content))
        return content[:start] + content[start : start + dice.randrange(1, 64)] * 2 + content[start:]
    changed = bytearray(content)
    for _ in range(dice.choice([1, 1, 2, 5, 30])):
        changed[dice.randrange(len(changed))] = dice.choice([0, 1, 127, 128, 255, dice.randrange(256)])
    return bytes(changed)


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a JSON document, the document itself first."""
    yield path
    items = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def mutated(document: Any, dice: random.Random) -> Any:
    """A copy of a JSON document in which one value is another, gone, doubled or wrapped."""
    path = dice.choice(list(places(document)))
    if not path:
        return dice.choice(VALUES) if dice.random() < 0.1 else {**document, dice.choice(TEXTS): dice.choice(VALUES)}
    changed = copy.deepcopy(document)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    kind = dice.randrange(6)
    if kind == 0 and isinstance(holder, dict):
        del holder[path[-1]]
    elif kind == 1:
        holder[path[-1]] = [holder[path[-1]]] * dice.choice([1, 2, 50])
    elif kind == 2 and isinstance(holder[path[-1]], int | float):
        holder[path[-1]] = dice.choice(NUMBERS)
    elif kind == 3:
        for _ in range(dice.choice([5, 40])):
            holder[path[-1]] = {"a": [holder[path[-1]]]}
    else:
        holder[path[-1]] = dice.choice(VALUES)
    return changed


def mutated_json(text: str, dice: random.Random) -> bytes:
    """JSON with values changed, or with its bytes damaged, or nested too deep for a parser."""
    kind = dice.random()
    if kind < 0.15:
        return damaged(text.encode(), dice)
    if kind < 0.2:
        return dice.choice([b"", b"null", b"[]", b"3", b"{", b"[" * 5000, b'{"a":' * 5000, b"\xff\xfe", b'"x"'])
    document = json.loads(text)
    for _ in range(dice.choice([1, 1, 1, 2, 4])):
        document = mutated(document, dice) if isinstance(document, dict) else document
    return json.dumps(document).encode()
