"""One populated, running service per module."""

from collections.abc import Iterator

import pytest

from tests.web.site import Site, populate


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that is never restarted; its log must not know a traceback at the end."""
    site = Site(tmp_path_factory.mktemp("site"), body_timeout=1, allowed_hosts=("x",))
    populate(site)
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()
