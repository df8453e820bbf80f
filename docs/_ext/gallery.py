"""Settings of the gallery: sphinx-gallery runs `examples/gallery`, this scraper takes the pictures and pages that a script wrote."""

from __future__ import annotations

import os
import re
import shutil
import threading
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


def resident_memory() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure_memory(call: Any) -> tuple[float, Any]:
    """Largest resident memory during the call in MiB, looked at every 20 ms, and what the call returns."""
    peak, done = [resident_memory()], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident_memory())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        result = call()
    finally:
        done.set()
        watcher.join()
    return peak[0], result


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
        "show_memory": measure_memory if Path("/proc/self/statm").exists() else False,
        "thumbnail_size": (400, 280),
        "write_computation_times": False,
        "nested_sections": False,
    }
