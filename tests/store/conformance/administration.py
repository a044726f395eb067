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
    present,
    rotated,
    started,
    user_now,
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

    def test_a_better_hash_of_the_same_password_ends_nothing(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        user = ask(store.administration.create_user(a_user("cleo", password_hash="old"), now=NOW))
        grant = ask(started(store, cast.player, user))
        before = other.refresh()
        assert ask(store.administration.rehash_password(user, "better"))
        assert other.refresh().directory > before.directory
        assert ask(user_now(store, user)) == replace(user, password_hash="better")
        assert ask(present(store, grant)).ended_at is None

    @pytest.mark.parametrize("present_hash", ["changed", None])
    def test_a_hash_that_was_changed_meanwhile_stays(
        self, store: Store, other: Store, cast: Cast, ask: Ask, present_hash: str | None
    ) -> None:
        user = ask(store.administration.create_user(a_user("cleo", password_hash="old"), now=NOW))
        ask(store.administration.change_user(replace(user, password_hash=present_hash), now=NOW))
        before = other.refresh()
        assert not ask(store.administration.rehash_password(user, "better"))
        assert other.refresh() == before
        assert ask(user_now(store, user)).password_hash == present_hash

    def test_of_two_better_hashes_one_is_stored(self, store: Store, other: Store, ask: Ask) -> None:
        user = ask(store.administration.create_user(a_user("cleo", roles={}, password_hash="old"), now=NOW))
        assert ask(store.administration.rehash_password(user, "first"))
        assert not ask(other.administration.rehash_password(user, "second"))
        assert ask(user_now(store, user)).password_hash == "first"

    def test_a_better_hash_of_a_client_secret_takes_its_place_only(
        self, store: Store, other: Store, cast: Cast, ask: Ask
    ) -> None:
        old, kept = (ClientSecret(kind=SecretKind.CHOSEN, digest=digest, created_at=NOW) for digest in ("old", "kept"))
        until = replace(old, expires_at=NOW + 60)
        ask(store.administration.replace_secrets(cast.player, (until, kept), now=NOW))
        before = other.refresh()
        assert ask(store.administration.rehash_secret(cast.player, "old", "better"))
        assert other.refresh().directory > before.directory
        found = ask(other.directory.client("player"))
        assert found is not None
        assert found.secrets == (replace(until, digest="better"), kept)
        assert found.epoch == cast.player.epoch

    def test_a_client_secret_that_is_gone_stays_gone(self, store: Store, other: Store, cast: Cast, ask: Ask) -> None:
        before = other.refresh()
        assert not ask(store.administration.rehash_secret(cast.player, "old", "better"))
        assert not ask(store.administration.rehash_secret(replace(cast.player, id=999), "old", "better"))
        assert other.refresh() == before

    def test_a_user_may_come_disabled(self, store: Store, ask: Ask) -> None:
        user = ask(store.administration.create_user(a_user("cleo", roles={}, disabled_at=NOW), now=NOW))
        assert ask(user_now(store, user)).disabled_at == NOW

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
