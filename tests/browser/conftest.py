"""A real Chromium: the system's own, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.browser.stage import Stage
from tests.servers import RedisServer

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MILLISECONDS = 20_000


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Give a browser, started once for all tests."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not on the PATH; on Debian: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=SWITCHES)
        yield browser
        await browser.close()


class Watch:
    """What a page does that nobody sees: whom it asks, and what it complains about."""

    def __init__(self) -> None:
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self._expected: tuple[str, ...] = ()

    def expect(self, *words: str) -> None:
        """Let complaints pass that have one of these words: the test provokes them."""
        self._expected = words

    def attach(self, page: Page) -> None:
        """Watch a page from now on."""
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("console", lambda message: self._hear(message.text))
        page.on("pageerror", lambda error: self._hear(str(error)))

    def _hear(self, complaint: str) -> None:
        if not any(word in complaint for word in self._expected):
            self.complaints.append(complaint)


@pytest_asyncio.fixture(loop_scope="session")
async def watch() -> Watch:
    """Give what is watched of the page."""
    return Watch()


@pytest_asyncio.fixture(loop_scope="session")
async def context(
    chromium: Browser, request: pytest.FixtureRequest
) -> AsyncIterator[BrowserContext]:
    """Give a browser context; its options may be the parameter of the test."""
    options: dict[str, Any] = getattr(request, "param", {})
    context = await chromium.new_context(**{"locale": "en-GB"} | options)
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, watch: Watch) -> AsyncIterator[Page]:
    """Give a page that must ask nobody but the service, and complain of nothing."""
    page = await context.new_page()
    watch.attach(page)
    yield page
    assert watch.complaints == []
    assert watch.hosts <= {urlsplit(page.url).netloc}


@pytest_asyncio.fixture(loop_scope="session")
async def make_stage(valkey_server: RedisServer) -> AsyncIterator[Callable[..., Any]]:
    """Give services over the embedded Valkey, with settings of the test's own."""
    async with AsyncExitStack() as stages:

        async def make(**settings: Any) -> Stage:
            return await stages.enter_async_context(Stage(valkey_server.url, **settings))

        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def stage(make_stage: Callable[..., Any]) -> Stage:
    """Give a service with the default settings."""
    made: Stage = await make_stage()
    return made
