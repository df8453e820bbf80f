"""What the Markdown says is so: its code runs, its paths and commands exist, and the format page names every array."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lossatlas import schema

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("[!_]*/*.md")])
GENERATED = re.compile(r"(^|/)(gallery/|api/|python\.md|command_line\.md|[a-z_]+\.ipynb)")
"""Pages that `make docs` writes; it refuses links that lead nowhere."""
LINK = re.compile(r"\]\(([^)#:]+)\)")
CODE_PATH = re.compile(r"`((?:src|tests|docs|examples|benchmarks|viewer)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_linked_and_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in (link for link in LINK.findall(text) if not GENERATED.search(link)):
        assert (page.parent / target).exists(), target
    for target in CODE_PATH.findall(text):
        assert (ROOT / target).exists(), target


@pytest.mark.slow
def test_the_readmes_python_runs(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len([line for line in block.splitlines() if line.strip()]) <= 13
    for _ in range(2):  # the second run continues the archive of the first
        subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=tmp_path, check=True, timeout=200)
        pictures = [tmp_path / "landscape.png", tmp_path / "path.png"]
        assert all(picture.stat().st_size > 10_000 for picture in pictures)
        for picture in pictures:
            picture.unlink()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_named_make_targets_and_verbs_exist(page: Path) -> None:
    from lossatlas.cli.app import app

    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    verbs = {(c.name or c.callback.__name__) for c in app.registered_commands if c.callback is not None}
    lines = [line for block in re.findall(r"```\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    spoken = [*lines, *re.findall(r"`((?:make|lossatlas) [^`]+)`", text)]
    for line in spoken:
        words = line.split()
        if words[:1] == ["make"]:
            assert words[1] in targets, line
        if words[:1] == ["lossatlas"] and words[1][0].isalpha() and words[1].islower():
            assert words[1] in verbs, line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_named_options_exist(page: Path) -> None:
    from typer.main import get_command

    from lossatlas.cli import app

    verbs: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    options = {name: {option for p in verb.params for option in (*p.opts, *p.secondary_opts)} for name, verb in verbs.items()}
    text = page.read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    for line in [*lines, *re.findall(r"`(lossatlas [^`]+)`", text)]:
        words = line.split()
        if words[:1] != ["lossatlas"] or words[1] not in verbs or words[1] == "run":  # a recipe's options are its own
            continue
        assert not [w for w in re.findall(r"(?<!\S)--[a-z][a-z-]*", line) if w not in options[words[1]]], line


def test_the_format_page_names_every_declared_array() -> None:
    page = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
    missing = [name for name in schema.VARIABLES if f"`{name}`" not in page]
    assert not missing


def test_no_machine_paths_in_the_repository() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    found = subprocess.run(["git", "grep", "-nIE", r"/(root|home/[a-z]+)/"], cwd=ROOT, capture_output=True, text=True).stdout
    assert not [line for line in found.splitlines() if "test_docs.py" not in line]
