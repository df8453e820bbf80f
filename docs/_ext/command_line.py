"""The command-line reference, written from the commands themselves by Typer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from api_pages import write_if_changed


def reference() -> str:
    import typer
    from typer.cli import get_docs_for_click
    from typer.main import get_command

    from lossatlas.cli.app import app

    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="lossatlas", title="Command line")
    text = re.sub(r"^(#+) `lossatlas (\S+)`$", r"\1 lossatlas \2", text, flags=re.MULTILINE)
    return re.sub(r"\[env var:[^\]]*\]", "", text)


def write_page(app: Any) -> None:
    write_if_changed(Path(app.srcdir, "reference", "command_line.md"), reference())


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", write_page)
    return {"parallel_read_safe": True}
