"""Small tables of what an object holds: a line for `repr`, HTML for notebooks."""

from __future__ import annotations

import html
from collections.abc import Mapping


def html_table(title: str, rows: Mapping[str, object]) -> str:
    """A heading and a table of two columns.

    >>> html_table("Plane", {"kind": "random", "models <2>": 1})
    '<b>Plane</b><table><tr><th>kind</th><td>random</td></tr><tr><th>models &lt;2&gt;</th><td>1</td></tr></table>'
    """
    cells = "".join(f"<tr><th>{html.escape(str(key))}</th><td>{html.escape(str(value))}</td></tr>" for key, value in rows.items())
    return f"<b>{html.escape(title)}</b><table>{cells}</table>"


def listed(names: tuple[str, ...], most: int = 4) -> str:
    """Names in a row, the first few of many.

    >>> listed(("a", "b")), listed(tuple("abcdef")), listed(())
    ('a, b', 'a, b, c, d and 2 more', 'none')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "none"
