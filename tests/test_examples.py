"""Every example runs; each ends in an assert and a figure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WARNS_ITSELF = {"transformers_lora": "Transformers and PEFT warn of names of their own"}
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_draws(example: Path, tmp_path: Path) -> None:
    assert "assert " in example.read_text()
    if example.stem in WARNS_ITSELF:
        for name in ("transformers", "peft", "accelerate"):
            pytest.importorskip(name)
    warnings = "default" if example.stem in WARNS_ITSELF else "error"
    done = subprocess.run([sys.executable, "-W", warnings, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [f for f in tmp_path.iterdir() if f.suffix in (".png", ".gif", ".html")]
