"""What a machine's request consists of once HTTP is taken off."""

from msgspec import Struct

from jwtauth.protocol.parameters import Parameters


class Request(Struct, frozen=True, kw_only=True):
    """One request to a machines' endpoint."""

    parameters: Parameters = {}
    """The form, read as OAuth reads it."""
    query: Parameters = {}
    """The query string, read alike; only endpoints that say so take parameters from it."""
    had_query: bool = False
    """Whether some of the parameters came in the query."""
    authorization: tuple[str, ...] = ()
    """Every Authorization header, as sent."""
    address: str = ""
    """Of the client, as the nearest trusted proxy tells it; for counting wrong secrets."""
