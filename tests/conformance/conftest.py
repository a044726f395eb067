"""One running service per module, a strict client of it, a person, and the same issuer with a clock that moves."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from jwtauth.keyring import rotation
from jwtauth.keyring.folder import KeyFolder
from tests.conformance.relying_party import RelyingParty
from tests.endpoints.conftest import Desk
from tests.support.person import CALLBACK, Person
from tests.web.people import CODE, GOODBYE, OIDC, Service, populate

SECOND_CALLBACK: Final = f"{CALLBACK}?dummy1=lorem&dummy2=ipsum"
"""Where the suite's second client wants its answers."""

APPLICATION: Final[dict[str, Any]] = {
    "scope": OIDC,
    "grant_types": CODE,
    "redirect_uris": (CALLBACK,),
    "post_logout_redirect_uris": (GOODBYE,),
    "requires_pkce": False,
}
"""A client as the suite registers its own: always a nonce, seldom a code challenge."""

MORE_ALGORITHMS: Final = ("PS256", "EdDSA")
"""For which a service has no keys unless told."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys for every algorithm, whose settings name its own address as the issuer."""
    service = Service(tmp_path_factory.mktemp("service"))
    _name_issuer(service.home.path / "jwtauth.toml", service.server.url)
    populate(service)
    service.home.client("second", **{**APPLICATION, "redirect_uris": (SECOND_CALLBACK,)})
    for algorithm in MORE_ALGORITHMS:
        rotation.create_key(KeyFolder(service.home.source.keys), algorithm, now=int(time.time()))
    with service:
        yield service
    assert "Traceback" not in service.server.log.read_text()


@pytest.fixture
def party(service: Service) -> RelyingParty:
    """The suite's first client."""
    return RelyingParty(service)


@pytest.fixture
def second(service: Service) -> RelyingParty:
    """The suite's second client."""
    return RelyingParty(service, "second", redirect_uri=SECOND_CALLBACK)


@pytest.fixture
def person(service: Service) -> Iterator[Person]:
    """A browser in which nobody is signed in."""
    with service.browser() as person:
        yield person


@pytest.fixture
def desk(service: Service) -> Iterator[Desk]:
    """The service once more, in this process and with a clock that a test moves."""
    desk = Desk(service.home)
    yield desk
    desk.close()


def _name_issuer(settings: Path, url: str) -> None:
    with settings.open("a", encoding="utf-8") as file:
        file.write(f'issuer = "{url}"\n')
