"""The examples beside the real service: a token opens them, and dies there when it is revoked."""

from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from jwtauth.protocol.records import GrantType
from tests.examples import programs
from tests.examples.programs import Example
from tests.support.home import SECRET
from tests.web.site import Site

TTL: Final = 1
WITHIN: Final = 60.0
METADATA: Final = "/.well-known/oauth-protected-resource"

NO_SCOPE: Final = "the token lacks a scope that this request needs"

no_nginx = pytest.mark.skipif(not programs.has_nginx(), reason="nginx is not installed: examples/nginx is NOT TESTED")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with two machines, one of which may read."""
    site = Site(tmp_path_factory.mktemp("issuer"), workers=2, status_list_ttl=TTL)
    site.home.client("reader", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("read",))
    site.home.client("writer", grant_types=(GrantType.CLIENT_CREDENTIALS,), scope=("write",))
    with site:
        yield site


@pytest.fixture(
    scope="module",
    params=[programs.fastapi, programs.flask, pytest.param(programs.nginx, marks=no_nginx)],
    ids=lambda program: str(program.__name__),
)
def example(request: pytest.FixtureRequest, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """Each example in turn."""
    environment = {"ISSUER": site.server.url, "AUDIENCE": site.home.realm().audience}
    with request.param(tmp_path_factory.mktemp("example"), environment) as running:
        running.eventually(200, "/reports", reader(site), within=WITHIN)
        yield running


def reader(site: Site) -> str:
    """A token that opens the example."""
    return site.machine(auth=("reader", SECRET))


def challenge(site: Site, example: Example, *problem: str) -> str:
    """What a client is told that may not pass (RFC 6750 section 3, RFC 9728 section 5.1)."""
    metadata = [f'resource_metadata="{example.url}{METADATA}"'] if example.is_published else []
    return "Bearer " + ", ".join([f'realm="{site.home.realm().audience}"', *problem, *metadata])


def challenges(answer: httpx.Response) -> list[str]:
    return answer.headers.get_list("www-authenticate")


class TestAnExample:
    def test_lets_nobody_in_without_a_token(self, site: Site, example: Example) -> None:
        answer = example.get("/reports")
        assert (answer.status_code, challenges(answer)) == (401, [challenge(site, example)])

    def test_asks_for_no_token_where_none_is_needed(self, example: Example) -> None:
        assert example.get("/healthz").status_code == 200

    def test_names_its_issuer_where_its_challenge_says_so(self, site: Site, example: Example) -> None:
        answer = example.get(METADATA)
        assert answer.status_code == (200 if example.is_published else 401)
        assert (site.server.url in answer.text) is example.is_published

    def test_lets_in_who_may_read(self, site: Site, example: Example) -> None:
        answer = example.get("/reports", reader(site))
        assert (answer.status_code, "January" in answer.text) == (200, True)

    def test_tells_who_may_not_what_is_missing(self, site: Site, example: Example) -> None:
        answer = example.get("/reports", site.machine(auth=("writer", SECRET)))
        assert answer.status_code == 403
        problem = ['error="insufficient_scope"', f'error_description="{NO_SCOPE}"', 'scope="read"']
        assert challenges(answer) == [challenge(site, example, *problem)]

    def test_sees_a_revocation(self, site: Site, example: Example) -> None:
        lost, other = reader(site), reader(site)
        assert example.get("/reports", lost).status_code == 200
        assert site.post("/oauth/revoke", {"token": lost}, auth=("reader", SECRET)).status_code == 200
        answer = example.eventually(401, "/reports", lost, within=WITHIN)
        problem = ['error="invalid_token"', 'error_description="the token was revoked"']
        assert challenges(answer) == [challenge(site, example, *problem)]
        assert example.get("/reports", other).status_code == 200
