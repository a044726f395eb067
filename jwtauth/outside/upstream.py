"""Questions to a realm's upstream: about tokens, keys and passwords, and codes redeemed there.

What cannot be understood counts as no answer: another status than the question allows, a body that is no JSON object
or is called something else, one that is too long. Nothing is believed that was not asked of the URI in the settings.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from msgspec import Struct

from jwtauth.outside import secret_references
from jwtauth.outside.http import Answer, NoAnswer, Outside
from jwtauth.protocol import proofs
from jwtauth.protocol.upstream import Upstream

ANSWER_IN: Final = 5.0
"""For how long an upstream may take to answer, in seconds; somebody is waiting for it."""

LONGEST: Final = 65_536
"""Longest answer that is read, in bytes; a longer one is cut off and then is no JSON."""

_ACCEPT: Final = {"accept": "application/json"}
_TOKEN_IS_BAD: Final = (400, 401, 403)
"""What a protected resource answers to a token that is not good (RFC 6750 section 3.1)."""
_GRANT_IS_BAD: Final = (400, 401)


class Redeemed(Struct, frozen=True, kw_only=True):
    """What a code was worth."""

    access_token: str
    id_token: str | None = None


async def introspect(outside: Outside, upstream: Upstream, token: str) -> dict[str, Any]:
    """What introspection says of a token (RFC 7662 section 2.2).

    Raises:
        NoAnswer: nobody answered, or not as RFC 7662 says.
    """
    form = {"token": token, "token_type_hint": "access_token"}
    answer = await _post(outside, upstream, upstream.introspection_uri, form)
    return _members(answer, (200,))


async def userinfo(outside: Outside, upstream: Upstream, token: str) -> dict[str, Any] | None:
    """What userinfo tells for a token; None where the token is not good (OpenID Connect Core 1.0 section 5.3).

    Raises:
        NoAnswer: nobody answered, or not as OpenID Connect says.
    """
    headers = {**_ACCEPT, "authorization": f"Bearer {token}"}
    answer = await outside.get(_named(upstream.userinfo_uri), headers=headers, within=ANSWER_IN, longest=LONGEST)
    return None if answer.status in _TOKEN_IS_BAD else _members(answer, (200,))


async def keys(outside: Outside, upstream: Upstream) -> dict[str, Any]:
    """The JWK Set as it was sent (RFC 7517 section 5).

    Raises:
        NoAnswer: nobody answered, or with something else.
    """
    answer = await outside.get(_named(upstream.jwks_uri), headers=_ACCEPT, within=ANSWER_IN, longest=LONGEST)
    return _members(answer, (200,))


async def has_password(outside: Outside, upstream: Upstream, username: str, password: str) -> bool:
    """Whether the upstream's password grant takes a password (RFC 6749 section 4.3); its tokens are thrown away.

    Raises:
        NoAnswer: nobody answered, or not as RFC 6749 says, or the upstream does not know us.
    """
    form = {"grant_type": "password", "username": username, "password": password}
    return await _tokens(outside, upstream, form) is not None


async def redeem(
    outside: Outside, upstream: Upstream, code: str, *, redirect_uri: str, code_verifier: str
) -> Redeemed | None:
    """What a code is worth; None where it is not good (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    Raises:
        NoAnswer: nobody answered, or not as RFC 6749 says, or the upstream does not know us.
    """
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": code_verifier,
    }
    return await _tokens(outside, upstream, form)


async def _tokens(outside: Outside, upstream: Upstream, form: Mapping[str, str]) -> Redeemed | None:
    answer = await _post(outside, upstream, upstream.access_token_uri, form)
    members = _members(answer, (200, *_GRANT_IS_BAD))
    access_token, id_token = members.get("access_token"), members.get("id_token")
    if answer.status in _GRANT_IS_BAD and members.get("error") == "invalid_grant":
        return None
    if answer.status != 200 or not isinstance(access_token, str) or not isinstance(id_token, str | None):
        raise NoAnswer(f"the token endpoint answered {answer.status} and no token")
    return Redeemed(access_token=access_token, id_token=id_token)


async def _post(outside: Outside, upstream: Upstream, uri: str | None, form: Mapping[str, str]) -> Answer:
    """A form posted with our client authentication: HTTP Basic, or the client_id alone (RFC 6749 section 2.3.1)."""
    headers, secret = dict(_ACCEPT), secret_references.read(upstream.client_secret)
    if secret:
        credentials = f"{quote_plus(upstream.client_id)}:{quote_plus(secret)}"
        headers["authorization"] = f"Basic {b64encode(credentials.encode()).decode('ascii')}"
    else:
        form = {**form, "client_id": upstream.client_id}
    return await outside.post_form(_named(uri), form, headers=headers, within=ANSWER_IN, longest=LONGEST)


def _named(uri: str | None) -> str:
    assert uri is not None  # nobody asks where the settings name nothing
    return uri


def _members(answer: Answer, statuses: tuple[int, ...]) -> dict[str, Any]:
    if answer.status not in statuses:
        raise NoAnswer(f"the answer's status is {answer.status}")
    if answer.media_type != "application/json" and not answer.media_type.endswith("+json"):
        raise NoAnswer("the answer is not called JSON")
    try:
        return proofs.read_object(answer.body)
    except ValueError as problem:
        raise NoAnswer(f"the answer cannot be read: {type(problem).__name__}") from None
