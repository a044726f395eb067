from collections.abc import Iterator

import pytest

from tests.verifier.issuing import Issuing


@pytest.fixture
def issuing() -> Iterator[Issuing]:
    yield from lived(Issuing())


@pytest.fixture
def live() -> Iterator[Issuing]:
    """An issuer whose clocks go on."""
    yield from lived(Issuing(is_live=True))


def lived(issuing: Issuing) -> Iterator[Issuing]:
    """The issuer and its verifiers, ended when the test has."""
    yield issuing
    issuing.end()
