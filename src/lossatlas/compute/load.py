"""Find a user's objective from the words ``MODULE:OBJECTIVE`` of the command line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from lossatlas.compute.objective import Objective
from lossatlas.errors import InputError

FORM = "MODULE:OBJECTIVE, such as my_model.py:objective or package.module:make_objective"


def load_objective(reference: str) -> Objective:
    """Import a module or run a file, and take an `Objective`, or call a function that returns one.

    Raises:
        InputError: the module, the name or the type is not what is needed.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise InputError("MODULE:OBJECTIVE", reference, FORM)
    module = _module(place)
    if not hasattr(module, name):
        public = ", ".join(n for n in vars(module) if not n.startswith("_")) or "nothing"
        raise InputError("MODULE:OBJECTIVE", name, f"a name that {place} defines: {public}")
    found = getattr(module, name)
    objective = found() if callable(found) and not isinstance(found, Objective) else found
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
        spec.loader.exec_module(module)
        return module
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise InputError("MODULE:OBJECTIVE", place, FORM, f"Python says: {error}") from error
    finally:
        sys.path.pop(0)
