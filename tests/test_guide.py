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


SHELL = {page.stem: re.findall(r"```(?:bash|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL) for page in PAGES}
STUBS = {
    "scontrol": 'test "$*" = "show hostnames node[1-3]" && printf "node1\\nnode2\\nnode3\\n"',
    "srun": 'echo "srun $*" >> calls',
    "ray": 'test "$*" = status && echo " 1 node_b4c3"',
    "lossatlas": 'echo "RAY_ADDRESS=$RAY_ADDRESS lossatlas $*" >> calls',
}


@pytest.mark.parametrize("page", [page for page, blocks in SHELL.items() if blocks])
def test_the_guides_shell_lines_parse(page: str) -> None:
    for block in SHELL[page]:
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_the_job_script_for_slurm_starts_one_head_and_a_worker_on_every_other_node(tmp_path: Path) -> None:
    (script,) = [block for block in SHELL["large_jobs"] if "#SBATCH" in block]
    for name, body in STUBS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    for nodes, expected in ((3, 3), (1, 2)):
        (tmp_path / "calls").unlink(missing_ok=True)
        variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_JOB_NODELIST": "node[1-3]", "SLURM_NNODES": str(nodes)}
        subprocess.run(
            ["bash", "-c", script.replace("lossatlas evaluate", "wait; lossatlas evaluate")], cwd=tmp_path, env=variables, check=True
        )
        calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
        assert len(calls) == expected
        assert "srun --nodes=1 --ntasks=1 --nodelist=node1 ray start --head --port=6379 --block" in calls
        assert ("srun --nodes=2 --ntasks=2 --exclude=node1 ray start --address=node1:6379 --block" in calls) == (nodes == 3)
        assert calls[-1] == "RAY_ADDRESS=node1:6379 lossatlas evaluate job.py:objective --archive landscape.zarr --executor ray"


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
