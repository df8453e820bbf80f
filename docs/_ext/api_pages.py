"""Pages of the API reference, one a public name, in the groups of `lossatlas.__init__`; written below `reference/api` before reading."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import lossatlas

GROUP = re.compile(r"    # (.+)\n((?:    \".+\n)+)")
NAME = re.compile(r'"(\w+)":')


ALIASES = {"Params": "``dict[str, Tensor]``: parameters by name, what `torch.func.functional_call` takes."}
"""Names that stand for a type of another package, whose documentation is not ours to repeat."""


def groups() -> dict[str, list[str]]:
    """Public names by the comment that stands above them."""
    source = Path(lossatlas.__file__).read_text(encoding="utf-8")
    table = source.partition("_PUBLIC = {")[2].partition("\n}")[0]
    found = {title: NAME.findall(block) for title, block in GROUP.findall(table + "\n")}
    rest = sorted(set(lossatlas.__all__) - {"__version__"} - {name for names in found.values() for name in names})
    return found | ({"Other": rest} if rest else {})


def first_sentence(thing: Any) -> str:
    text = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    return re.sub(r"`+", "`", text)


def description(name: str) -> str:
    text = ALIASES.get(name) or first_sentence(getattr(lossatlas, name))
    return re.sub(r"`+", "`", text).replace("|", r"\|")


def page(name: str) -> str:
    """One page; a class shows its members, an exception those that it adds."""
    thing, title = getattr(lossatlas, name), f"lossatlas.{name}"
    if name in ALIASES:
        return f"{title}\n{'=' * len(title)}\n\n{ALIASES[name]}\n"
    kind = "autofunction"
    options = ""
    if inspect.isclass(thing):
        kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
        options = "" if kind == "autoexception" else "   :members:\n   :exclude-members: __new__\n"
    elif inspect.ismodule(thing):
        kind, options = "automodule", "   :members:\n"
    elif not callable(thing):
        kind = "autodata"
    place = thing.__name__ if inspect.ismodule(thing) else title
    return f"{title}\n{'=' * len(title)}\n\n.. {kind}:: {place}\n{options}"


def index() -> str:
    parts = ["# Python\n\n```python\nimport lossatlas as la\n```\n\nReading and drawing an archive never imports PyTorch.\n"]
    for title, names in groups().items():
        rows = "\n".join(f"| [`la.{name}`](api/{name}.rst) | {description(name)} |" for name in names)
        parts.append(f"## {title}\n\n| name | what it is |\n|---|---|\n{rows}\n")
    tree = "\n".join(f"api/{name}" for names in groups().values() for name in names)
    return "\n".join(parts) + f"\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"


def write_if_changed(file: Path, text: str) -> None:
    """Sphinx reads again what is newer, so what is the same stays."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def write_pages(app: Any) -> None:
    folder = Path(app.srcdir, "reference")
    names = [name for members in groups().values() for name in members]
    for name in names:
        write_if_changed(folder / "api" / f"{name}.rst", page(name))
    for old in (folder / "api").glob("*.rst"):
        if old.stem not in names:
            old.unlink()
    write_if_changed(folder / "python.md", index())


def hide_unknown_keywords(
    app: Any, what: str, name: str, thing: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Signatures without ``**unknown``, which is there to name the nearest keyword in an error."""
    return signature and re.sub(r",? ?\*\*unknown: [^,)]+", "", signature), returns


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-signature", hide_unknown_keywords)
    return {"parallel_read_safe": True}
