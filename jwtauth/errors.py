"""Every refusal: one class per registered error code, and the faults that only an operator can mend.

The class is the code, the message names the parameter. Messages never contain a secret, a token or a password.
Which HTTP status a refusal has is known to `jwtauth.web.errors` alone.
"""

from typing import ClassVar

from msgspec import Struct

_BACKSLASH, _QUOTE = 0x5C, 0x22


class Failed(Struct, frozen=True):
    """Which check failed: for the operator alone, who may ask why.

    Never holds a secret, a token or a code, and so no text that was sent but redirect URIs without their query: people
    and programs put secrets where they do not belong (SECURITY S-09).
    """

    check: str
    """What was looked at: a parameter, or what it points to."""
    expected: str
    got: str


class OAuthError(Exception):
    """A refusal with a registered code (IANA "OAuth Extensions Error"); `str(error)` is its error_description."""

    code: ClassVar[str]

    def __init__(self, description: str, *, why: Failed | None = None) -> None:
        super().__init__(_printable(description))
        self.why = why
        """What the description must not say, or not in so many words; it is written into the audit log."""


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated, malformed or contradicts another (RFC 6749 section 5.2)."""

    code = "invalid_request"


class WrongMethod(InvalidRequest):
    """The endpoint is not asked by this HTTP method (RFC 9110 section 15.5.6)."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"method: expected {' or '.join(allowed)}")
        self.allowed = allowed


class SwitchedOff(InvalidRequest):
    """A path that older clients used is no longer there (RFC 9110 section 15.5.11)."""

    def __init__(self, *, sunset_at: int | None) -> None:
        super().__init__("this path was switched off for the client's realm; see the issuer's OpenID configuration")
        self.sunset_at = sunset_at or 0
        """Since when, in seconds since the epoch (RFC 8594 section 3)."""


class InvalidClient(OAuthError):
    """Client authentication failed; unknown and wrong look the same (RFC 6749 section 5.2)."""

    code = "invalid_client"

    def __init__(self, description: str, *, by_basic: bool = False, why: Failed | None = None) -> None:
        super().__init__(description, why=why)
        self.by_basic = by_basic
        """Whether the client tried HTTP Basic: then the answer must carry WWW-Authenticate."""


class InvalidGrant(OAuthError):
    """The code, refresh token or password is not good, or belongs to another client (RFC 6749 section 5.2)."""

    code = "invalid_grant"


class UnauthorizedClient(OAuthError):
    """The client is known but may not do this (RFC 6749 section 5.2)."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """This server, or this realm, has no such grant (RFC 6749 section 5.2)."""

    code = "unsupported_grant_type"


class InvalidScope(OAuthError):
    """The scope is malformed or exceeds what was granted (RFC 6749 section 5.2)."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """The resource is malformed or not one of the client's (RFC 8707 section 2)."""

    code = "invalid_target"


class InvalidToken(OAuthError):
    """The access token is malformed, expired, revoked or not for this audience (RFC 6750 section 3.1)."""

    code = "invalid_token"


class InvalidTokenRequest(InvalidRequest):
    """A token stands where none may, or twice: the answer carries a challenge (RFC 6750 section 3.1)."""


class MissingToken(InvalidToken):
    """A protected resource was asked without a token: the challenge has no error code (RFC 6750 section 3.1)."""


class ExpiredToken(InvalidToken):
    """The access token was good once (RFC 6750 section 3.1)."""

    def __init__(self, description: str, *, client_id: str = "", why: Failed | None = None) -> None:
        super().__init__(description, why=why)
        self.client_id = client_id
        """Whose token it was."""


class InsufficientScope(OAuthError):
    """The access token is good but lacks a scope (RFC 6750 section 3.1)."""

    code = "insufficient_scope"

    def __init__(self, description: str, *, scope: str) -> None:
        super().__init__(description)
        self.scope = scope
        """What the request would have needed, space-separated."""


class AccessDenied(OAuthError):
    """The person, or this server, said no to an authorization request (RFC 6749 section 4.1.2.1)."""

    code = "access_denied"


class UnsupportedResponseType(OAuthError):
    """This server, or this client, has no such response_type (RFC 6749 section 4.1.2.1)."""

    code = "unsupported_response_type"


class LoginRequired(OAuthError):
    """prompt=none, but the person would have to sign in (OpenID Connect Core 1.0 section 3.1.2.6)."""

    code = "login_required"


class ConsentRequired(OAuthError):
    """prompt=none, but the person would have to be asked for consent (OpenID Connect Core 1.0 section 3.1.2.6)."""

    code = "consent_required"


class AccountSelectionRequired(OAuthError):
    """prompt=none, but another account would have to be chosen (OpenID Connect Core 1.0 section 3.1.2.6)."""

    code = "account_selection_required"


class UnmetAuthenticationRequirements(OAuthError):
    """An essential `acr` cannot be had here (OpenID Connect Core 1.0 section 5.5.1.1, and its own error code)."""

    code = "unmet_authentication_requirements"


class RequestNotSupported(OAuthError):
    """`request` is not supported here (OpenID Connect Core 1.0 section 3.1.2.6)."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """`request_uri` is not supported here (OpenID Connect Core 1.0 section 3.1.2.6)."""

    code = "request_uri_not_supported"


class RegistrationNotSupported(OAuthError):
    """`registration` is not supported here (OpenID Connect Core 1.0 section 3.1.2.6)."""

    code = "registration_not_supported"


class TooManyAttempts(OAuthError):
    """Too many wrong secrets for one account; right ones are taken again after `retry_after_in` seconds."""

    code = "temporarily_unavailable"

    def __init__(self, description: str, *, retry_after_in: int, uid: int | None = None) -> None:
        super().__init__(description)
        self.retry_after_in = retry_after_in
        self.uid = uid
        """Whose account it is, for the operator's log alone; None where it is nobody's."""


class Overloaded(OAuthError):
    """A bounded queue is full or the database is locked: nothing was written, the same request may be sent again."""

    code = "temporarily_unavailable"

    def __init__(self, description: str, *, retry_after_in: int = 1) -> None:
        super().__init__(description)
        self.retry_after_in = retry_after_in


class Unanswerable(Exception):
    """An authorization request that must not be answered by a redirect: its client or redirect URI is not proven.

    No `OAuthError`, so that no handler can send it anywhere (SECURITY R-04).
    """

    def __init__(
        self, details: str, *, why: Failed | None = None, is_client_known: bool = False, is_malformed: bool = False
    ) -> None:
        super().__init__(details)
        self.why = why
        """The same for the operator's log, which holds nothing that was sent but where to."""
        self.is_client_known = is_client_known
        """Whether it is the redirect URI that is wrong, not the client."""
        self.is_malformed = is_malformed
        """Whether the request does not even say which client asks."""


class ConfigurationError(Exception):
    """Something only an operator can mend; the message says what is wrong and what to do. Never sent to a client."""


def _printable(text: str) -> str:
    """The text with every character replaced that error_description must not contain (RFC 6749 section 5.2)."""
    return "".join(
        character if 0x20 <= ord(character) <= 0x7E and ord(character) not in (_BACKSLASH, _QUOTE) else "?"
        for character in text
    )
