"""Progress bar with the time left; silent where nobody watches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def progress_bar(description: str, total: int, done: int = 0, show: bool | None = None) -> Iterator[Advance]:
    """Yield a function to call with the number of finished steps.

    Args:
        description: the words before the bar.
        total: steps in all.
        done: steps finished before.
        show: None shows the bar on a terminal only.
    """
    if show is None:
        show = sys.stderr.isatty()
    if not show or done >= total:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total, completed=done)
        yield lambda count: bar.advance(task, count)
