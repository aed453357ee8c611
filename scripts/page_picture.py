"""Take the README's picture of the analysis page: `python scripts/page_picture.py --runs runs --out docs/page.png`."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TABS = ("Checkpoints", "Attention", "Predictions", "Activations", "Generate")


def serve(runs: str) -> tuple[subprocess.Popen[str], str]:
    """The page in a process of its own, and its address."""
    command = [sys.executable, "-m", "analysis_app", "--runs", runs, "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = re.search(r"http://\S+", process.stdout.readline())
    if address is None:
        raise SystemExit("the page did not start")
    return process, address[0]


def picture(address: str, tab: str, out: Path, dark: bool) -> None:
    """One tab, as a headless Chromium shows it once its panels are filled."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("LAB_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1360, "height": 900}, color_scheme="dark" if dark else "light")
        page.goto(address)
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(3000)
        page.screenshot(path=out)
        browser.close()


def main() -> int:
    """Serve, look, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="runs", help="folder that holds the runs")
    parser.add_argument("--tab", default="Attention", choices=TABS)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("docs/page.png"))
    given = parser.parse_args()
    process, address = serve(given.runs)
    try:
        picture(address, given.tab, given.out, given.dark)
    finally:
        process.terminate()
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
