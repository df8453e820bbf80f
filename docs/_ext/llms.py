"""`llms.txt`: the site in one list of links with a sentence each, for programs that read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docutils import nodes

HEAD = """# Lossatlas

> {description}

Install: `pip install lossatlas` (Python 3.11 or newer). Shortest use:

```python
import torch, lossatlas as la
objective = la.Objective(model, torch.nn.functional.cross_entropy, (x, y))   # nn.Module, loss, data
surface = la.evaluate(objective, la.random_plane(objective, seed=0), resolution=51, archive="landscape.zarr")   # xarray.Dataset, resumable
la.plot(surface, "landscape.png")            # or .pdf, .svg
la.view(surface, export="landscape.html")    # one offline page
```

Facts that answers get wrong: the loss is at exactly the labelled (alpha, beta); the model given is never changed; alpha and beta of a
random plane are multiples of a direction as long as the weights, filter by filter, not distances; accuracy is a fraction from 0 to 1;
BatchNorm runs on stored statistics unless the plane goes through several models; a path's height is the loss of the plane below it, and
its own loss is `path_loss`.
"""


def first_paragraph(document: nodes.document) -> str:
    for paragraph in document.findall(nodes.paragraph):
        text = " ".join(paragraph.astext().split())
        if len(text) > 30 and not text.startswith("Go to the end"):
            return text if len(text) < 200 else text[:197] + "..."
    return ""


def write(app: Any, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    import tomllib

    project = tomllib.loads(Path(app.srcdir).parent.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [HEAD.format(description=project["description"])]
    sections: dict[str, list[str]] = {}
    for name in sorted(app.env.found_docs):
        if name in ("index", "genindex", "search"):
            continue
        section = name.split("/")[0] if "/" in name else "first pages"
        title = app.env.titles[name].astext()
        sections.setdefault(section, []).append(f"- [{title}]({name}.html): {first_paragraph(app.env.get_doctree(name))}")
    for section in ["first pages", *sorted(set(sections) - {"first pages"})]:
        lines += [f"## {section}", "", *sections.get(section, []), ""]
    Path(app.outdir, "llms.txt").write_text("\n".join(lines), encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}
