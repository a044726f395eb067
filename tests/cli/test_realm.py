"""`jwtauth realm`."""

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from jwtauth.protocol.records import Grant


class TestCreate:
    def test_gives_an_audience_of_its_own_unless_told(
        self, service: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        assert read("realm", "create", "portal")["audience"] == "http://127.0.0.1:8000/realms/portal"

    def test_takes_every_setting(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        created = read(
            *("realm", "create", "portal", "--audience", "https://portal.example", "--dialect", "standard"),
            *("--role", "reader", "--role", "editor", "--access-token-in", "60", "--refresh-token-in", "120"),
            *("--grant-in", "240", "--retry-in", "0", "--renews-position"),
        )
        assert created == {
            "name": "portal",
            "audience": "https://portal.example",
            "dialect": "standard",
            "roles": ["reader", "editor"],
            "access_token_in": 60,
            "refresh_token_in": 120,
            "grant_in": 240,
            "retry_in": 0,
            "renews_position": True,
            "disabled_at": None,
            "is_demo": False,
        }
        assert read("realm", "show", "portal") == created

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["Portal"], "realm name"),
            (["default"], "taken"),
            (["portal", "--dialect", "klingon"], "dialect"),
            (["portal", "--audience", "http://127.0.0.1:8000/realms/default"], "no two may share one"),
            (["portal", "--access-token-in", "0"], "access_token_in"),
            (["portal", "--access-token-in", "86401"], "max_token_lifetime"),
            (["portal", "--role", "two words"], "role"),
        ],
    )
    def test_refuses_what_cannot_be_registered(
        self, service: Callable[..., Result], refused: Callable[..., str], arguments: list[str], reason: str
    ) -> None:
        assert reason in refused("realm", "create", *arguments)
        assert service("realm", "list").stdout.count("\n") == 2


class TestList:
    def test_shows_a_table_to_people(self, service: Callable[..., Result]) -> None:
        heading, row = service("realm", "list").stdout.splitlines()
        assert heading.split() == ["name", "audience", "dialect", "roles", "access_token_in", "disabled_at"]
        assert row.split() == ["default", "http://127.0.0.1:8000/realms/default", "standard", "-", "3600", "s", "-"]


class TestShow:
    def test_says_that_a_realm_does_not_exist(
        self, service: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "there is no realm portal; `jwtauth realm list`" in refused("realm", "show", "portal")


class TestChange:
    def test_leaves_what_was_not_named(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        before = read("realm", "show", "default")
        assert read("realm", "change", "default", "--retry-in", "0") == {**before, "retry_in": 0}
        assert read("realm", "show", "default") == {**before, "retry_in": 0}

    def test_empties_a_list_by_an_empty_value(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        read("realm", "change", "default", "--role", "reader")
        assert read("realm", "change", "default", "--role", "")["roles"] == []

    def test_refuses_to_drop_a_role_that_somebody_holds(
        self, people: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        people("realm", "change", "default", "--role", "reader")
        people("user", "change", "alice", "--role", "default:reader")
        assert "user alice holds it" in refused("realm", "change", "default", "--role", "editor")

    def test_refuses_what_cannot_be_registered(
        self, service: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "max_token_lifetime" in refused("realm", "change", "default", "--access-token-in", "99999")


class TestDisable:
    def test_ends_the_grants_of_its_clients_and_denies_their_tokens(
        self,
        start_grant: Callable[[], Grant],
        grant_now: Callable[[Grant], Grant],
        is_denied: Callable[[Grant], bool],
        read: Callable[..., Any],
    ) -> None:
        grant = start_grant()
        assert read("realm", "disable", "default") == {"realm": "default", "grants_ended": 1}
        assert grant_now(grant).ended_at is not None
        assert is_denied(grant)

    def test_is_undone_by_enable(
        self, service: Callable[..., Result], read: Callable[..., Any], refused: Callable[..., str]
    ) -> None:
        read("realm", "disable", "default")
        assert isinstance(read("realm", "show", "default")["disabled_at"], int)
        assert "Z\n" in service("realm", "list").stdout
        assert read("realm", "enable", "default") == {"realm": "default", "enabled": True}
        assert read("realm", "show", "default")["disabled_at"] is None
        assert "there is no disabled realm default" in refused("realm", "enable", "default")
