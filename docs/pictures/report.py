"""Take the picture of a report, ``docs/pictures/report.png``: python docs/pictures/report.py.

It shows the recorded default run, with the mouse on a cell of its matrix. It needs playwright and Chromium.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from lifelong.evaluation.results import Results
from lifelong.pages.report_page import write_report

RUN = Path("benchmarks") / "results" / "default" / "replay"
PICTURE = Path(__file__).with_name("report.png")
SIZE = {"width": 1180, "height": 1170}
CELL = (415, 955)
"""Where the mouse is, in pixels: on the score on the second domain after the fourth experience."""


def take(picture: Path) -> None:
    """Write the picture.

    Args:
        picture: path of the PNG file.
    """
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = Path(folder) / "default"
        shutil.copytree(RUN, run)
        page_file = write_report(Results.load(run), run, None)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(page_file.as_uri())
        page.wait_for_timeout(5000)
        page.mouse.move(*CELL)
        page.wait_for_timeout(1000)
        page.screenshot(path=picture)
        browser.close()


if __name__ == "__main__":
    take(PICTURE)
