"""`jwtauth user`: people, their passwords, realms and roles."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from jwtauth.cli.running import with_store
from jwtauth.passwords import Passwords
from jwtauth.protocol.records import Grant, User
from jwtauth.settings import Source
from jwtauth.store.ports import Store


@pytest.fixture
def stored(source: Source) -> Callable[[str], User]:
    """The user as the database has it."""

    async def find(store: Store, username: str) -> User:
        found = await store.directory.user_named(username)
        assert found is not None
        return found

    return lambda username: with_store(source, lambda store: find(store, username))


def has_password(user: User, password: str) -> bool:
    passwords = Passwords(memory=8192, passes=1, threads=1, queue=0)
    try:
        return asyncio.run(passwords.verify(user.password_hash, password))
    finally:
        passwords.close()


class TestCreate:
    def test_reads_the_password_from_standard_input(
        self, service: Callable[..., Result], stored: Callable[[str], User]
    ) -> None:
        service("user", "create", "alice", "--password-stdin", text="wonderland\n")
        assert has_password(stored("alice"), "wonderland")
        assert not has_password(stored("alice"), "wonderland\n")

    def test_asks_for_the_password_twice_and_never_shows_it(
        self, service: Callable[..., Result], stored: Callable[[str], User]
    ) -> None:
        result = service("user", "create", "alice", text="wonderland\nwonderland\n")
        assert result.exit_code == 0
        assert "wonderland" not in result.output
        assert has_password(stored("alice"), "wonderland")

    def test_can_leave_a_user_without_a_password(
        self, service: Callable[..., Result], read: Callable[..., Any], stored: Callable[[str], User]
    ) -> None:
        assert read("user", "create", "alice", "--no-password")["has_password"] is False
        assert stored("alice").password_hash is None

    def test_gives_a_random_subject_that_no_client_can_have(
        self, service: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        subjects = {read("user", "create", name, "--no-password")["sub"] for name in ("alice", "bob")}
        assert len(subjects) == 2
        for subject in subjects:
            assert subject.startswith("u.")
            assert service("client", "create", subject).exit_code == 1

    def test_gives_roles_and_memberships(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        service("realm", "create", "portal", "--role", "reader", "--role", "editor")
        created = read(
            *("user", "create", "alice", "--no-password", "--realm", "default"),
            *("--role", "portal:reader", "--role", "portal:editor"),
        )
        assert created["roles"] == {"default": [], "portal": ["reader", "editor"]}
        assert read("user", "show", "alice")["roles"] == created["roles"]

    def test_takes_the_integer_id_of_an_older_system(
        self, service: Callable[..., Result], read: Callable[..., Any], refused: Callable[..., str]
    ) -> None:
        assert read("user", "create", "alice", "--no-password", "--id", "42")["id"] == 42
        assert "taken" in refused("user", "create", "bob", "--no-password", "--id", "42")

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["alice"], "taken"),
            ([""], "username"),
            ([" bob"], "username"),
            (["bob\x1b[2J"], "username"),
            (["bob", "--realm", "none"], "there is no realm none"),
            (["bob", "--role", "none:reader"], "there is no realm none"),
            (["bob", "--role", "default:reader"], "realm default has no such role; it has none"),
        ],
    )
    def test_refuses_what_cannot_be_registered(
        self, people: Callable[..., Result], refused: Callable[..., str], arguments: list[str], reason: str
    ) -> None:
        assert reason in refused("user", "create", *arguments, "--no-password")

    @pytest.mark.parametrize("text", ["", "\n", "x" * 1025 + "\n", "é" * 513 + "\n"])
    def test_refuses_a_password_that_could_never_be_checked(
        self, service: Callable[..., Result], refused: Callable[..., str], text: str
    ) -> None:
        assert "password: " in refused("user", "create", "alice", "--password-stdin", text=text)


class TestShowAndList:
    def test_never_show_a_password_hash(self, people: Callable[..., Result], stored: Callable[[str], User]) -> None:
        password_hash = stored("alice").password_hash
        assert password_hash is not None
        for command in (["show", "alice"], ["list"]):
            for more in ([], ["--json"]):
                printed = people("user", *command, *more).output
                assert password_hash not in printed
                assert "argon2" not in printed

    def test_can_be_limited_to_a_realm(self, people: Callable[..., Result], read: Callable[..., Any]) -> None:
        people("user", "create", "bob", "--no-password")
        assert [user["username"] for user in read("user", "list")] == ["alice", "bob"]
        assert [user["username"] for user in read("user", "list", "--realm", "default")] == ["alice"]

    def test_say_that_a_user_does_not_exist(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        assert "there is no user ghost; `jwtauth user list`" in refused("user", "show", "ghost")


class TestChange:
    def test_adds_and_removes_single_roles(self, people: Callable[..., Result], read: Callable[..., Any]) -> None:
        people("realm", "change", "default", "--role", "reader", "--role", "editor")
        read("user", "change", "alice", "--role", "default:reader")
        added = read("user", "change", "alice", "--role", "default:editor")
        assert added["roles"] == {"default": ["reader", "editor"]}
        removed = read("user", "change", "alice", "--remove-role", "default:reader")
        assert removed["roles"] == {"default": ["editor"]}
        assert read("user", "show", "alice")["roles"] == {"default": ["editor"]}

    def test_of_the_username_keeps_grants_alive(
        self, start_grant: Callable[[], Grant], grant_now: Callable[[Grant], Grant], read: Callable[..., Any]
    ) -> None:
        grant = start_grant()
        assert read("user", "change", "alice", "--username", "alicia")["grants_ended"] == 0
        assert read("user", "show", "alicia")["sub"].startswith("u.")
        assert grant_now(grant).ended_at is None

    def test_of_the_password_ends_all_grants(
        self,
        start_grant: Callable[[], Grant],
        is_denied: Callable[[Grant], bool],
        read: Callable[..., Any],
        stored: Callable[[str], User],
    ) -> None:
        grant = start_grant()
        changed = read("user", "change", "alice", "--password-stdin", text="looking-glass\n")
        assert changed["grants_ended"] == 1
        assert is_denied(grant)
        assert has_password(stored("alice"), "looking-glass")

    def test_asks_for_a_new_password(self, people: Callable[..., Result], stored: Callable[[str], User]) -> None:
        people("user", "change", "alice", "--password-prompt", text="looking-glass\nlooking-glass\n")
        assert has_password(stored("alice"), "looking-glass")

    def test_out_of_a_realm_ends_the_grants_there(
        self, start_grant: Callable[[], Grant], is_denied: Callable[[Grant], bool], read: Callable[..., Any]
    ) -> None:
        grant = start_grant()
        changed = read("user", "change", "alice", "--leave-realm", "default")
        assert (changed["roles"], changed["grants_ended"]) == ({}, 1)
        assert is_denied(grant)

    def test_refuses_what_cannot_be_registered(
        self, people: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        people("user", "create", "bob", "--no-password")
        assert "taken" in refused("user", "change", "bob", "--username", "alice")
        assert "no such role" in refused("user", "change", "bob", "--role", "default:reader")
        assert "there is no user ghost" in refused("user", "change", "ghost", "--no-password")


class TestDisable:
    def test_ends_all_grants_and_denies_their_tokens(
        self,
        start_grant: Callable[[], Grant],
        grant_now: Callable[[Grant], Grant],
        is_denied: Callable[[Grant], bool],
        read: Callable[..., Any],
    ) -> None:
        grant = start_grant()
        assert read("user", "disable", "alice") == {"username": "alice", "grants_ended": 1}
        assert grant_now(grant).ended_at is not None
        assert is_denied(grant)

    def test_is_undone_by_enable(
        self, people: Callable[..., Result], read: Callable[..., Any], refused: Callable[..., str]
    ) -> None:
        read("user", "disable", "alice")
        assert "there is no enabled user alice" in refused("user", "disable", "alice")
        assert read("user", "enable", "alice") == {"username": "alice", "enabled": True}
        assert read("user", "show", "alice")["disabled_at"] is None
