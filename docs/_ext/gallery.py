"""Settings of the gallery: sphinx-gallery runs `examples/gallery`, this scraper takes the pictures and pages that a script wrote."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

from viewer_pages import frame, share_viewer

PICTURES = (".png", ".gif", ".svg")
WRITTEN = (*PICTURES, ".html", ".zarr", ".stl", ".pdf", ".vtp", ".h5", ".csv")
FIGURE = """
.. image-sg:: /{path}
   :alt: {alt}
   :class: sphx-glr-single-img
   :srcset: /{path}
"""


def take_written_files(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Move what the script wrote beside itself into the site, and show it: pictures as they are, pages in a frame."""
    script = Path(block_vars["src_file"])
    target = Path(block_vars["target_file"])
    parts = []
    for file in sorted((f for f in script.parent.iterdir() if f.suffix in WRITTEN), key=lambda f: (f.stat().st_mtime, f.name)):
        if file.suffix in PICTURES:
            image = Path(next(block_vars["image_path_iterator"])).with_suffix(file.suffix)
            shutil.move(file, image)
            alt = f"{title_of(script)}: {file.stem.replace('_', ' ')}"
            parts.append(FIGURE.format(path=os.path.relpath(image, gallery_conf["src_dir"]), alt=alt))
        elif file.suffix == ".html":
            page = target.with_name(f"{script.stem}-{file.stem}.html")
            share_viewer(file, page, Path(gallery_conf["src_dir"]))
            file.unlink()
            parts.append(frame(page.relative_to(gallery_conf["src_dir"]), file.stem.replace("_", " ")))
        else:
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    return "\n".join(parts)


def title_of(script: Path) -> str:
    match = re.search(r'"""\s*\n?(.+)\n', script.read_text(encoding="utf-8"))
    return match[1].strip() if match else script.stem


def measure_memory(call: Any) -> tuple[float, Any]:
    """Largest resident memory of the process in MiB, and what the call returns."""
    import resource

    result = call()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, result


def seed_everything(gallery_conf: dict[str, Any], file: str) -> None:
    import torch

    torch.manual_seed(0)


def gallery_configuration(docs: Path) -> dict[str, Any]:
    return {
        "examples_dirs": str(docs.parent / "examples" / "gallery"),
        "gallery_dirs": "gallery",
        "filename_pattern": r".*",
        "ignore_pattern": r"__init__\.py",
        "image_scrapers": (take_written_files,),
        "reset_modules": (seed_everything,),
        "capture_repr": (),
        "within_subsection_order": "FileNameSortKey",
        "download_all_examples": False,
        "show_signature": False,
        "remove_config_comments": True,
        "abort_on_example_error": False,
        "plot_gallery": os.environ.get("LOSSATLAS_DOCS_GALLERY", "1") == "1",
        "min_reported_time": 0,
        "show_memory": measure_memory,
        "thumbnail_size": (400, 280),
        "write_computation_times": False,
        "nested_sections": False,
    }
