"""Open every page of the built site in Chromium, at a phone's and a desktop's width, from files and without network: `make docs-check`.

Refused: console errors, requests to anywhere else, pictures that do not load, pages wider than the phone, links into the site that lead
nowhere, and a search that does not name the right page among its first three. Screenshots of a few pages are left beside the site.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).resolve().parents[1] / "docs" / "_build" / "html"
WIDTHS = {"phone": (390, 844), "desktop": (1280, 900)}
SHOWN = ("index", "start", "reading", "gallery/index", "guide/training", "reference/python", "reference/command_line", "questions")
SEARCHES = {
    "filter normalization": ("reading", "sources/li2018", "reference/api/random_plane"),
    "BatchNorm": ("reading", "guide/model", "gallery/2_networks/plot_A_batchnorm_modes", "reference/api/compare_batchnorm_modes"),
    "resume": ("guide/large_jobs",),
    "my own metric": ("guide/metrics", "reference/api/Metric", "gallery/2_networks/plot_7_own_metric"),
}
"""Words that a reader would type, and pages of which one must be among the first three."""


class Links(HTMLParser):
    """Targets of a page's links and pictures, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {value for value in (values.get("id"), values.get("name")) if value}
        self.targets += [value for value in (values.get("href"), values.get("src")) if value]


def pages(site: Path) -> list[Path]:
    return sorted(page for page in site.rglob("*.html") if "_static" not in page.parts)


def read_links(page: Path) -> Links:
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    return links


def broken_links(site: Path, all_links: dict[Path, Links]) -> Iterator[str]:
    """Links into the site whose file or anchor is not there."""
    for page, links in all_links.items():
        for target in links.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("#v=") or not (parts.path or parts.fragment):
                continue
            file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if file.is_dir():
                file /= "index.html"
            if not file.exists():
                yield f"{page.relative_to(site)}: {target} is not there"
            elif parts.fragment and file in all_links and unquote(parts.fragment) not in all_links[file].anchors:
                yield f"{page.relative_to(site)}: {target} has no such anchor"


def visit(browser: Any, width: str, site: Path, page: Path, screenshot: Path | None) -> Iterator[str]:
    """Faults of one page at one width."""
    size = WIDTHS[width]
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, offline=True)
    tab, faults = context.new_page(), []
    tab.on("console", lambda message: faults.append(f"console: {message.text}") if message.type == "error" else None)
    tab.on("pageerror", lambda error: faults.append(f"error: {error}"))
    tab.on("request", lambda request: faults.append(f"asks for {request.url}") if request.url.startswith(("http", "ws")) else None)
    tab.goto(page.as_uri(), wait_until="load")
    is_landscape = tab.locator("#lossatlas").count() > 0
    if not is_landscape:
        tab.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(i => i.loading = 'eager')")
        pictures = "Promise.all([...document.images].map(i => i.decode().then(() => '', () => i.src)))"
        faults += [f"picture does not load: {source}" for source in tab.evaluate(pictures) if source]
        wide = tab.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        faults += [f"{wide} pixels wider than the screen"] if wide > 2 else []
    if screenshot is not None:
        tab.wait_for_timeout(1500)
        tab.screenshot(path=str(screenshot))
    context.close()
    yield from (f"{page.relative_to(site)} ({width}): {fault}" for fault in faults)


def search(browser: Any, site: Path, query: str) -> list[str]:
    """Pages that the site's own search finds, best first."""
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.goto((site / "search.html").as_uri() + "?q=" + query.replace(" ", "+"), wait_until="load")
    tab.wait_for_selector("#search-results ul.search li a", timeout=20_000)
    tab.wait_for_timeout(500)
    found = tab.eval_on_selector_all("#search-results ul.search > li > a", "links => links.map(a => a.getAttribute('href'))")
    context.close()
    return [re.sub(r"\.html.*$", "", link) for link in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="links and search, and the shown pages only in the browser")
    parser.add_argument("--site", type=Path, default=SITE, help="folder of the built site")
    options = parser.parse_args()
    site = options.site.resolve()
    from playwright.sync_api import sync_playwright

    every = pages(site)
    faults = list(broken_links(site, {page: read_links(page) for page in every}))
    shots = site.parent / "screenshots"
    shots.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        system = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)
        arguments = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=system, args=arguments)
        for page in every:
            name = page.relative_to(site).with_suffix("").as_posix()
            if options.quick and name not in SHOWN:
                continue
            for width in WIDTHS:
                screenshot = shots / f"{name.replace('/', '-')}-{width}.png" if name in SHOWN else None
                faults += visit(browser, width, site, page, screenshot)
        for query, expected in SEARCHES.items():
            first = search(browser, site, query)[:3]
            print(f"search {query!r}: {', '.join(first)}")
            if not set(first) & set(expected):
                faults.append(f"search {query!r} finds {first}, none of {expected}")
        browser.close()
    print(*faults, sep="\n")
    print(f"{len(every)} pages, {len(faults)} faults; screenshots in {shots}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
