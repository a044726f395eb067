"""One realm of each older system beside whatever a test is about: its dialects are on, and nobody else may notice."""

from typing import Final

from jwtauth.dialects.dialect import STANDARD_NAME
from jwtauth.dialects.registry import DIALECTS
from jwtauth.protocol.records import Client
from tests.support.home import Home
from tests.support.person import CALLBACK

NEIGHBOURS: Final = tuple(name for name in DIALECTS if name != STANDARD_NAME)
"""The dialects; each realm is called like the one that it speaks."""

ROLE: Final = "ROLE_NEIGHBOUR"


def client_id_of(dialect: str) -> str:
    """The client in the realm of that dialect; its secret is SECRET."""
    return f"{dialect}-neighbour"


def neighbours(home: Home) -> dict[str, Client]:
    """A realm of each dialect with a client, both as the dialect sets them; by its name."""
    return {name: neighbour(home, name) for name in NEIGHBOURS}


def neighbour(home: Home, name: str) -> Client:
    """The one of that dialect."""
    dialect = DIALECTS[name]
    realm = home.realm(name, **{"roles": (ROLE,), **dialect.realm, "dialect": name})
    return home.client(client_id_of(name), **{"redirect_uris": (CALLBACK,), **dialect.client, "realm": realm})
