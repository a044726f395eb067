"""Who is there when a test begins, and short words for what tests do again and again."""

import asyncio
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any, Final

import pytest
from msgspec import Struct
from msgspec.structs import replace

from jwtauth.protocol.claims import GRACE_IN
from jwtauth.protocol.records import (
    Block,
    Client,
    Grant,
    GrantType,
    NewGrant,
    NewSession,
    Realm,
    Session,
    User,
)
from jwtauth.store.ports import Store
from tests.store.racing import Ask

NOW: Final = 1_800_000_000
MAX_TOKEN_LIFETIME: Final = 3_600
KEPT_IN: Final = MAX_TOKEN_LIFETIME + GRACE_IN
"""For so long after a token's last use nothing about it is forgotten."""
THREADS: Final = 10

OpenStore = Callable[[], Store]
"""Opens one more store on the same memory, as another process would."""


class Cast(Struct, frozen=True):
    """Two realms with a client each, and two people who are members of both."""

    music: Realm
    films: Realm
    player: Client
    cinema: Client
    ada: User
    bob: User


class Conformance:
    """The fixtures that all sections share."""

    @pytest.fixture
    def memory(self) -> OpenStore:
        """Given by the adapter's tests."""
        raise NotImplementedError

    @pytest.fixture
    def ask(self) -> Iterator[Ask]:
        """Run one coroutine after another in one event loop."""
        with asyncio.Runner() as runner:
            yield runner.run

    @pytest.fixture
    def store(self, memory: OpenStore) -> Iterator[Store]:
        """The store that most of a test talks to."""
        store = memory()
        yield store
        store.close()

    @pytest.fixture
    def other(self, memory: OpenStore) -> Iterator[Store]:
        """Another process on the same memory."""
        store = memory()
        yield store
        store.close()

    @pytest.fixture
    def cast(self, store: Store, ask: Ask) -> Cast:
        """Who is there when the test begins."""

        async def work() -> Cast:
            create = store.administration
            music = await create.create_realm(a_realm("music"), now=NOW)
            films = await create.create_realm(a_realm("films"), now=NOW)
            return Cast(
                music,
                films,
                await create.create_client(a_client("player", music), now=NOW),
                await create.create_client(a_client("cinema", films), now=NOW),
                await create.create_user(a_user("ada"), now=NOW),
                await create.create_user(a_user("bob"), now=NOW),
            )

        return ask(work())


def a_realm(name: str, **changes: Any) -> Realm:
    return Realm(**{"id": 0, "name": name, "audience": f"https://{name}.example", **changes})


def a_client(client_id: str, realm: Realm, **changes: Any) -> Client:
    return Client(**{"id": 0, "client_id": client_id, "realm": realm, "grant_types": tuple(GrantType), **changes})


def a_user(username: str, **changes: Any) -> User:
    roles = {"music": ("ROLE_USER",), "films": ()}
    return User(**{"id": 0, "sub": f"u.{username}", "username": username, "roles": roles, **changes})


def new_grant(client: Client, user: User, **changes: Any) -> NewGrant:
    """A grant that lives an hour unless refreshed."""
    settings = {
        "client_id": client.id,
        "client_epoch": client.epoch,
        "user_id": user.id,
        "user_epoch": user.epoch,
        "scope": ("read", "write"),
        "secret_number": 1,
        "expires_at": NOW + 3_600,
        "ends_at": NOW + 1_000_000,
    }
    return NewGrant(**{**settings, **changes})


async def started(store: Store, client: Client, user: User, *, now: int = NOW, **changes: Any) -> Grant:
    grant = await store.grants.start(new_grant(client, user, **changes), now=now)
    assert grant is not None
    return grant


async def with_code(store: Store, client: Client, user: User, **changes: Any) -> Grant:
    """A grant that begins with a code of a minute."""
    code = {
        "expires_at": NOW + 60,
        "code_expires_at": NOW + 60,
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "redirect_uri": "https://player.example/back",
        "nonce": "n-0S6_WzA2Mj",
    }
    return await started(store, client, user, **{**code, **changes})


def new_session(user: User, cookie: str = "cookie", **changes: Any) -> NewSession:
    """A session that lives half an hour unless used, at most a day."""
    settings = {
        "digest": digest(cookie),
        "sid": f"sid of {cookie}",
        "user_id": user.id,
        "user_epoch": user.epoch,
        "auth_time": NOW - 5,
        "expires_at": NOW + 1_800,
        "ends_at": NOW + 86_400,
        "user_agent": "Lynx",
    }
    return NewSession(**{**settings, **changes})


def digest(cookie: str) -> bytes:
    return sha256(cookie.encode()).digest()


async def signed_in(store: Store, user: User, cookie: str = "cookie", **changes: Any) -> Session:
    started = await store.sessions.start(new_session(user, cookie, **changes), replaces=None, lease_in=30, now=NOW)
    assert started is not None
    return started[0]


async def session_now(store: Store, session: Session) -> Session:
    found = await store.sessions.get(session.id)
    assert found is not None
    return found


async def to_be_told(store: Store, client: Client, **changes: Any) -> Client:
    """The client once it wants to hear of logouts."""
    told = replace(client, backchannel_logout_uri=f"https://{client.client_id}.example/logout", **changes)
    await store.administration.change_client(told, now=NOW)
    store.refresh()
    found = await store.directory.client(client.client_id)
    assert found is not None
    return found


async def user_now(store: Store, user: User) -> User:
    store.refresh()
    found = await store.directory.user(user.id)
    assert found is not None
    return found


async def rotated(store: Store, grant: Grant, generation: int | None = None, **changes: Any) -> int | None:
    """Rotate from the generation that the grant has, or from another."""
    options = {"secret_number": 1, "expires_at": NOW + 7_200, "renews_position": False, "now": NOW, **changes}
    read = grant if generation is None else replace(grant, generation=generation)
    return await store.grants.rotate(read, **options)


async def present(store: Store, grant: Grant) -> Grant:
    found = await store.grants.get(grant.id)
    assert found is not None
    return found


async def taken(store: Store, client: Client, size: int = 64, *, now: int = NOW, use_in: int = 3_600) -> Block:
    block = await store.positions.take_block(client, size=size, use_until=now + use_in, now=now)
    assert block is not None
    return block


def span(block: Block) -> range:
    return range(block.position, block.position + block.size)


def denied(store: Store, positions: range) -> set[bool]:
    """Whether the positions are denied: {True}, {False}, or both where they differ."""
    store.refresh()
    return {store.positions.is_denied(position) for position in positions}
