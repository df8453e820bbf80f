"""The Python of the guide runs, page by page, in the order in which it is read; notebooks and gallery scripts keep their form."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(page for page in (ROOT / "docs" / "guide").glob("*.md") if "```python\n" in page.read_text(encoding="utf-8"))
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
GALLERY = sorted((ROOT / "examples" / "gallery").rglob("plot_*.py"))
MOST_LINES = 30


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_guides_python_runs(page: Path, tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_execute(notebook: Path, tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    content = nbformat.read(notebook, as_version=4)
    nbformat.validate(content)
    nbclient.NotebookClient(content, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs_and_ask_before_they_answer(notebook: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]
    text = "".join("".join(cell["source"]) for cell in cells)
    assert text.count("## Exercise") == text.count("<summary><b>Answer</b></summary>") >= 3


def test_gallery_scripts_are_short_and_leave_a_picture() -> None:
    assert len(GALLERY) >= 25
    for script in GALLERY:
        text = script.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), script
        lines = [line for line in text.split('"""', 2)[2].splitlines() if line.strip()]
        assert len(lines) <= MOST_LINES, f"{script.name}: {len(lines)} lines"
        assert re.search(r'"[\w{}]+\.(png|gif)"', text), script
