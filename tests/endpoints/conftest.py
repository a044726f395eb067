"""An issuer on a real folder, with a clock that stands until a test moves it."""

import asyncio
import time
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import pytest

from jwtauth.endpoints import introspect, revoke, token
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.token import TokenAnswer
from jwtauth.issuer.issuer import Issuer
from jwtauth.keyring.folder import KeyFolder
from jwtauth.observe.events import Event, Observers
from jwtauth.store.sqlite.store import SqliteStore
from tests.support.home import PASSWORD, SECRET, Home
from tests.web.site import basic

T = TypeVar("T")


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self) -> None:
        self.at = int(time.time())

    def __call__(self) -> float:
        return self.at

    def move(self, seconds: int) -> None:
        """Forwards, or backwards below 0."""
        self.at += seconds


class Desk:
    """The endpoints of one issuer, spoken to without HTTP; the loop is the issuer's own."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.clock = Clock()
        self.events: list[Event] = []
        self.loop = asyncio.new_event_loop()
        source = home.source
        self.issuer = Issuer(
            source.settings,
            SqliteStore(source.database, max_token_lifetime=source.settings.max_token_lifetime),
            KeyFolder(source.keys),
            observers=Observers([self.events.append]),
            clock=self.clock,
        )

    def close(self) -> None:
        self.issuer.close()
        self.loop.close()

    def run(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(_awaited(work))

    def token(self, client_id: str = "service", **form: str) -> TokenAnswer:
        """The token endpoint's answer, or its refusal as an exception."""
        return self.run(token.answer(self.issuer, request(client_id, **form)))

    def person(self, client_id: str = "service") -> TokenAnswer:
        return self.token(client_id, grant_type="password", username="ada", password=PASSWORD)

    def refresh(self, answer: TokenAnswer, client_id: str = "service") -> TokenAnswer:
        assert isinstance(answer.refresh_token, str)
        return self.token(client_id, grant_type="refresh_token", refresh_token=answer.refresh_token)

    def is_active(self, access_token: str) -> bool:
        return self.run(introspect.answer(self.issuer, request("service", token=access_token))).active

    def revoke(self, value: str, client_id: str = "service") -> None:
        self.run(revoke.answer(self.issuer, request(client_id, token=value)))


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def request(client_id: str, **form: str) -> Request:
    """A request of a client that authenticates by Basic."""
    return Request(parameters={**form}, authorization=(basic(client_id, SECRET),))


@pytest.fixture
def desk(home: Home) -> Iterator[Desk]:
    """With the clients `service` and `other`, and the person `ada`."""
    home.client("service")
    home.client("other")
    home.user("ada")
    desk = Desk(home)
    yield desk
    desk.close()
