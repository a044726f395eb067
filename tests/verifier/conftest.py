from collections.abc import Iterator

import pytest

from tests.verifier.issuing import Issuing


@pytest.fixture
def issuing() -> Iterator[Issuing]:
    issuing = Issuing()
    yield issuing
    issuing.stop()
