"""A headless browser for the tests of the page: Debian's chromium, which is installed where that is possible."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opened_page import PHONE, Opened
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from site_contents import OLD, contents

from bench.report.site import index_page

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the browser; a test is skipped, with the reason, where there is none and none can be installed."""
    installed = _installed()
    if installed is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        installed = _installed()
    if installed is None:
        pytest.skip("chromium is not installed. Install it as root: apt-get install chromium")
    return installed


def _installed() -> str | None:
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def _install() -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run(["apt-get", "-qq", *arguments], capture_output=True, check=False, env=environment)
        if done.returncode:
            pytest.skip(f"chromium can't be installed: {done.stderr.decode(errors='replace')[-200:]}")


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """The running browser, closed after its tests: while it runs, so does an event loop in this thread."""
    with sync_playwright() as playwright:
        # the sandbox needs rights that a container does not give, and /dev/shm is small there
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the hand-made contents."""
    path = tmp_path_factory.mktemp("page") / index_page.PAGE
    path.write_bytes(index_page.render(contents()))
    return path


@pytest.fixture(scope="module")
def open_in(browser: Browser, page_file: Path) -> Iterator[Callable[..., Opened]]:
    """Open a page, by default the hand-made one, in a browser that has not seen it; wait for its tables and plots."""
    contexts: list[BrowserContext] = []

    def open_page(place: str = "", *, path: Path = page_file, **options: Any) -> Opened:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}} | options)
        contexts.append(context)
        view = Opened(context.new_page())
        view.page.goto(f"{path.as_uri()}{place}")
        view.page.wait_for_selector("html[data-ready]")
        return view

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def shared(open_in: Callable[..., Opened]) -> Opened:
    """One page for the many tests that need no new one: loading it takes most of their time."""
    return open_in()


@pytest.fixture
def view(shared: Opened) -> Opened:
    """The shared page, with all rows in its tables. What is chosen is left from the test before."""
    shared.complaints.clear()
    shared.requests.clear()
    shared.show_all_rows()
    return shared


@pytest.fixture(scope="module")
def phone(open_in: Callable[..., Opened]) -> Opened:
    """The page on a phone, in light colours, opened by a link."""
    return open_in(f"#card={OLD}&model=sdxl&size=2048x2048".replace(" ", "+"), viewport=PHONE, color_scheme="light")


@pytest.fixture(scope="module")
def dark(open_in: Callable[..., Opened]) -> Opened:
    """The page on a wide screen, for a reader of dark colours."""
    return open_in(color_scheme="dark")
