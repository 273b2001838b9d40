"""How large `bench report`'s index.html is, and how quickly it answers in a browser.

    python benchmarks/page_in_browser.py [reports/index.html] [--screenshots FOLDER]

Opens the page in a headless chromium on a wide screen and on a phone. Prints when the first verdict is there, when all
of the page is, and what it then takes to choose another card, to search the table of measured cases and to sort it:
seconds from the event until the next frame is drawn, the longest of three. Exit code 1 if the page is larger than the
project allows, if its console complains, or if it asks for anything outside the file. `benchmarks/scale.py --folder
FOLDER` keeps a page of very many records in FOLDER/reports.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

MOST_BYTES = 6_000_000
SCREENS = {"wide": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}
TIMES = 3
_NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Notes when the first verdict has been drawn, in milliseconds since the page was opened.
_NOTE_VERDICT = """
    new MutationObserver((_, observer) => {
        if (!document.querySelector("#verdict .headline")) return;
        observer.disconnect();
        requestAnimationFrame(() => setTimeout(() => { window.verdictAt = performance.now(); }));
    }).observe(document, { childList: true, subtree: true });
"""
#: Seconds of a step in the page, until what it changes has been drawn.
_TIMED = """async (step) => {
    const begun = performance.now();
    new Function(step)();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return (performance.now() - begun) / 1000;
}"""
_CHOOSE = """
    const list = document.querySelector("#choice select[name=card]");
    list.selectedIndex = (list.selectedIndex + 7) % list.options.length;
    list.dispatchEvent(new Event("change", { bubbles: true }));
"""
_SEARCH = """
    const field = document.querySelector("details[data-table=measured] input[type=search]");
    field.value = field.value ? "" : "4090";
    field.dispatchEvent(new Event("input", { bubbles: true }));
"""
_SORT = """
    const headers = [...document.querySelectorAll("#table-measured thead th")];
    headers.find((header) => header.textContent.trim() === "Time").click();
"""
STEPS = {"choose a card": _CHOOSE, "search": _SEARCH, "sort": _SORT}


def watch(page: Page) -> list[str]:
    """What the page does that it should not, as it does it: complaints of its console, requests outside the file."""
    faults: list[str] = []
    page.on("console", lambda line: faults.append(line.text) if line.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    own = ("file:", "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(own) else faults.append(f"asked for {asked.url}"))
    return faults


def measure(browser: Browser, path: Path, screen: str, screenshots: Path | None) -> list[str]:
    """Open the page on a screen, use it, print what each step took; returns its faults."""
    context = browser.new_context(viewport=SCREENS[screen])  # type: ignore[arg-type] # width and height
    page = context.new_page()
    page.add_init_script(_NOTE_VERDICT)
    faults = watch(page)
    begun = time.perf_counter()
    page.goto(path.resolve().as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]")
    times = {"all of it": time.perf_counter() - begun}
    times = {"first verdict": page.evaluate("window.verdictAt") / 1000} | times
    if screenshots is not None:
        page.screenshot(path=screenshots / f"{screen}.png", full_page=True)
    times |= {name: max(page.evaluate(_TIMED, step) for _ in range(TIMES)) for name, step in STEPS.items()}
    print(f"{screen:<6} " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in times.items()), flush=True)
    context.close()
    return faults


def main() -> int:
    """Measure the page on each screen; exit code 1 if it is too large or has faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, nargs="?", default=Path("reports/index.html"))
    parser.add_argument("--screenshots", type=Path, help="write a picture of each screen into this folder")
    arguments = parser.parse_args()
    chromium = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if chromium is None:
        print("There is no chromium on this machine.", file=sys.stderr)
        return 2
    size = arguments.page.stat().st_size
    print(f"{arguments.page}: {size / 1e6:.2f} MB, of {MOST_BYTES / 1e6:g} MB at most")
    with sync_playwright() as playwright:
        # the sandbox needs rights that a container does not give, and /dev/shm is small there
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        faults = [
            fault for screen in SCREENS for fault in measure(browser, arguments.page, screen, arguments.screenshots)
        ]
        browser.close()
    for fault in dict.fromkeys(faults):
        print(fault, file=sys.stderr)
    return 1 if faults or size > MOST_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
