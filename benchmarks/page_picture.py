"""Draw docs/page.png, the picture of reports/index.html in README: the answer for a card and the plots below it.

    python benchmarks/page_picture.py [--page reports/index.html] [--out docs/page.png]

Needs chromium and the extra `dev`. Run it after `bench report` when the page looks different.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

#: What the picture shows: the question of the first sentence of README.
CHOICE = "#card=NVIDIA+GeForce+RTX+3070&model=sdxl&operation=decode&size=1024x1024&network=fibre"
WIDTH, HEIGHT = 1280, 1330
#: Colours of the picture: few of the page's are not grey, and a palette takes a third of the bytes.
COLOURS = 128
MOST_BYTES = 250_000


def picture(page: Path) -> bytes:
    """The page as a PNG."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        view.goto(f"{page.resolve().as_uri()}{CHOICE}")
        view.wait_for_selector("html[data-ready]")
        shot = view.screenshot()
        browser.close()
    image = Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    written = io.BytesIO()
    image.save(written, format="png", optimize=True)
    return written.getvalue()


def main() -> int:
    """Write the picture; exit code 1 if it is too large for README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", type=Path, default=Path("reports/index.html"))
    parser.add_argument("--out", type=Path, default=Path("docs/page.png"))
    arguments = parser.parse_args()
    png = picture(arguments.page)
    arguments.out.write_bytes(png)
    print(f"{arguments.out}: {len(png):,} bytes")
    return int(len(png) > MOST_BYTES)


if __name__ == "__main__":
    sys.exit(main())
