"""Chromium, the service it visits, and the application that sends it there; all of them once per module."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from jwtauth.protocol.records import ApplicationType, AuthMethod
from tests.browser import chromium
from tests.browser.application import Application
from tests.browser.chromium import Device, Tab
from tests.support.home import Home
from tests.web.people import CODE, OIDC, PRIVATE, RESOURCE, Service, running

Open = Callable[..., Device]

PEOPLE = ("carol", "dave", "frank", "grace", "heidi", "judy")
"""Each for one test that changes what others would rely on."""


USUAL: Any = {"locale": "en", "reduced_motion": "reduce"}
"""Of every browser unless told; without motion, colours are at once what they are going to be."""


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """The application on another port of this machine."""
    with Application() as application:
        yield application


@pytest.fixture(scope="module")
def service(application: Application, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service, where the application is registered in all its forms."""
    for service in running(tmp_path_factory.mktemp("service")):
        register(service.home, application)
        for username in PEOPLE:
            service.home.user(username)
        yield service


@pytest.fixture(scope="module")
def browser(service: Service) -> Iterator[Browser]:
    """Chromium. Services come first: beside Playwright's event loop nothing else can run one in this thread."""
    with chromium.running() as browser:
        yield browser


@pytest.fixture
def open_browser(browser: Browser, service: Service, application: Application) -> Iterator[Open]:
    """Open one more browser, with the options of a Playwright context; none of them may complain until the end.

    Nobody is signed in anywhere, or has allowed any application anything.
    """
    for table in ("sessions", "consents"):
        service.execute(f"DELETE FROM {table}")
    devices: list[Device] = []

    def opened(issuer: str = service.server.url, **options: Any) -> Device:
        devices.append(Device(browser.new_context(**{**USUAL, **options}), issuer, application))
        return devices[-1]

    yield opened
    for device in devices:
        device.close()
    assert [complaint for device in devices for complaint in device.complaints] == []


@pytest.fixture
def tab(open_browser: Open) -> Tab:
    """The first tab of a new browser."""
    return open_browser().tab()


def register(home: Home, application: Application) -> None:
    """The application as a confidential client, as our own, as one in the browser and as one on the device."""
    common: dict[str, Any] = {
        "scope": OIDC,
        "grant_types": CODE,
        "post_logout_redirect_uris": (application.goodbye,),
        "resources": (RESOURCE,),
    }
    callbacks = (application.callback, application.forwarding)
    home.client("shop", name="Corner Shop", redirect_uris=callbacks, **common)
    home.client("shop-own", name="Our Own", asks_consent=False, redirect_uris=callbacks, **common)
    home.client("shop-page", name="Page", auth_method=AuthMethod.NONE, redirect_uris=callbacks, **common)
    home.client(
        "shop-app",
        name="Pocket Shop",
        auth_method=AuthMethod.NONE,
        application_type=ApplicationType.NATIVE,
        redirect_uris=("http://127.0.0.1/callback", PRIVATE),
        **common,
    )
