"""What is raised when the issuer cannot be asked: no verdict on the token."""

from typing import Final

RETRY_IN: Final = 5
"""After a failed fetch none is tried for so long, in seconds."""


class Unavailable(Exception):
    """The issuer cannot be asked, so nothing is known about the token: answer 503, never 401."""

    retry_after_in: int = RETRY_IN
    """The earliest instant that a retry makes sense, in seconds from now."""


class KeysUnavailable(Unavailable):
    """The issuer's keys cannot be had."""


class StatusUnavailable(Unavailable):
    """The list cannot be had that says whether the token was revoked."""
