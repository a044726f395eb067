"""What a client is told when a session ends, and how often it is tried (OpenID Connect Back-Channel Logout 1.0)."""

from typing import Final

from msgspec import Struct

from jwtauth.protocol.records import Client, LogoutNotice

TYPE: Final = "logout+jwt"
"""The `typ` of a logout token: no ID token passes for one, and none of these for an ID token (section 2.4)."""

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
"""The member of `events` that makes a token a logout token (section 2.4)."""

LIFETIME_IN: Final = 120
"""Life of a logout token: as short as clocks allow (section 4), since each attempt makes a new one."""

WAITS_IN: Final = (5, 30, 120, 600, *[3_600] * 23)
"""How long to wait after each attempt in vain; all of them together are just under a day."""


class LogoutToken(Struct, frozen=True, kw_only=True):
    """The claims of a logout token (section 2.4). It must not have a nonce."""

    iss: str
    sub: str
    aud: str
    iat: int
    exp: int
    jti: str
    events: dict[str, dict[str, str]]
    sid: str


def make(notice: LogoutNotice, client: Client, *, issuer: str, jti: str, now: int) -> LogoutToken:
    """The claims that tell a client which session of whom ended."""
    return LogoutToken(
        iss=issuer,
        sub=notice.sub,
        aud=client.client_id,
        iat=now,
        exp=now + LIFETIME_IN,
        jti=jti,
        events={EVENT: {}},
        sid=notice.sid,
    )


def destination(client: Client | None) -> str | None:
    """Where a client is told; None where it is gone or disabled, or does not want to be told any more."""
    if client is None or not client.is_enabled:
        return None
    return client.backchannel_logout_uri


def retry_in(attempts: int) -> int | None:
    """Seconds to wait after so many attempts in vain; None to give up."""
    return WAITS_IN[attempts - 1] if attempts <= len(WAITS_IN) else None
