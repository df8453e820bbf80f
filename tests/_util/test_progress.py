"""Progress is silent where little time passes, a line each tenth in a log, a bar in a notebook; the clock is ours."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from lossatlas._util import progress
from lossatlas._util.progress import progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    time = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress, "clock", lambda: time.now)
    monkeypatch.setitem(sys.modules, "IPython", None)
    return time


def run(clock: SimpleNamespace, seconds: float, total: int = 100, done: int = 0, show: bool | None = None) -> None:
    with progress_bar("surface", total, done, show) as advance:
        for _ in range(total - done):
            clock.now += seconds / (total - done)
            advance(1)


def test_what_is_short_says_nothing_and_what_is_long_a_line_each_tenth(clock, capsys: pytest.CaptureFixture[str]) -> None:
    run(clock, 1.9)
    run(clock, 2.1)
    assert capsys.readouterr() == ("", "")
    run(clock, 50.0)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 10
    assert lines[4] == "surface: 50 of 100 (50 %), 25 s, about 25 s left" and lines[-1].startswith("surface: 100 of 100 (100 %)")


def test_a_resumed_run_counts_from_where_it_was(clock, capsys: pytest.CaptureFixture[str]) -> None:
    run(clock, 30.0, done=70)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == [f"surface: {n} of 100 ({n} %)" for n in (80, 90, 100)]
    assert lines[0].endswith("about 20 s left")


def test_false_turns_it_off_and_true_shows_it_at_once(clock, capsys: pytest.CaptureFixture[str]) -> None:
    run(clock, 50.0, show=False)
    assert capsys.readouterr().err == ""
    run(clock, 0.1, show=True)
    assert len(capsys.readouterr().err.splitlines()) == 10


def test_an_error_ends_the_bar_and_goes_on(clock) -> None:
    with pytest.raises(ZeroDivisionError), progress_bar("surface", 10, show=True) as advance:
        advance(1)
        _ = 1 / 0


def test_a_notebook_has_one_bar_that_changes(clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[str] = []
    handle = SimpleNamespace(update=lambda page: shown.append(page.data))

    def display(page: Any, display_id: bool) -> Any:
        shown.append(page.data)
        return handle

    monkeypatch.delitem(sys.modules, "IPython")
    import IPython
    import IPython.display

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=True))
    monkeypatch.setattr(IPython.display, "display", display)
    run(clock, 1.0)
    assert shown == []
    run(clock, 40.0)
    assert capsys.readouterr() == ("", "")
    assert shown[-1].startswith('<progress value="100" max="100"') and 10 < len(shown) <= 101
