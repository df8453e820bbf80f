"""Build the distributions into dist/ and check all that is promised of them; `make release-check` runs it in a venv of its own.

The wheel holds the viewer, a second build and the sdist give the same bytes, metadata and workflows pass their linters, and the wheel
installed into an empty environment runs `lossatlas demo`. With `--no-install` the last part is left out, which is the slow one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
BIN = Path(sys.executable).parent
IN_THE_WHEEL = (
    "lossatlas/py.typed",
    "lossatlas/viz/static/viewer.js",
    "lossatlas/viz/static/viewer.mjs",
    "lossatlas/viz/static/three.LICENSE.txt",
)
LARGEST_WHEEL = 5_000_000


def run(*command: object, cwd: Path = ROOT, **environment: str) -> None:
    print("$", *(Path(str(part)).name if str(part).startswith("/") else part for part in command), flush=True)
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, env={**os.environ, **environment})


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def built(source: Path, target: Path, *options: str) -> list[Path]:
    """Distributions of `source`; `PYTHONPATH` would show the build the modules of this checkout."""
    run(sys.executable, "-m", "build", "--outdir", target, *options, source, PYTHONPATH="")
    return sorted(target.iterdir())


def unpacked(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.iterdir())


def check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        missing = set(IN_THE_WHEEL) - set(archive.namelist())
        metadata = next(archive.read(name).decode() for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert not missing, f"not in the wheel: {missing}"
    relative = re.findall(r"\]\((?!https://)[^)]*\)", metadata)
    assert not relative, f"links of README that lead nowhere on PyPI: {relative}"
    assert wheel.stat().st_size < LARGEST_WHEEL, f"{wheel.stat().st_size:,} bytes"
    print(f"{wheel.name}: {wheel.stat().st_size:,} bytes, {sha256(wheel)}")


def check_builds() -> list[Path]:
    """Build twice, and once more from the sdist: all wheels are the same to the last bit."""
    shutil.rmtree(DIST, ignore_errors=True)
    sdist, wheel = sorted(built(ROOT, DIST), key=lambda file: file.suffix == ".whl")
    check_contents(wheel)
    with tempfile.TemporaryDirectory() as folder:
        (again,) = built(ROOT, Path(folder, "again"), "--wheel")
        assert sha256(again) == sha256(wheel), "a second build differs"
        without_git = unpacked(sdist, Path(folder, "sdist"))
        shutil.rmtree(without_git / "viewer" / "node_modules", ignore_errors=True)
        (from_sdist,) = built(without_git, Path(folder, "from_sdist"), "--wheel")
        assert sha256(from_sdist) == sha256(wheel), "the sdist builds another wheel"
    return [sdist, wheel]


def check_metadata(distributions: list[Path]) -> None:
    run(BIN / "twine", "check", "--strict", *distributions)
    run(BIN / "check-wheel-contents", distributions[-1])
    run(BIN / "validate-pyproject", "pyproject.toml")
    run(BIN / "check-jsonschema", "--builtin-schema", "vendor.citation-file-format", "CITATION.cff")


def check_workflows() -> None:
    github = ROOT / ".github"
    for schema, files in (
        ("github-workflows", sorted(github.glob("workflows/*.yml"))),
        ("dependabot", [github / "dependabot.yml"]),
        ("github-issue-config", [github / "ISSUE_TEMPLATE" / "config.yml"]),
        ("github-issue-forms", sorted(set(github.glob("ISSUE_TEMPLATE/*.yml")) - {github / "ISSUE_TEMPLATE" / "config.yml"})),
    ):
        run(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)
    run(BIN / "pre-commit", "validate-config", ".pre-commit-config.yaml")
    run(BIN / "zizmor", "--offline", "--persona", "pedantic", "--quiet", ".github")
    actionlint = shutil.which("actionlint")
    if actionlint:
        run(actionlint)
    else:
        print("actionlint: not on PATH, left out")


def check_installation(wheel: Path, python: Path | str = sys.executable) -> None:
    """Install the wheel where nothing else is, without Node on PATH, and run the demo there."""
    with tempfile.TemporaryDirectory() as folder:
        if str(python) == sys.executable:
            venv.create(Path(folder, "venv"), with_pip=True)
        else:
            run(python, "-m", "venv", Path(folder, "venv"))
        scripts, environment = Path(folder, "venv", "bin"), {"PATH": "/usr/bin:/bin", "PYTHONPATH": "", "MPLBACKEND": "Agg"}
        start = time.monotonic()
        run(scripts / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, PYTHONPATH="")
        installed = time.monotonic()
        run(scripts / "lossatlas", "demo", "--out", Path(folder, "demo"), cwd=Path(folder), **environment)
        print(f"installed in {installed - start:.0f} s, demo in {time.monotonic() - installed:.0f} s on {os.cpu_count()} cores")
        assert (Path(folder, "demo") / "index.html").stat().st_size > 100_000


def main() -> None:
    distributions = check_builds()
    check_metadata(distributions)
    check_workflows()
    if "--no-install" not in sys.argv:
        check_installation(distributions[-1])
    print("ready:", *(file.name for file in distributions))


if __name__ == "__main__":
    main()
