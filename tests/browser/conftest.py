"""One service for all tests of the page."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.desk import Desk, Running, browser, running

SHOTS = os.environ.get("SCREENSHOTS")  # a folder, for who wants to look


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("console")) as there:
        yield there


@pytest.fixture(scope="module")  # not longer: asyncio thinks that a loop runs for as long as Playwright does
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright, browser(playwright) as launched:
        yield launched


@pytest.fixture
def desk(site: Running, chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A supervisor's page, which in the end has asked nobody else for anything, and complained of nothing."""
    opened = Desk(chromium, site.url, "okafor")
    yield opened
    if SHOTS:
        opened.page.screenshot(path=Path(SHOTS) / f"{request.node.name}.png")
    assert [url for url in opened.asked if not url.startswith((opened.url, "blob:", "data:"))] == []
    assert opened.wrong == []
    assert opened.focus_lost() == []
    opened.close()
