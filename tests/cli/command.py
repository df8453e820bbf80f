"""The command line called in this process: importing torch for each command would take most of a test's time."""

from __future__ import annotations

import io
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from lossatlas.cli import main


@dataclass(frozen=True)
class Completed:
    """What a command left: its exit code and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def lossatlas(*arguments: object, cwd: Path | None = None) -> Completed:
    """Run ``lossatlas ARGUMENTS`` in the folder `cwd`."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err), chdir(cwd or Path.cwd()):
        try:
            main([str(a) for a in arguments])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return Completed(code, out.getvalue(), err.getvalue())
