"""Interactive pages inside the site: exported by `la.view`, with one viewer script for all of them, shown in frames.

An exported page holds everything, the viewer's 800 kB as well. In the site the script lies once in `_static`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

SCRIPT = "_static/lossatlas-viewer.js"
NOTEBOOK_PAGES = ("landscape.html",)
"""Pages that executed notebooks of the site write beside themselves."""
FRAME = """
.. raw:: html

    <div class="landscape"><iframe src="{source}" title="{title}" loading="lazy" allowfullscreen></iframe>
    <p><a href="{source}">Open this page by itself</a>: drag to rotate, scroll to zoom.</p></div>
"""


def share_viewer(page: Path, target: Path, docs: Path) -> None:
    """Copy an exported page to `target`, with a link to the site's viewer in place of the script itself."""
    from lossatlas.viz.web.bundle import script

    text, code = page.read_text(encoding="utf-8"), f"<script>{script()}</script>"
    if code not in text:
        raise ValueError(f"{page} does not hold the viewer that is installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    source = os.path.relpath(docs / SCRIPT, target.parent)
    target.write_text(text.replace(code, f'<script src="{source}"></script>'), encoding="utf-8")


def frame(page: Path, title: str) -> str:
    """A frame around the page, which lies in the same folder of the site as the document that shows it."""
    return FRAME.format(source=page.name, title=title)


def compute_demo(app: Any) -> None:
    """The landscape of the start page: that of `lossatlas demo`, computed once and again where the package has changed."""
    from lossatlas import __version__
    from lossatlas.recipes import demo

    folder = Path(app.srcdir, "_build", "demo")
    stamp = folder / "version.txt"
    if not stamp.exists() or stamp.read_text() != __version__ or not (folder / "index.html").exists():
        shutil.rmtree(folder, ignore_errors=True)
        demo.run(folder)
        stamp.write_text(__version__)


def drop_stale_pages(app: Any, config: Any) -> None:
    """Pages that an older viewer was written into, and the notebooks that wrote them, are made anew."""
    from lossatlas.viz.web.bundle import script

    build, current = Path(app.srcdir, "_build"), hashlib.sha256(script().encode()).hexdigest()
    stamp = build / "viewer.sha256"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != current:
        for folder in ("demo", "notebooks", "doctrees"):
            shutil.rmtree(build / folder, ignore_errors=True)
        build.mkdir(exist_ok=True)
        stamp.write_text(current, encoding="utf-8")


def copy_notebooks(app: Any) -> None:
    """The notebooks of `examples/notebooks` beside the page that introduces them; the copies are ignored by git."""
    for notebook in Path(app.srcdir).parent.glob("examples/notebooks/*.ipynb"):
        target = Path(app.srcdir, "teaching", notebook.name)
        if not target.exists() or target.read_bytes() != notebook.read_bytes():
            shutil.copy2(notebook, target)


def copy_pages(app: Any, error: Exception | None) -> None:
    """Viewer, start page's landscape and the gallery's pages beside the documents that show them."""
    if error is not None or app.builder.format != "html":
        return
    from lossatlas.viz.web.bundle import script

    out, source = Path(app.outdir), Path(app.srcdir)
    (out / SCRIPT).write_text(script(), encoding="utf-8")
    share_viewer(source / "_build" / "demo" / "index.html", out / "hero.html", out)
    for page in NOTEBOOK_PAGES:
        if not (source / page).exists():
            raise FileNotFoundError(f"{page}: its notebook was not executed here; remove docs/_build/notebooks and build again")
        share_viewer(source / page, out / page, out)
    for page in source.glob("gallery/**/*.html"):
        place = out / page.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(page, place)


def setup(app: Any) -> dict[str, Any]:
    app.connect("config-inited", drop_stale_pages)
    app.connect("builder-inited", compute_demo)
    app.connect("builder-inited", copy_notebooks)
    app.connect("build-finished", copy_pages)
    return {"parallel_read_safe": True}
