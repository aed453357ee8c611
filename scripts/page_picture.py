"""Take the README's pictures of the analysis page from a real run.

    python scripts/page_picture.py --runs runs --run last --out docs

Each tab becomes `page-TAB.png`, at most 300 kB; `--tab` (again and again) takes some of them only. Needs Playwright and
a Chromium (LAB_CHROMIUM names one).
"""

from __future__ import annotations

import argparse
import sys
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from page_server import BROWSER_FLAGS, find_chromium, serving

from analysis_app.page.tabs import TABS

MOST_BYTES = 300_000
WIDTH, HEIGHT = 1360, 900
# What is pinned, so that a picture shows what a tab can do.
SHOWN: dict[str, dict[str, Any]] = {
    "attention": {"token": 20, "layer": 1, "head": 0},
    "predictions": {"token": 20},
    "anatomy": {"token": 20, "layer": 1, "head": 0, "part": "attn"},
}
SETTLED = """() => {
  const panels = [...document.querySelectorAll(".tabitem .lab-panel")].filter((panel) => panel.offsetParent);
  return panels.length > 0 && panels.every((panel) => ["ready", "empty", "error"].includes(panel.dataset.state));
}"""


def picture(page: Any, address: str, tab: str, run: str | None) -> bytes:
    """One tab as the browser shows it once its panels are filled."""
    query = {"tab": tab, **({"run": run} if run else {}), **SHOWN.get(tab, {})}
    page.goto(f"{address}/?{urlencode(query)}")
    page.wait_for_function(SETTLED)
    if tab == "generate":
        page.click("#lab-generate:not([disabled])")
        page.wait_for_function("document.querySelector('.lab-foot')?.textContent.includes('tokens/s')")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # the last frame is painted
    return bytes(page.screenshot())


def small(png: bytes) -> bytes:
    """The same picture in at most 256 colours where it would else be too large a file."""
    if len(png) <= MOST_BYTES:
        return png
    from PIL import Image

    packed = BytesIO()
    Image.open(BytesIO(png)).convert("RGB").quantize(256).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def main() -> int:
    """Serve, look, save."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description="Take the README's pictures of the analysis page.")
    parser.add_argument("--runs", default="runs", help="folder that holds the runs")
    parser.add_argument("--run", help="which one (default: the newest)")
    parser.add_argument("--tab", action="append", choices=TABS, help="again and again (default: every tab)")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder of the pictures (default: docs)")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with serving(given.runs) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(BROWSER_FLAGS))
        scheme = "dark" if given.dark else "light"
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme)
        for tab in given.tab or TABS:
            path = given.out / f"page-{tab}.png"
            path.write_bytes(small(picture(page, server.url, tab, given.run)))
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
