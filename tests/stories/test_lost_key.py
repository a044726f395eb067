"""`jwtauth keys rotate --now` under two workers: exactly the tokens of the lost key die (SECURITY J-15)."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
import pytest
from jwt import PyJWKClient
from msgspec import Struct

from jwtauth.errors import InvalidToken
from jwtauth.protocol import status_list
from jwtauth.verifier import Verifier
from tests.stories.test_rotation import ASKED, kid_of, rotate
from tests.stories.verifiers import with_pyjwt
from tests.support import plain, waiting
from tests.support.home import SECRET
from tests.support.person import CALLBACK
from tests.web.people import CODE, OIDC, Service
from tests.web.site import claims_of

LINES: Final = {"at+jwt": "ES256", "JWT": "RS256"}
"""What signs access tokens and ID tokens."""
TTL: Final = 1
WITHIN: Final = 60.0
wait_until = partial(waiting.wait_until, within=WITHIN, every=0.02)


class Lost(Struct, frozen=True, kw_only=True):
    """A service whose key was lost and replaced, with what was issued and fetched before."""

    service: Service
    typ: str
    rotated: dict[str, Any]
    verifier: Verifier
    tokens: dict[str, Any]
    status: httpx.Response

    def token(self, typ: str) -> str:
        """The access token or the ID token from before."""
        token: str = self.tokens["access_token" if typ == "at+jwt" else "id_token"]
        return token

    def verdict(self, token: str, typ: str) -> str:
        """What a resource server says that has just fetched the JWKS."""
        audience = "own" if typ == "JWT" else self.service.home.realm().audience
        keys = PyJWKClient(f"{self.service.server.url}/.well-known/jwks.json")
        return with_pyjwt.verdict(keys, self.service.server.url, token, audience, typ)


@pytest.fixture(scope="module", params=LINES)
def lost(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lost]:
    """Each of the two keys in turn."""
    path: Path = tmp_path_factory.mktemp("lost")
    service = Service(path, workers=2, status_list_ttl=TTL, jwks_max_age=1)
    service.home.client("own", asks_consent=False, scope=OIDC, grant_types=CODE, redirect_uris=(CALLBACK,))
    service.home.user("ada")
    with service, Verifier(service.server.url, service.home.realm().audience) as verifier:
        with service.browser() as person:
            tokens = service.tokens(person, "own", scope="openid offline_access")
        verifier.verify(tokens["access_token"])
        status = service.http.get(status_uri(tokens["access_token"]))
        rotated = rotate(service, "--now", "--yes", "--algorithm", LINES[request.param])
        yield Lost(service=service, typ=request.param, rotated=rotated, verifier=verifier, tokens=tokens, status=status)
    assert "Traceback" not in service.server.log.read_text()


def status_uri(token: str) -> str:
    return str(claims_of(token)["status"]["status_list"]["uri"])


def is_accepted(verifier: Verifier, token: str) -> bool:
    try:
        verifier.verify(token)
    except InvalidToken:
        return False
    return True


class TestALostKey:
    def test_is_no_longer_trusted_by_who_fetches_the_jwks(self, lost: Lost) -> None:
        (kid,) = lost.rotated["removed_keys"]
        assert kid_of(lost.token(lost.typ)) == kid
        assert lost.verdict(lost.token(lost.typ), lost.typ) == f"{kid} is not in the JWKS"

    def test_takes_no_token_of_the_other_line_with_it(self, lost: Lost) -> None:
        (other,) = LINES.keys() - {lost.typ}
        assert lost.verdict(lost.token(other), other) == ""

    def test_reaches_our_verifier_by_itself(self, lost: Lost) -> None:
        token = lost.token("at+jwt")
        if lost.typ == "at+jwt":
            wait_until(lambda: not is_accepted(lost.verifier, token))
        with Verifier(lost.service.server.url, lost.service.home.realm().audience) as fresh:
            assert is_accepted(fresh, token) is (lost.typ == "JWT")

    def test_signs_nobody_out(self, lost: Lost) -> None:
        """A refresh gives tokens of which each is good, that of the lost line under the new key."""
        refreshed = lost.service.refresh(lost.tokens["refresh_token"], auth=("own", SECRET)).json()
        again = {"at+jwt": refreshed["access_token"], "JWT": refreshed["id_token"]}
        for typ, token in again.items():
            assert lost.verdict(token, typ) == ""
            assert kid_of(token) == (lost.rotated["kid"] if typ == lost.typ else kid_of(lost.token(typ)))
        wait_until(lambda: is_accepted(lost.verifier, again["at+jwt"]))

    def test_leaves_status_lists_that_verify(self, lost: Lost) -> None:
        """Every worker signs them anew, and sends them to those who have the list of before."""
        for _ in range(ASKED):
            answer = plain.get(
                status_uri(lost.token("at+jwt")), headers={"if-none-match": lost.status.headers["etag"]}, verify=False
            )
            if lost.typ == "JWT":
                assert answer.status_code == 304
                continue
            keys = PyJWKClient(f"{lost.service.server.url}/.well-known/jwks.json")
            assert kid_of(answer.text) == lost.rotated["kid"]
            assert jwt.get_unverified_header(answer.text)["typ"] == status_list.TYPE
            listed = jwt.decode(answer.text, keys.get_signing_key_from_jwt(answer.text), algorithms=["ES256"])
            assert listed["status_list"] == claims_of(lost.status.text)["status_list"]
