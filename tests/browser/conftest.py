"""A real Chromium for the browser tests, and a page that watches what the product does in it.

Every page fails its test when a request leaves 127.0.0.1, when a script throws, or when the console shows an
error that the test did not announce with ``page_log.expect_error``.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import pytest
from picture_server import PictureServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LOCAL = {"127.0.0.1"}
INLINE = {"data", "blob", "about"}
ARGUMENTS = [
    "--no-sandbox",  # Chromium refuses its sandbox to root, which is who runs a container
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--enable-unsafe-swiftshader",  # WebGL 2 in software where the machine has no GPU
]


def unavailable(reason: str) -> NoReturn:
    """Skip on a user's machine, fail in CI: a browser test that never runs there proves nothing."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"browser tests cannot run in CI: {reason}")
    pytest.skip(f"browser tests need Playwright and Chromium: {reason}")


def chromium_path() -> str:
    """Path of the Chromium to drive: the system's, under one of its usual names."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    unavailable("no chromium, chromium-browser or google-chrome on the PATH")


@dataclass
class PageLog:
    """What a page asked for and complained about."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect_error(self, part: str) -> None:
        """Allow console errors that contain ``part``, such as the note about a 404 that the test causes."""
        self.expected.append(part)

    def check(self) -> None:
        """Fail on a request that left this machine and on an error nobody announced."""
        outside = [url for url in self.requests if not is_local(url)]
        assert outside == [], f"requests left this machine: {outside}"
        surprises = [text for text in self.errors if not any(part in text for part in self.expected)]
        assert surprises == [], f"errors in the browser console: {surprises}"


def is_local(url: str) -> bool:
    """Whether a request stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme in INLINE or parts.hostname in LOCAL


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One headless Chromium per test module; ending it also ends Playwright's event loop in this thread."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        unavailable("the Python package playwright is not installed")
    path = chromium_path()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def page_log() -> PageLog:
    """Give the log of this test's ``page``."""
    return PageLog()


@pytest.fixture
def page(browser: "Browser", page_log: PageLog) -> Iterator["Page"]:
    """Open a fresh page of 1366 x 768 CSS pixels in its own context, watched by ``page_log``."""
    context = browser.new_context(viewport={"width": 1366, "height": 768}, accept_downloads=True)
    context.on("request", lambda request: page_log.requests.append(request.url))
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.on("pageerror", lambda error: page_log.errors.append(f"uncaught: {error}"))
    opened.on("console", lambda message: page_log.errors.append(message.text) if message.type == "error" else None)
    yield opened
    context.close()
    page_log.check()


@pytest.fixture
def pictures() -> Iterator[PictureServer]:
    """Serve the viewer's modules and this test's pictures."""
    with PictureServer() as server:
        yield server
