"""Who may pass to a protected resource, and what everybody else is told (RFC 6750 section 3, RFC 9728 section 5.1).

What ASGI, WSGI and the forward-auth proxy have in common; none of them decides anything itself. A handler that refuses
more than the gate does (`claims.require_scope(...)`) has the same answer: `gate.refusal(error)`.
"""

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from jwtauth.errors import InsufficientScope, InvalidRequest, InvalidToken, OAuthError
from jwtauth.verifier.claims import Claims
from jwtauth.verifier.unavailable import Unavailable
from jwtauth.verifier.verifier import Verifier

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"

Refusal = OAuthError | Unavailable
"""What `admit` raises, and what `refusal` turns into an answer."""

_UNSAFE: Final = re.compile(r"//|/\.{1,2}(?:/|$)|[\\%;]")
"""Paths that a router behind us might read in another way than we do."""
_JSON: Final = ("content-type", "application/json")
_NO_STORE: Final = ("cache-control", "no-store")


class Unauthenticated(Exception):
    """The request has no bearer token: it is challenged, but there is no error to tell (RFC 6750 section 3.1)."""


class Answer(Struct, frozen=True, kw_only=True):
    """A whole HTTP answer; names of headers in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Problem(Struct, frozen=True):
    """The body of a refusal."""

    error: str
    error_description: str


class ResourceMetadata(Struct, frozen=True, kw_only=True):
    """How a client gets in here (RFC 9728 section 2)."""

    resource: str
    authorization_servers: tuple[str, ...]
    scopes_supported: tuple[str, ...]
    bearer_methods_supported: tuple[str, ...] = ("header",)


class Gate:
    """The requirements of one protected resource."""

    def __init__(
        self,
        verifier: Verifier,
        *,
        scope: Sequence[str] = (),
        authorities: Sequence[str] = (),
        public: Sequence[str] = (),
        resource: str | None = None,
    ) -> None:
        """State what is required.

        Args:
            verifier: judges tokens; its audience is required too.
            scope: values that the token's scope must all cover.
            authorities: roles that the subject must all have.
            public: paths, as clients ask for them, that need no token: `/healthz` is that path alone, `/docs/`
                everything beneath it, `/` the first page alone.
            resource: this resource's own URL, as clients know it; its metadata is published, and challenges name it.

        Raises:
            ValueError: a parameter cannot work; the message names it.
        """
        _require_lists(scope=scope, authorities=authorities, public=public)
        if any(not path.startswith("/") for path in public):
            raise ValueError("public: each path begins with a slash")
        self.verifier = verifier
        self._scope = tuple(scope)
        self._authorities = tuple(authorities)
        self._public = frozenset(public)
        self._trees = tuple(path for path in public if path.endswith("/") and path != "/")
        self._metadata_path, self._metadata_uri = ("", "") if resource is None else _metadata_location(resource)
        self._metadata = b"" if resource is None else msgspec.json.encode(self._describe(resource))

    def publication(self, path: str) -> Answer | None:
        """The resource's metadata, if this is where it lives (RFC 9728 section 3)."""
        if not self._metadata_path or path != self._metadata_path:
            return None
        return Answer(status=200, headers=[_JSON, ("cache-control", "max-age=300")], body=self._metadata)

    def is_public(self, path: str) -> bool:
        """Whether a path needs no token. One that could be read in two ways always needs one."""
        return (path in self._public or path.startswith(self._trees)) and not _UNSAFE.search(path)

    def admit(self, authorization: Sequence[str]) -> Claims:
        """The claims of the one who asks, from the request's Authorization headers.

        Raises:
            Unauthenticated: no bearer token was sent.
            InvalidRequest, InvalidToken, InsufficientScope, Unavailable: `refusal` has the answer.
        """
        return self._require(self.verifier.verify(_token(authorization)))

    async def aadmit(self, authorization: Sequence[str]) -> Claims:
        """The same as `admit`, for coroutines.

        Raises:
            Unauthenticated: no bearer token was sent.
            InvalidRequest, InvalidToken, InsufficientScope, Unavailable: `refusal` has the answer.
        """
        return self._require(await self.verifier.averify(_token(authorization)))

    def refusal(self, problem: Refusal | Unauthenticated) -> Answer:
        """What the one who asked is told."""
        match problem:
            case Unauthenticated():
                return self._challenge(401, "invalid_token", "the request has no access token", parameters={})
            case InvalidToken():
                return self._refuse(401, problem, {})
            case InsufficientScope():
                return self._refuse(403, problem, {"scope": problem.scope} if problem.scope else {})
            case Unavailable():
                headers = [("retry-after", str(problem.retry_after_in)), _JSON, _NO_STORE]
                description = "the access token cannot be checked at the moment"
                return Answer(status=503, headers=headers, body=_problem("temporarily_unavailable", description))
            case _:
                return self._refuse(400, problem, {})

    def _require(self, claims: Claims) -> Claims:
        if claims.confirmation is not None:
            raise InvalidToken("the token is bound to a key; it is no bearer token")
        claims.require_scope(*self._scope)
        claims.require_authority(*self._authorities)
        return claims

    def _refuse(self, status: int, error: OAuthError, parameters: dict[str, str]) -> Answer:
        told = {"error": error.code, "error_description": str(error), **parameters}
        return self._challenge(status, error.code, str(error), parameters=told)

    def _challenge(self, status: int, code: str, description: str, *, parameters: dict[str, str]) -> Answer:
        whole = {"realm": self.verifier.audience, **parameters}
        if self._metadata_uri:
            whole["resource_metadata"] = self._metadata_uri
        challenge = ", ".join(f'{name}="{_quotable(value)}"' for name, value in whole.items())
        headers = [("www-authenticate", f"Bearer {challenge}"), _JSON, _NO_STORE]
        return Answer(status=status, headers=headers, body=_problem(code, description))

    def _describe(self, resource: str) -> ResourceMetadata:
        return ResourceMetadata(
            resource=resource, authorization_servers=(self.verifier.issuer,), scopes_supported=self._scope
        )


def _token(authorization: Sequence[str]) -> str:
    """The one bearer token in the Authorization headers (RFC 6750 section 2.1); nowhere else is looked.

    Raises:
        Unauthenticated: there is none.
        InvalidRequest: there are two, or one that cannot be read.
    """
    if len(authorization) > 1:
        raise InvalidRequest("Authorization: was sent more than once")
    scheme, _, token = authorization[0].strip().partition(" ") if authorization else ("", "", "")
    if scheme.lower() != "bearer":
        raise Unauthenticated
    if not token.strip():
        raise InvalidRequest("Authorization: expected a token after Bearer")
    return token.strip()


def _require_lists(**named: Sequence[str]) -> None:
    for name, values in named.items():
        if isinstance(values, str) or not all(values):
            raise ValueError(f"{name}: expected a list of texts that are not empty")


def _metadata_location(resource: str) -> tuple[str, str]:
    """The path and the URL of a resource's metadata: the well-known part goes between host and path (section 3.1)."""
    parts = urlsplit(resource)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.fragment or parts.query:
        raise ValueError("resource: expected the https URL of this resource, without query and fragment")
    path = WELL_KNOWN + parts.path.removesuffix("/")
    return path, f"{parts.scheme}://{parts.netloc}{path}"


def _problem(code: str, description: str) -> bytes:
    return msgspec.json.encode(Problem(code, description))


def _quotable(text: str) -> str:
    """A text as a quoted-string may hold it (RFC 9110 section 5.6.4)."""
    return "".join(character if " " <= character <= "~" and character not in '"\\' else "?" for character in text)
