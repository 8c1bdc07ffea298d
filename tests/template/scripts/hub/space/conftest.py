"""A person who uses the demo: headless Chromium, and the page on a local server."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from models import manifest
from models.manifest import PROJECT
from scripts.hub.space import facts
from scripts.hub.space.demo import page as app
from scripts.hub.space.demo.facts import Facts
from tests.commands import skip_or_fail
from tests.template.server.live_server import LiveServer

expect.set_options(timeout=30_000)
DESKTOP, PHONE = {"width": 1180, "height": 860}, {"width": 390, "height": 844}
Visit = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests with a browser as slow: each takes seconds."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        skip_or_fail("Chromium", "Debian: apt install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens an address in the browser; the test fails on an error in the console or a failed request."""
    complaints: list[str] = []
    opened: list[Page] = []

    def open_page(address: str, size: dict[str, int] = DESKTOP) -> Page:
        page = browser.new_page(viewport=size)  # type: ignore[arg-type]
        page.set_default_timeout(20_000)
        page.on(
            "console",
            lambda message: message.type == "error" and complaints.append(f"{message.text} {message.location}"),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda answer: answer.status >= 400 and complaints.append(f"{answer.status} {answer.url}"))
        page.on("request", lambda asked: not _is_local(asked.url, address) and complaints.append(asked.url))
        opened.append(page)
        page.goto(address)
        page.locator("#header h1").wait_for()
        return page

    yield open_page
    for page in opened:
        page.close()
    assert complaints == []


def _is_local(url: str, address: str) -> bool:
    return url.startswith((address.rstrip("/"), "data:", "blob:"))


@pytest.fixture(scope="session")
def show() -> Iterator[Callable[[Facts], str]]:
    """Serves a page on a free port; returns its address."""
    pages: list[Any] = []

    def serve(known: Facts, folder: Path = PROJECT) -> str:
        pages.append(app.launch(known, folder, prevent_thread_lock=True, quiet=True))
        return str(pages[-1].local_url)

    yield serve
    for page in pages:
        page.close(verbose=False)


@pytest.fixture(scope="session")
def demo(openvino_server: LiveServer, show: Callable[[Facts], str]) -> str:
    """The demo of the default model, with the shared server."""
    return show(facts.of(manifest.selected(), openvino_server.address))
