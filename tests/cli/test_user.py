"""`jwtauth user`: people, their passwords, realms and roles."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from jwtauth.cli.running import with_store
from jwtauth.passwords import Passwords
from jwtauth.protocol.records import Grant, NewSession, User
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


class TestClaims:  # OpenID Connect Core 1.0 section 5.1
    def test_are_kept_with_their_types(self, people: Callable[..., Result], read: Callable[..., Any]) -> None:
        created = read(
            *(
                "user",
                "create",
                "ada",
                "--no-password",
                "--claim",
                "name=Ada Lovelace",
                "--claim",
                "email=a=b@c.example",
            ),
            *("--claim", "email_verified=true", "--claim", "phone_number_verified=false"),
            *("--claim", "address.locality=Paris", "--claim", "address.street_address=1 Street\n2nd floor"),
        )
        assert created["profile"] == {
            "name": "Ada Lovelace",
            "email": "a=b@c.example",
            "email_verified": True,
            "phone_number_verified": False,
            "address": {"locality": "Paris", "street_address": "1 Street\n2nd floor"},
        }
        assert read("user", "show", "ada") == created

    def test_that_are_not_named_stay_and_empty_ones_go(
        self, people: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        for claims, profile in (
            (["name=Alice", "email_verified=true", "address.region=A", "address.country=B"], None),
            (["nickname=Al", "address.region="], {"email_verified": True, "address": {"country": "B"}}),
            (["email_verified=", "address.country="], {}),
        ):
            read("user", "change", "alice", *[word for claim in claims for word in ("--claim", claim)])
            if profile is not None:
                expected = {"name": "Alice", "nickname": "Al", **profile}
                assert read("user", "show", "alice")["profile"] == expected

    def test_say_when_they_changed(
        self, people: Callable[..., Result], read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert read("user", "show", "alice")["updated_at"] > 0
        for instant, arguments, updated_at in (
            (1000, ("--claim", "name=Alice"), 1000),
            (2000, ("--claim", "name=Alice"), 1000),
            (3000, ("--leave-realm", "default"), 1000),
            (4000, ("--username", "alice", "--claim", "nickname="), 1000),
            (5000, ("--claim", "name="), 5000),
            (6000, ("--username", "alicia"), 6000),
        ):
            monkeypatch.setattr("jwtauth.cli.user.now", lambda instant=instant: instant)
            assert read("user", "change", "alice", *arguments)["updated_at"] == updated_at
        assert read("user", "show", "alicia")["updated_at"] == 6000

    def test_are_shown_to_people_one_in_a_line(self, people: Callable[..., Result]) -> None:
        for claim in ("name=Alice", "email_verified=false", "address.formatted=1 Street\nParis"):
            people("user", "change", "alice", "--claim", claim)
        lines = [line.split(maxsplit=1) for line in people("user", "show", "alice").stdout.splitlines()]
        shown = [(name, value) for name, value in lines if name.startswith("profile.")]
        assert shown == [
            ("profile.name", "Alice"),
            ("profile.email_verified", "no"),
            ("profile.address.formatted", "1 Street / Paris"),
        ]

    @pytest.mark.parametrize(
        ("claim", "reason"),
        [
            ("email=nobody", "claim email"),
            ("birthdate=yesterday", "claim birthdate"),
            ("picture=javascript:alert(1)", "claim picture"),
            ("address.locality=a\nb", "claim address.locality"),
        ],
    )
    def test_refuse_values_of_another_form(
        self, people: Callable[..., Result], refused: Callable[..., str], claim: str, reason: str
    ) -> None:
        assert reason in refused("user", "change", "alice", "--claim", claim)
        assert reason in refused("user", "create", "bob", "--no-password", "--claim", claim)

    @pytest.mark.parametrize(
        ("claim", "reason"),
        [
            ("name", "expected NAME=VALUE"),
            ("=x", "there is no claim"),
            ("sub=u.x", "there is no claim sub"),
            ("preferred_username=x", "there is no claim preferred_username"),
            ("address=Paris", "there is no claim address; known are name,"),
            ("address.planet=Earth", "there is no claim address.planet"),
            ("email_verified=yes", "email_verified: expected true or false"),
        ],
    )
    def test_refuse_what_is_no_claim(self, people: Callable[..., Result], claim: str, reason: str) -> None:
        result = people("user", "change", "alice", "--claim", claim)
        assert result.exit_code == 2
        assert reason in " ".join(result.stderr.split())


class TestSignOut:
    def test_ends_all_grants_and_denies_their_tokens(
        self,
        start_grant: Callable[[], Grant],
        grant_now: Callable[[Grant], Grant],
        is_denied: Callable[[Grant], bool],
        read: Callable[..., Any],
    ) -> None:
        grants = [start_grant(), start_grant()]
        ended = read("user", "sign-out", "alice")
        assert ended == {"username": "alice", "sessions_ended": 0, "grants_ended": 2}
        for grant in grants:
            assert grant_now(grant).ended_at is not None
            assert is_denied(grant)

    def test_ends_all_browser_sessions(
        self, people: Callable[..., Result], source: Source, stored: Callable[[str], User], read: Callable[..., Any]
    ) -> None:
        user, instant = stored("alice"), int(time.time())

        async def sign_in(store: Store) -> None:
            for number in range(2):
                new = NewSession(
                    digest=bytes([number]) * 32,
                    sid=f"s{number}",
                    user_id=user.id,
                    user_epoch=user.epoch,
                    auth_time=instant,
                    expires_at=instant + 1000,
                    ends_at=instant + 1000,
                )
                assert await store.sessions.start(new, replaces=None, lease_in=0, now=instant) is not None

        async def live(store: Store) -> int:
            return len(await store.sessions.of_user(user.id, now=instant))

        with_store(source, sign_in)
        assert with_store(source, live) == 2
        ended = read("user", "sign-out", "alice")
        assert ended == {"username": "alice", "sessions_ended": 2, "grants_ended": 0}
        assert with_store(source, live) == 0

    def test_leaves_the_user_able_to_sign_in_again(
        self, start_grant: Callable[[], Grant], people: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        read("user", "sign-out", "alice")
        assert read("user", "show", "alice")["disabled_at"] is None
        assert start_grant().ended_at is None

    def test_says_that_a_user_does_not_exist(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        assert "there is no user ghost" in refused("user", "sign-out", "ghost")


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
