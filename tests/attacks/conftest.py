"""One running service per module, and a person whom an attacker would like to use."""

from collections.abc import Iterator

import pytest

from tests.support.person import Person
from tests.web.people import Service, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service whose error pages show as much as they ever do."""
    yield from running(tmp_path_factory.mktemp("service"), explain_errors=True)


@pytest.fixture(scope="module")
def ada(service: Service) -> Iterator[Person]:
    """Signed in, and has allowed `web` what it usually asks for: a link with one mistake overlooked yields a code."""
    with service.browser() as person:
        person.grant()
        yield person


@pytest.fixture(scope="module")
def nobody(service: Service) -> Iterator[Person]:
    """A browser in which nobody ever signs in."""
    with service.browser() as person:
        yield person
