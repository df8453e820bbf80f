"""Find a user's objective from the words ``MODULE:OBJECTIVE`` of the command line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from lossatlas.compute.objective import Objective
from lossatlas.errors import InputError, LossatlasError

FORM = "MODULE:OBJECTIVE, such as my_model.py:objective or package.module:make_objective"


def load_objective(reference: str) -> Objective:
    """Import a module or run a file, and take an `Objective`, or call a function that returns one.

    Raises:
        InputError: the module, the name or the type is not what is needed, or the user's code raises.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise InputError("MODULE:OBJECTIVE", reference, FORM)
    module = _module(place)
    if not hasattr(module, name):
        public = ", ".join(n for n in vars(module) if not n.startswith("_")) or "nothing"
        raise InputError("MODULE:OBJECTIVE", name, f"a name that {place} defines: {public}")
    found = getattr(module, name)
    objective = _run(found, reference) if callable(found) and not isinstance(found, Objective) else found
    if not isinstance(objective, Objective):
        raise InputError(
            "MODULE:OBJECTIVE", type(objective).__name__, "a lossatlas.Objective, or a function without arguments that returns one"
        )
    return objective


def _module(place: str) -> ModuleType:
    path = Path(place)
    if path.suffix == ".py":
        if not path.is_file():
            raise InputError("MODULE:OBJECTIVE", place, "a file that exists", "Give its path from the current folder")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        _run(lambda: spec.loader.exec_module(module), place)  # type: ignore[union-attr]
        return module
    sys.path.insert(0, str(Path.cwd()))
    try:
        return _run(lambda: _imported(place), place)
    finally:
        sys.path.pop(0)


def _imported(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise InputError("MODULE:OBJECTIVE", place, FORM, f"Python says: {error}") from error


def _run(code: Callable[[], Any], reference: str) -> Any:
    """Run the user's own code; what it raises is told with its line, and in full by ``--debug``."""
    try:
        return code()
    except LossatlasError:
        raise
    except Exception as error:
        file, line = _place(error)
        words = f"{type(error).__name__}: {getattr(error, 'msg', None) or error}".rstrip(": ")
        next_step = f"Mend line {line} of {file}; --debug shows the traceback"
        raise InputError("MODULE:OBJECTIVE", f"{reference}, which raises {words}", "code that runs", next_step) from error


def _place(error: Exception) -> tuple[str, int]:
    """File and line of the error: of the text that is no Python, or of the innermost frame outside installed packages."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return str(error.filename), error.lineno
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__ and not f.filename.startswith("<frozen")]
    own = [f for f in frames if "site-packages" not in f.filename] or frames
    return own[-1].filename, own[-1].lineno or 0
