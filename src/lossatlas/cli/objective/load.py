"""Load a user's objective from the reference ``MODULE:OBJECTIVE`` of the command line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lossatlas._util.text import did_you_mean
from lossatlas.cli.objective.arguments import parse_arguments
from lossatlas.compute.objective.objective import Objective
from lossatlas.errors import InputError, LossatlasError

FORM = "MODULE:OBJECTIVE, such as my_model.py:objective or package.module:make_objective"
MOST_NAMES = 12
"""Names of a module that an error lists."""


def load_objective(reference: str, settings: Sequence[str] = ()) -> Objective:
    """Import a module or run a file, and take an `Objective`, or call a function that returns one.

    Args:
        reference: ``MODULE:OBJECTIVE``.
        settings: arguments of the function, one ``NAME=VALUE`` each.

    Raises:
        InputError: the module, the name, an argument or the type is not what is needed, or the user's code raises.
    """
    place, _, name = reference.rpartition(":")
    if not place or not name:
        raise InputError("MODULE:OBJECTIVE", reference, FORM)
    module = _module(place)
    if not _run(lambda: hasattr(module, name), reference):
        names = _public_names(module)
        raise InputError("MODULE:OBJECTIVE", name, f"a name that {place} defines: {_listed(names)}", did_you_mean(name, names))
    attribute = _run(lambda: getattr(module, name), reference)
    if callable(attribute) and not isinstance(attribute, Objective):
        function, arguments = attribute, parse_arguments(attribute, settings, reference)
        attribute = _run(lambda: function(**arguments), reference)
    elif settings:
        raise InputError("--set", settings[0], f"no setting, as {reference} is no function but an objective itself")
    if not _run(lambda: isinstance(attribute, Objective), reference):
        raise InputError("MODULE:OBJECTIVE", _type_name(attribute), "a lossatlas.Objective, or a function that returns one")
    return attribute


def _module(place: str) -> Any:
    """The module; code may put anything else in its own place in `sys.modules`."""
    path = Path(place)
    if path.suffix == ".py":
        return _run_file(path, place)
    sys.path.insert(0, str(Path.cwd()))
    try:
        return _run(lambda: _imported(place), place)
    finally:
        sys.path.pop(0)


def _run_file(path: Path, place: str) -> Any:
    if not _is_file(path):
        step = did_you_mean(path.name, _files_beside(path)) or "Give its path from the current folder"
        raise InputError("MODULE:OBJECTIVE", place, "a file that exists", step)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module, earlier = importlib.util.module_from_spec(spec), sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        _run(lambda: spec.loader.exec_module(module), place)  # type: ignore[union-attr]
    except BaseException:  # half a module is none: the next import would take it for whole
        sys.modules.pop(path.stem, None)
        if earlier is not None:
            sys.modules[path.stem] = earlier
        raise
    return module


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, or one with a null byte
        return False


def _files_beside(path: Path) -> list[str]:
    try:
        return [file.name for file in path.parent.glob("*.py")]
    except (OSError, ValueError):
        return []


def _imported(place: str) -> Any:
    if not all(place.split(".")):
        raise InputError("MODULE:OBJECTIVE", place, FORM, "Name the module from the current folder, without leading dots")
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise InputError("MODULE:OBJECTIVE", place, FORM, f"Python says: {_message_of(error)}") from error


def _run(code: Callable[[], Any], reference: str) -> Any:
    """Run the user's own code; what it raises, also to leave Python, is told with its line, and in full by ``--debug``."""
    try:
        return code()
    except (LossatlasError, KeyboardInterrupt):
        raise
    except BaseException as error:
        place = _place(error)
        mend = f"Mend line {place[1]} of {place[0]}; --debug" if place else "--debug"
        raise InputError(
            "MODULE:OBJECTIVE", f"{reference}, which raises {_message_of(error)}", "code that runs", f"{mend} shows the traceback"
        ) from error


def _message_of(error: BaseException) -> str:
    """An error in words; its text is made by the user's code as well, which may fail in turn."""
    try:
        text = str(getattr(error, "msg", None) or error)
    except Exception:
        text = ""
    return f"{_type_name(error)}: {text}".rstrip(": ")


def _type_name(thing: object) -> str:
    try:
        return str(type(thing).__name__)
    except Exception:  # a metaclass may give anything
        return "object"


def _public_names(module: Any) -> list[str]:
    return [name for name in getattr(module, "__dict__", {}) if isinstance(name, str) and not name.startswith("_")]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return (", ".join(names[:MOST_NAMES]) or "nothing") + more


def _place(error: BaseException) -> tuple[str, int] | None:
    """File and line of the error: of the text that is no Python, or of the innermost frame outside installed packages."""
    if isinstance(error, SyntaxError) and isinstance(error.lineno, int) and isinstance(error.filename, str):
        return error.filename, error.lineno
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    frames = [(file, line or 0) for file, line in frames if file != __file__ and not file.startswith(_IMPORTERS)]
    user_frames = [(file, line) for file, line in frames if not file.startswith(_INSTALLED)]
    outside = user_frames or frames
    return outside[-1] if outside else None


_IMPORTERS = ("<frozen", str(Path(importlib.__file__).parent))
_INSTALLED = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
