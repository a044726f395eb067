"""`Administration`: what operators change, and who notices."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import pytest
from msgspec.structs import replace

from jwtauth.protocol.records import (
    ClientSecret,
    SecretKind,
)
from jwtauth.store.ports import Store
from tests.store.conformance.cast import (
    NOW,
    Cast,
    Conformance,
    a_client,
    a_realm,
    a_user,
    rotated,
    started,
)
from tests.store.racing import Ask

Change = Callable[[Store, Cast], Coroutine[Any, Any, object]]

CHANGES: Final[dict[str, Change]] = {
    "create_realm": lambda store, cast: store.administration.create_realm(a_realm("new"), now=NOW),
    "change_realm": lambda store, cast: store.administration.change_realm(replace(cast.music, retry_in=0), now=NOW),
    "disable_realm": lambda store, cast: store.administration.disable_realm(cast.music, now=NOW),
    "create_client": lambda store, cast: store.administration.create_client(a_client("new", cast.music), now=NOW),
    "change_client": lambda store, cast: store.administration.change_client(cast.player, now=NOW),
    "disable_client": lambda store, cast: store.administration.disable_client(cast.player, now=NOW),
    "replace_secrets": lambda store, cast: store.administration.replace_secrets(cast.player, (), now=NOW),
    "create_user": lambda store, cast: store.administration.create_user(a_user("new"), now=NOW),
    "change_user": lambda store, cast: store.administration.change_user(cast.ada, now=NOW),
    "disable_user": lambda store, cast: store.administration.disable_user(cast.ada, now=NOW),
}


class AdministrationConformance(Conformance):
    """`Administration`"""

    @pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
    def test_every_change_is_noticed_by_every_worker(
        self, store: Store, other: Store, cast: Cast, ask: Ask, change: Change
    ) -> None:
        before = other.refresh()
        ask(change(store, cast))
        after = other.refresh()
        assert after.directory > before.directory
        assert after.keys == before.keys

    @pytest.mark.parametrize("what", ["user", "client", "realm"])
    def test_enabling_is_noticed_too(self, store: Store, other: Store, cast: Cast, ask: Ask, what: str) -> None:
        ask(disable(store, cast, what))
        before = other.refresh()
        ask(enable(store, cast, what))
        assert other.refresh().directory > before.directory

    def test_a_client_in_memory_is_read_anew_after_a_change(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        other.refresh()
        assert ask(other.directory.client("player")) == cast.player
        ask(store.administration.change_client(replace(cast.player, scope=("new",)), now=NOW))
        ask(store.administration.change_realm(replace(cast.music, retry_in=0), now=NOW))
        other.refresh()
        client = ask(other.directory.client("player"))
        assert client is not None
        assert (client.scope, client.realm.retry_in) == (("new",), 0)
        assert client.epoch > cast.player.epoch

    def test_a_client_by_its_number_is_read_anew_too(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        assert ask(other.directory.client_numbered(cast.player.id)) == cast.player
        ask(store.administration.change_client(replace(cast.player, scope=("new",)), now=NOW))
        other.refresh()
        client = ask(other.directory.client_numbered(cast.player.id))
        assert client is not None
        assert client.scope == ("new",)

    def test_a_clients_grants_live_on_when_it_is_changed(self, store: Store, cast: Cast, ask: Ask) -> None:
        grant = ask(started(store, cast.player, cast.ada))
        ask(store.administration.change_client(replace(cast.player, scope=()), now=NOW))
        assert ask(rotated(store, grant)) == grant.position

    def test_replaced_secrets_are_the_only_ones(self, store: Store, cast: Cast, ask: Ask) -> None:
        secrets = (ClientSecret(kind=SecretKind.GENERATED, digest="new", created_at=NOW),)
        ask(store.administration.replace_secrets(cast.player, secrets, now=NOW))
        store.refresh()
        client = ask(store.directory.client("player"))
        assert client is not None
        assert client.secrets == secrets

    def test_announced_keys_are_noticed_and_nothing_else_is(self, store: Store, other: Store, ask: Ask) -> None:
        before = other.refresh()
        ask(store.administration.announce_keys())
        assert other.refresh() == replace(before, keys=before.keys + 1)

    def test_fingerprints_are_remembered_and_forgotten_by_number(self, store: Store, other: Store, ask: Ask) -> None:
        for number in (1, 2, 3):
            ask(store.administration.remember_secret(number, f"print {number}"))
        ask(store.administration.forget_secrets([1, 3, 9]))
        assert other.administration.fingerprints() == {2: "print 2"}


def disable(store: Store, cast: Cast, what: str) -> Coroutine[Any, Any, int]:
    match what:
        case "user":
            return store.administration.disable_user(cast.ada, now=NOW)
        case "client":
            return store.administration.disable_client(cast.player, now=NOW)
        case "realm":
            return store.administration.disable_realm(cast.music, now=NOW)
        case _:
            return store.administration.change_user(replace(cast.ada, password_hash="$new"), now=NOW)


def enable(store: Store, cast: Cast, what: str) -> Coroutine[Any, Any, None]:
    match what:
        case "user":
            return store.administration.enable_user(cast.ada, now=NOW)
        case "client":
            return store.administration.enable_client(cast.player, now=NOW)
        case _:
            return store.administration.enable_realm(cast.music, now=NOW)
