"""A client that believes nothing it did not check, as the certification suite's own: PyJWT, Authlib, published keys."""

import math
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from functools import partial
from hashlib import sha256, sha512
from typing import Any, Final

import httpx
import jwt
from authlib.oidc.core import CodeIDToken
from jwt import PyJWK, PyJWKSet
from msgspec import Struct

from tests.support import plain, waiting
from tests.support.home import SECRET
from tests.support.person import CALLBACK, Person, answer, has_field, redemption, request
from tests.web.people import Service

wait_until = partial(waiting.wait_until, within=5)

OWN_KEYS: Final = {"jwk", "jku", "x5u", "x5c", "crit"}
"""Header members by which a token would bring its own key, or demand what no client knows."""

DESCRIPTION: Final = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")
"""RFC 6749 sections 4.1.2.1 and 5.2."""

CLOCKS_DIFFER: Final = 5
EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"

Claims = dict[str, Any]
Asked = dict[str, str]


class SignedIn(Struct, frozen=True, kw_only=True):
    """What a whole flow brought."""

    answer: dict[str, str]
    """The parameters at the redirect URI."""
    tokens: dict[str, Any]
    claims: Claims
    """Of the ID token, verified."""

    @property
    def access_token(self) -> str:
        found: str = self.tokens["access_token"]
        return found

    @property
    def id_token(self) -> str:
        found: str = self.tokens["id_token"]
        return found

    @property
    def refresh_token(self) -> str:
        found: str = self.tokens["refresh_token"]
        return found


class RelyingParty:
    """One application; all that it is told is the issuer's address and its own registration."""

    def __init__(
        self,
        service: Service,
        client_id: str = "exempt",
        *,
        redirect_uri: str = CALLBACK,
        algorithm: str = "RS256",
        is_secret_posted: bool = False,
    ) -> None:
        self.client_id = client_id
        self.redirect_uri = redirect_uri
        self.algorithm = algorithm
        self._is_secret_posted = is_secret_posted
        self._http = service.http
        self.metadata: dict[str, Any] = service.http.get("/.well-known/openid-configuration").json()

    def asked(self, **changes: str) -> Asked:
        """What it asks for besides the usual: fresh state and nonce, and like the suite no code challenge."""
        return {
            "redirect_uri": self.redirect_uri,
            "state": secrets.token_urlsafe(16),
            "nonce": secrets.token_urlsafe(16),
            "code_challenge": "",
            "code_challenge_method": "",
            **changes,
        }

    def sends(self, person: Person, **changes: str) -> httpx.Response:
        """It sends the person to the authorization endpoint; what the browser then sees first."""
        return person.http.get(self.metadata["authorization_endpoint"], params=self.request(**changes))

    def request(self, **changes: str) -> dict[str, str | list[str]]:
        """Its authorization request."""
        return request(**{"client_id": self.client_id, **self.asked(**changes)})

    def sign_in(self, person: Person, *, verifier: str = "", **changes: str) -> SignedIn:
        """The whole flow, whatever the person has to do for it."""
        asked = self.asked(**changes)
        return self.finish(self.lead_back(person, self.sends(person, **asked)), asked, verifier=verifier)

    def lead_back(self, person: Person, seen: httpx.Response) -> dict[str, str]:
        """Whatever is left for the person to do, up to the parameters at the redirect URI."""
        seen = person.follow(seen)
        if has_field(seen, "password"):
            seen = person.sign_in(seen)
        if has_field(seen, "decision"):
            seen = person.allow(seen)
        return answer(seen, to=self.redirect_uri)

    def sign_in_at_once(self, person: Person, **changes: str) -> SignedIn:
        """The whole flow, without the person seeing anything: the first answer leads back."""
        asked = self.asked(**changes)
        return self.finish(answer(self.sends(person, **asked)), asked)

    def finish(self, sent: dict[str, str], asked: Asked, *, verifier: str = "") -> SignedIn:
        """From the parameters at its redirect URI to verified tokens."""
        assert "error" not in sent, sent
        assert sent.get("state", "") == asked["state"]
        assert sent["iss"] == self.metadata["issuer"]
        response = self.redeem(sent["code"], verifier=verifier)
        assert response.status_code == 200, response.text
        assert_token_answer(response)
        tokens = response.json()
        claims = self.verified(tokens["id_token"], nonce=asked["nonce"], access_token=tokens["access_token"])
        return SignedIn(answer=sent, tokens=tokens, claims=claims)

    def refused(self, response: httpx.Response, asked: Asked) -> str:
        """The registered code of an error that came back to it, checked as closely as a success."""
        sent = answer(response, to=self.redirect_uri)
        assert "code" not in sent
        assert sent.get("state", "") == asked["state"]
        assert sent["iss"] == self.metadata["issuer"]
        assert DESCRIPTION.fullmatch(sent["error_description"]), sent
        return sent["error"]

    def redeem(self, code: str, *, verifier: str = "") -> httpx.Response:
        """The answer to a token request with a code."""
        return self._token(redemption(code, redirect_uri=self.redirect_uri, code_verifier=verifier))

    def refresh(self, refresh_token: str) -> httpx.Response:
        """The answer to a token request with a refresh token."""
        return self._token({"grant_type": "refresh_token", "refresh_token": refresh_token})

    def userinfo(self, access_token: str) -> httpx.Response:
        """What userinfo answers."""
        url = self.metadata["userinfo_endpoint"]
        return self._http.get(url, headers={"authorization": f"Bearer {access_token}"})

    def verified(self, id_token: str, *, nonce: str, access_token: str) -> Claims:
        """The claims of an ID token that passes every check of OpenID Connect Core 1.0 section 3.1.3.7."""
        header, claims = self.opened(id_token, required=("iss", "sub", "aud", "exp", "iat"))
        assert header.get("typ", "JWT") == "JWT"
        assert claims["aud"] in (self.client_id, [self.client_id])
        assert claims.get("azp", self.client_id) == self.client_id
        assert claims["sub"].isascii()
        assert 0 < len(claims["sub"]) <= 255
        assert claims.get("nonce", "") == nonce
        assert claims["at_hash"] == at_hash(access_token, self.algorithm)
        assert abs(claims["iat"] - time.time()) <= CLOCKS_DIFFER
        assert claims["iat"] < claims["exp"] <= claims["iat"] + 86_400
        assert type(claims["auth_time"]) is int
        assert claims["auth_time"] <= claims["iat"]
        facts = {"nonce": nonce, "client_id": self.client_id, "access_token": access_token, "max_age": 1}
        CodeIDToken(claims, header, params=facts).validate()
        return claims

    def verified_logout(self, logout_token: str) -> Claims:
        """The claims of a logout token that passes every check of Back-Channel Logout 1.0 section 2.6."""
        header, claims = self.opened(logout_token, required=("iss", "aud", "iat", "exp", "jti", "events"))
        assert header["typ"] == "logout+jwt"
        assert claims["aud"] in (self.client_id, [self.client_id])
        assert claims["events"] == {EVENT: {}}
        assert "nonce" not in claims
        assert claims.get("sub") or claims.get("sid")
        assert abs(claims["iat"] - time.time()) <= CLOCKS_DIFFER
        return claims

    def opened(self, token: str, *, required: tuple[str, ...]) -> tuple[dict[str, Any], Claims]:
        """Header and claims of a token for it, signed by a published key with the algorithm it registered."""
        header = jwt.get_unverified_header(token)
        assert not OWN_KEYS.intersection(header)
        assert header["alg"] == self.algorithm
        assert header["alg"] in self.metadata["id_token_signing_alg_values_supported"]
        key = self._key(header["kid"])
        assert key.algorithm_name == self.algorithm
        assert key.public_key_use in (None, "sig")
        claims: Claims = jwt.decode(
            token,
            key,
            algorithms=[self.algorithm],
            audience=self.client_id,
            issuer=self.metadata["issuer"],
            options={"require": [*required]},
        )
        return header, claims

    def _key(self, kid: str) -> PyJWK:
        published = PyJWKSet.from_dict(self._http.get(self.metadata["jwks_uri"]).json())
        (key,) = [key for key in published.keys if key.key_id == kid]
        return key

    def _token(self, form: dict[str, str]) -> httpx.Response:
        url = self.metadata["token_endpoint"]
        if self._is_secret_posted:
            return self._http.post(url, data={**form, "client_id": self.client_id, "client_secret": SECRET})
        return self._http.post(url, data=form, auth=(self.client_id, SECRET))


def post_from_elsewhere(person: Person, url: str, form: Mapping[str, str | list[str]]) -> httpx.Response:
    """What happens when the application's own page posts a form: where the person is in the end.

    As cookies are SameSite=Lax, a browser sends none with it, but obeys the answer, and sends them when it is sent on.
    """
    headers = {"accept": "text/html", "origin": "https://app.example", "sec-fetch-site": "cross-site"}
    posted = plain.post(url, data=form, headers=headers)
    assert posted.status_code in (200, 303, 400), "307 would send the form on (RFC 9700 section 4.12)"
    person.http.cookies.extract_cookies(posted)
    return person.follow(posted)


def assert_token_answer(response: httpx.Response) -> None:
    """A good answer of the token endpoint (RFC 6749 section 5.1)."""
    assert response.headers["content-type"].partition(";")[0] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    tokens = response.json()
    assert tokens["token_type"].lower() == "bearer"
    assert type(tokens["expires_in"]) is int
    assert 0 < tokens["expires_in"] <= 31_536_000


def at_hash(access_token: str, algorithm: str) -> str:
    """OpenID Connect Core 1.0 section 3.1.3.6."""
    digest = (sha512 if algorithm == "EdDSA" else sha256)(access_token.encode("ascii")).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode("ascii")


def measured_bits(text: str) -> float:
    """Shannon's entropy of the characters as they are, which is what the suite can measure."""
    share = [count / len(text) for count in Counter(text).values()]
    return -len(text) * sum(part * math.log2(part) for part in share)


def wait_past(instant: int) -> None:
    """Return once the clock shows a later second."""
    while time.time() < instant + 1:
        time.sleep(0.01)
