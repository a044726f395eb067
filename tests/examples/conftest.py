"""A browser for the examples that people look at."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import chromium

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def chrome() -> Iterator[Browser]:
    """Chromium, begun by the first test that needs it: what a module starts for all its tests comes before it."""
    chromium.skip_without()
    with chromium.running() as browser:
        yield browser


@pytest.fixture
def open_page(chrome: Browser) -> Iterator[OpenPage]:
    """Open a page in a new browser, with the options of a Playwright context; it asks nobody but this machine."""
    contexts: list[BrowserContext] = []
    asked: list[str] = []

    def opened(**options: Any) -> Page:
        context = chrome.new_context(**{"locale": "en", "reduced_motion": "reduce", **options})
        context.set_default_timeout(chromium.PATIENCE)
        context.on("request", lambda request: asked.append(request.url))
        contexts.append(context)
        return context.new_page()

    yield opened
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "http://localhost:", "data:"))] == []
