"""Progress of what takes longer than a couple of seconds: a bar on a terminal and in a notebook, a line each tenth in a log."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from lossatlas._util.text import format_duration

Advance = Callable[[int], None]

SECONDS = 2.0
"""What is over sooner shows nothing, unless it is asked to."""
NOTEBOOK_SECONDS = 0.2
"""Between two changes of a bar in a notebook."""
clock = time.monotonic


class Display(Protocol):
    """A place that shows progress."""

    def update(self, done: int, seconds: float) -> None: ...

    def close(self) -> None: ...


@contextmanager
def progress_bar(description: str, total: int, done: int = 0, show: bool | None = None) -> Iterator[Advance]:
    """Yield a function to call with the number of finished steps.

    Args:
        description: the words before the bar.
        total: steps in all.
        done: steps finished before.
        show: True shows it at once, False never, None once it has taken `SECONDS`.
    """
    if show is False or done >= total:
        yield lambda _: None
        return
    progress = _Progress(description, total, done, 0.0 if show else SECONDS)
    try:
        yield progress.advance
    finally:
        progress.close()


class _Progress:
    """Steps that are counted, and shown from some time on."""

    def __init__(self, description: str, total: int, done: int, delay: float) -> None:
        self.description, self.total, self.first, self.done, self.delay = description, total, done, done, delay
        self.began = clock()
        self.display: Display | None = None
        if not delay:
            self.advance(0)

    def advance(self, count: int) -> None:
        self.done += count
        seconds = clock() - self.began
        if self.display is None and self.done < self.total and self._is_long(seconds):
            self.display = _display(self.description, self.total, self.first)
        if self.display is not None:
            self.display.update(self.done, seconds)

    def _is_long(self, seconds: float) -> bool:
        """Some time has passed, and half as much at least is to come."""
        left = (self.total - self.done) * seconds / max(self.done - self.first, 1)
        return not self.delay or (seconds >= self.delay and left >= self.delay / 2)

    def close(self) -> None:
        if self.display is not None:
            self.display.close()


def _display(description: str, total: int, first: int) -> Display:
    if sys.stderr.isatty():
        return TerminalBar(description, total, first)
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    notebook = shell is not None and hasattr(shell, "kernel")
    return NotebookBar(description, total, first) if notebook else LogLines(description, total, first)


class TerminalBar:
    """A bar of rich on standard error."""

    def __init__(self, description: str, total: int, first: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.bar = Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=Console(stderr=True))
        self.bar.start()
        self.task: Any = self.bar.add_task(description, total=total, completed=first)

    def update(self, done: int, seconds: float) -> None:
        self.bar.update(self.task, completed=done)

    def close(self) -> None:
        self.bar.stop()


class NotebookBar:
    """A bar of HTML, which any notebook draws without widgets."""

    def __init__(self, description: str, total: int, first: int) -> None:
        from IPython.display import display  # pyright: ignore[reportPrivateImportUsage]

        self.description, self.total, self.first, self.shown = description, total, first, 0.0
        self.handle: Any = display(self._html(first, 0.0), display_id=True)

    def update(self, done: int, seconds: float) -> None:
        if seconds - self.shown >= NOTEBOOK_SECONDS or done >= self.total:
            self.shown = seconds
            self.handle.update(self._html(done, seconds))

    def close(self) -> None:
        pass

    def _html(self, done: int, seconds: float) -> Any:
        from IPython.core.display import HTML

        text = html.escape(progress_line(self.description, self.total, self.first, done, seconds))
        return HTML(f'<progress value="{done}" max="{self.total}" style="width: 20em"></progress> {text}')


class LogLines:
    """A line on standard error each time another tenth is done."""

    def __init__(self, description: str, total: int, first: int) -> None:
        self.description, self.total, self.first = description, total, first
        self.tenth = 10 * first // total

    def update(self, done: int, seconds: float) -> None:
        if 10 * done // self.total > self.tenth:
            self.tenth = 10 * done // self.total
            print(progress_line(self.description, self.total, self.first, done, seconds), file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


def progress_line(description: str, total: int, first: int, done: int, seconds: float) -> str:
    """Progress in words.

    >>> progress_line("surface", 1000, 200, 400, 5.0)
    'surface: 400 of 1,000 (40 %), 5 s, about 15 s left'
    """
    line = f"{description}: {done:,} of {total:,} ({done / total:.0%}), {format_duration(seconds)}".replace("%)", " %)")
    if done <= first or done >= total or not seconds:
        return line
    return f"{line}, about {format_duration((total - done) * seconds / (done - first))} left"
