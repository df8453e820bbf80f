"""Print what pyproject.toml asks for, one requirement a line: `requirements.py [--lowest] [--torch]`.

The extras are those whose packages the fast tests use and that need no torch. With --lowest every lower bound becomes the version
itself; torch keeps the version of constraints.txt, the only one that comes as a small CPU wheel.
"""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("app", "notebook", "video", "maps", "hdf5")
TOOLS = ("pytest", "pytest-xdist", "pytest-timeout", "pytest-rerunfailures", "hypothesis")


def requirements(lowest: bool, torch: bool) -> list[str]:
    """Direct requirements and those of EXTRAS, then the pinned TOOLS of the test suite."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    direct = [*project["dependencies"], *(item for extra in EXTRAS for item in project["optional-dependencies"][extra])]
    named = [item for item in direct if not item.startswith("torch")]
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.split("==")[0] in (*TOOLS, *["torch"] * torch)]
    return [item.replace(">=", "==") if lowest else item for item in named] + pins


if __name__ == "__main__":
    print("\n".join(requirements("--lowest" in sys.argv, "--torch" in sys.argv)))
