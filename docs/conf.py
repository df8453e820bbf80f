"""Sphinx configuration of the documentation: everything offline, no file from anywhere but this repository and the theme."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS / "_ext"), str(ROOT / "src")]
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
os.environ.setdefault("OMP_NUM_THREADS", "1")

from gallery import gallery_configuration  # noqa: E402

from lossatlas import __version__  # noqa: E402

project = "Lossatlas"
author = "the Lossatlas authors"
copyright = f"2026 {author}"
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "command_line",
    "mathml",
    "viewer_pages",
    "llms",
]
exclude_patterns = [
    "_build",
    "_ext",
    "_templates",
    "gallery_scripts",
    "gallery/**/*.py",
    "gallery/**/*.ipynb",
    "gallery/**/*.md5",
    "**/sg_execution_times*",
]
suppress_warnings = ["config.cache", "mystnb.unknown_mime_type"]
templates_path = ["_templates"]
default_role = "code"
nitpicky = False

# MyST and executed notebooks
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline", "attrs_block", "substitution"]
myst_heading_anchors = 3
nb_execution_mode = os.environ.get("LOSSATLAS_DOCS_NOTEBOOKS", "cache")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_cache_path = str(DOCS / "_build" / "notebooks")
nb_merge_streams = True
nb_ipywidgets_js = {}  # these would come from elsewhere; a saved page shows a landscape by its own script
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None), ("html", "text/html", 1)]

# API
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
autosummary_generate = False

# Gallery
sphinx_gallery_conf = gallery_configuration(DOCS)

# HTML
html_theme = "pydata_sphinx_theme"
html_title = f"Lossatlas {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "Lossatlas", "image_light": "_static/favicon.svg", "image_dark": "_static/favicon.svg"},
    "header_links_before_dropdown": 8,
    "navbar_end": ["theme-switcher", "navbar-icon-links"],
    "navbar_align": "left",
    "icon_links": [{"name": "Source", "url": "https://github.com/lossatlas/lossatlas", "icon": "fa-brands fa-github"}],
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}
html_sidebars = {"index": [], "start": [], "reading": [], "questions": [], "comparison": []}
