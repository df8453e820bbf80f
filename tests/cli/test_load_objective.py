"""``MODULE:OBJECTIVE`` of the command line: whatever a user's file does, the error says so in words and never fails itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lossatlas.cli.objective.load import load_objective
from lossatlas.errors import InputError

FILES: dict[str, tuple[bytes, str]] = {
    "needs_arguments": (b"def make(width, *, depth): return 1\n", "needs width, depth"),
    "builtin": (b"import math\nmake = math.sqrt\n", "needs x"),
    "class_with_arguments": (b"class make:\n  def __init__(self, a): pass\n", "needs a"),
    "null_bytes": (b"x = 1\x00\nmake = 1\n", "null bytes"),
    "utf16": ("make = 1".encode("utf-16"), "SyntaxError"),
    "no_utf8": (b"make = '\xff'\n", "SyntaxError"),
    "unknown_encoding": (b"# -*- coding: nonsense -*-\nmake = 1\n", "unknown encoding"),
    "syntax": (b"\ndef make(:\n", "Mend line 2"),
    "nested_too_deep": (b"make=" + b"-" * 100_000 + b"1\n", "MemoryError|RecursionError|SyntaxError"),
    "exits": (b"import sys\nsys.exit(3)\n", "SystemExit: 3.*Mend line 2"),
    "exits_later": (b"def make():\n  raise SystemExit\n", "SystemExit.*Mend line 2"),
    "generator_exit": (b"raise GeneratorExit\n", "GeneratorExit"),
    "base_exception": (b"class E(BaseException): pass\nraise E('x')\n", "raises E: x"),
    "text_fails": (b"class E(Exception):\n  def __str__(self): raise ValueError\nraise E\n", "raises E;"),
    "text_is_none": (b"class E(Exception):\n  def __str__(self): return 3\nraise E\n", "raises E;"),
    "message_fails": (b"class E(Exception):\n  @property\n  def msg(self): raise ValueError\nraise E\n", "raises E;"),
    "syntax_error_of_its_own": (b"error = SyntaxError('x')\nerror.lineno = 'three'\nraise error\n", "Mend line 3"),
    "no_traceback": (b"raise ValueError('x').with_traceback(None)\n", "ValueError: x"),
    "recursion": (b"def make(): return make()\n", "RecursionError"),
    "module_getattr_fails": (b"def __getattr__(name): raise ValueError(name)\n", "ValueError: make"),
    "class_property_fails": (b"class M:\n  @property\n  def __class__(self): raise ValueError('x')\nmake = M()\n", "ValueError: x"),
    "type_name_fails": (b"class T(type):\n  @property\n  def __name__(cls): raise OSError\nclass M(metaclass=T): 0\nmake=M()\n", "object"),
    "key_error": (b"def make(): raise KeyError\n", "raises KeyError;"),
    "missing_import": (b"import nothing_of_this_name\n", "No module named 'nothing_of_this_name'"),
    "empty": (b"", "defines: nothing"),
    "generator": (b"def make():\n  yield 1\n", "got generator"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_does_is_told_in_words(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content, words = FILES[name]
    monkeypatch.chdir(tmp_path)  # names are short, so that errors are whole
    (tmp_path / f"case_{name}.py").write_bytes(content)
    with pytest.raises(InputError, match=words):
        load_objective(f"case_{name}.py:make")


@pytest.mark.parametrize(
    "reference",
    ["", ":", "x:", ":x", "no_such_module:x", "a..b:x", ".relative:x", "..:x", "os:path", "os:no_such", "sys:exit", "json:dumps",
     "x\x00y.py:z", "x\x00y:z", "a" * 5000 + ".py:x", "\ud800:x", ".py:x", "lossatlas:Objective"],
)  # fmt: skip
def test_every_reference_is_an_error_in_words(reference: str) -> None:
    with pytest.raises(InputError):
        load_objective(reference)


def test_half_a_module_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "lossatlas_half_a_module.py"
    file.write_text("make = 1\nraise ValueError\n")
    with pytest.raises(InputError):
        load_objective(f"{file}:make")
    assert file.stem not in sys.modules


def test_only_the_user_interrupts(tmp_path: Path) -> None:
    file = tmp_path / "lossatlas_interrupted.py"
    file.write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_objective(f"{file}:make")
