"""An issuer on a real folder, with a clock that stands until a test moves it, and browsers without HTTP."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from msgspec.structs import replace

from jwtauth.endpoints import account, authorize, introspect, log_out, revoke, sign_in, token
from jwtauth.endpoints.outcomes import (
    AccountPage,
    Carry,
    ConfirmLogoutPage,
    ConsentPage,
    GoOn,
    Outcome,
    Page,
    Redirect,
    SignInPage,
)
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.endpoints.visit import Visit
from jwtauth.issuer.issuer import Issuer
from jwtauth.keyring import rotation, secrets
from jwtauth.keyring.folder import KeyFolder
from jwtauth.observe.events import Event, Observers
from jwtauth.protocol.parameters import Pairs
from jwtauth.protocol.records import Client, User
from jwtauth.store.ports import Store
from jwtauth.store.sqlite.store import SqliteStore
from tests.support.home import PASSWORD, SECRET, Home
from tests.support.person import CALLBACK, redemption
from tests.support.person import request as authorization_request
from tests.web.people import CODE, GOODBYE, OIDC, RESOURCE
from tests.web.site import basic

T = TypeVar("T")
Story = Callable[[Issuer, Visit], Awaitable[Outcome]]
Seen = Page | Redirect | Carry

DAY: Final = 86_400
APPLICATION: Final[dict[str, Any]] = {
    "scope": OIDC,
    "grant_types": CODE,
    "redirect_uris": (CALLBACK,),
    "post_logout_redirect_uris": (GOODBYE,),
    "resources": (RESOURCE,),
}
"""A client that people sign in to."""


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

    def redeem(self, code: str, client_id: str = "web", **changes: str) -> TokenAnswer:
        return self.token(client_id, **redemption(code, **changes))

    def user(self, username: str = "ada") -> User:
        """As the store knows it now."""
        self.issuer.store.refresh()
        user = self.run(self.issuer.store.directory.user_named(username))
        assert user is not None
        return user

    def client(self, client_id: str = "web") -> Client:
        """As the store knows it now."""
        self.issuer.store.refresh()
        client = self.run(self.issuer.store.directory.client(client_id))
        assert client is not None
        return client

    def change_client(self, client_id: str = "web", **changes: Any) -> None:
        """As an operator does it in another process."""
        changed = replace(self.client(client_id), **changes)
        self.home.ask(lambda store: store.administration.change_client(changed, now=self.clock.at))

    def disable_client(self, client_id: str = "web") -> None:
        client = self.client(client_id)
        self.home.ask(lambda store: store.administration.disable_client(client, now=self.clock.at))

    def change_user(self, username: str = "ada", **changes: Any) -> None:
        changed = replace(self.user(username), **changes)
        self.home.ask(lambda store: store.administration.change_user(changed, now=self.clock.at))

    def disable_user(self, username: str = "ada") -> None:
        user = self.user(username)
        self.home.ask(lambda store: store.administration.disable_user(user, now=self.clock.at))

    def rotate_secret(self, *, at_once: bool = False) -> None:
        """As `jwtauth keys rotate --secret` does it."""
        folder = KeyFolder(self.home.source.keys)
        new = rotation.add_secret(folder, now=self.clock.at)
        dropped = range(1, new.number) if at_once else ()

        async def work(store: Store) -> None:
            await store.administration.remember_secret(new.number, secrets.fingerprint(new))
            await store.administration.forget_secrets(dropped)
            await store.administration.announce_keys()

        self.home.ask(work)
        if at_once:
            rotation.keep_secrets(folder, ())

    def reasons_of(self, name: str) -> list[str | None]:
        """The reasons of all events of a name."""
        return [event.reason for event in self.events if event.name == name]


class Browser:
    """What a browser keeps: two cookies. It goes where it is sent within the issuer."""

    GET: Final[dict[str, Story]] = {
        "/oauth/authorize": authorize.answer,
        "/oauth/logout": log_out.answer,
        "/login": sign_in.show,
        "/account": account.show,
    }
    POST: Final[dict[type, Story]] = {
        SignInPage: sign_in.sign_in,
        ConsentPage: sign_in.consent,
        AccountPage: account.change,
        ConfirmLogoutPage: log_out.answer,
    }

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.name = f"browser-{next(NUMBERS)}"
        self.session: str | None = None
        self.device: str | None = None
        self.address = ""

    def open(self, path: str, **query: str) -> Seen:
        """Follow a link to a path of the issuer's, which may have a query."""
        parts = urlsplit(path)
        return self._ask(self.GET[parts.path], query=(*parse_qsl(parts.query), *query.items()))

    def authorize(self, client_id: str = "web", **changes: str) -> Seen:
        """An application sends the person here with the usual request, changed as told."""
        asked = authorization_request(client_id, **changes)
        return self.open("/oauth/authorize", **{name: str(value) for name, value in asked.items()})

    def send(self, page: Seen, **fields: str) -> Seen:
        """Fill in a form of the page and send it."""
        assert isinstance(page, SignInPage | ConsentPage | AccountPage | ConfirmLogoutPage), page
        hidden = {"csrf": page.form.csrf, "transaction": page.form.transaction}
        return self._ask(self.POST[type(page)], form=tuple({**hidden, **fields}.items()))

    def sign_in(self, page: Seen, username: str = "ada", password: str = PASSWORD) -> Seen:
        assert isinstance(page, SignInPage), page
        return self.send(page, username=username, password=password)

    def allow(self, page: Seen) -> Seen:
        assert isinstance(page, ConsentPage), page
        return self.send(page, decision="allow")

    def grant(self, client_id: str = "web", **changes: str) -> dict[str, str]:
        """Whatever it takes until the application has its answer; returns the answer's parameters."""
        seen = self.authorize(client_id, **changes)
        if isinstance(seen, SignInPage):
            seen = self.sign_in(seen)
        if isinstance(seen, ConsentPage):
            seen = self.allow(seen)
        return answer(seen)

    def tokens(self, client_id: str = "web", **changes: str) -> TokenAnswer:
        """Everything from the application's link to its tokens."""
        return self.desk.redeem(self.grant(client_id, **changes)["code"], client_id)

    def account(self) -> AccountPage:
        """Of somebody who is signed in."""
        return shown(AccountPage, self.open("/account"))

    def is_signed_in(self) -> bool:
        return isinstance(self.open("/account"), AccountPage)

    def _ask(self, story: Story, *, query: Pairs = (), form: Pairs = ()) -> Seen:
        for _ in range(10):
            visit = Visit(
                query=query,
                form=form,
                browser=self.name,
                session=self.session,
                device=self.device,
                address=self.address,
                user_agent="Lynx",
            )
            outcome = self.desk.run(story(self.desk.issuer, visit))
            if outcome.session is not None:
                self.session = outcome.session or None
            self.device = outcome.device or self.device
            if not isinstance(outcome.then, GoOn):
                return outcome.then
            parts = urlsplit(outcome.then.path)
            story, query, form = self.GET[parts.path], tuple(parse_qsl(parts.query)), ()
        raise AssertionError("sent in a circle")


NUMBERS = count(1)


def shown(kind: type[T], seen: Seen) -> T:
    """The page, which must be of this kind."""
    assert isinstance(seen, kind), seen
    return seen


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, part: object, method: str, happens: Callable[[], Awaitable[object]], times: int = 1
) -> None:
    """Let something happen between a decision and its write: right before a method of the store, the first times."""
    write = getattr(part, method)
    left = iter(range(times))

    async def late(*values: Any, **named: Any) -> Any:
        if next(left, None) is not None:
            await happens()
        return await write(*values, **named)

    monkeypatch.setattr(part, method, late)


def answer(seen: Seen) -> dict[str, str]:
    """The parameters with which a browser was sent back to an application."""
    return shown(Carry, seen).answer.parameters


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def request(client_id: str, **form: str) -> Request:
    """A request of a client that authenticates by Basic."""
    return Request(parameters={**form}, authorization=(basic(client_id, SECRET),))


class Copy(Home):
    """A home like another one: to make its keys takes longer than most tests."""

    def __init__(self, original: Home, path: Path) -> None:
        self.path = shutil.copytree(original.path, path)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """With the machines `service` and `other`, the person `ada`, and applications that people sign in to."""
    home = Home(tmp_path_factory.mktemp("example"))
    home.client("service")
    home.client("other")
    home.user("ada")
    home.client("web", name="Example Web", **APPLICATION)
    home.client("own", asks_consent=False, **APPLICATION)
    home.client("old", allows_implicit=True, **APPLICATION)
    return home


@pytest.fixture
def desk(example: Home, tmp_path: Path) -> Iterator[Desk]:
    """The example's endpoints, all to itself."""
    desk = Desk(Copy(example, tmp_path / "home"))
    yield desk
    desk.close()


@pytest.fixture
def browser(desk: Desk) -> Browser:
    """In which nobody is signed in yet."""
    return Browser(desk)
