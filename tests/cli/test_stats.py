"""`jwtauth stats`: how much is registered, and who still uses what will be switched off."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from jwtauth.cli.running import with_store
from jwtauth.protocol.legacy import NO_SECRET, QUERY
from jwtauth.settings import Source
from jwtauth.store.sqlite.store import SqliteStore

NOW = 1_800_000_000


class TestStats:
    def test_counts_what_is_registered_and_what_of_it_is_disabled(
        self, people: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        people("user", "disable", "alice")
        assert read("stats") == {
            "realms": 1,
            "realms_disabled": 0,
            "clients": 1,
            "clients_disabled": 0,
            "users": 1,
            "users_disabled": 1,
        }

    @pytest.mark.parametrize("arguments", [["stats"], ["stats", "legacy"]])
    def test_needs_a_database(self, refused: Callable[..., str], arguments: list[str]) -> None:
        assert "run `jwtauth init`" in refused(*arguments)


@pytest.fixture
def used(people: Callable[..., Result], source: Source) -> Callable[..., Result]:
    """`run`, where portal came through two doors and a client of another realm through one."""
    people("realm", "create", "plant", "--sunset", "2030-12-31")
    people("client", "create", "pump", "--realm", "plant")

    async def work(store: SqliteStore) -> None:
        portal, pump = await store.directory.client("portal"), await store.directory.client("pump")
        assert portal is not None
        assert pump is not None
        await store.legacy_uses.add({(portal.id, QUERY): 3, (portal.id, NO_SECRET): 1}, now=NOW)
        await store.legacy_uses.add({(portal.id, QUERY): 2, (pump.id, QUERY): 1}, now=NOW + 60)

    with_store(source, work)
    return people


class TestLegacy:
    def test_says_who_used_what_how_often_and_when(self, used: Callable[..., Result], read: Callable[..., Any]) -> None:
        found = read("stats", "legacy")["uses"]
        assert found == [
            {
                "client_id": "portal",
                "realm": "default",
                "door": QUERY,
                "count": 5,
                "first_at": NOW,
                "last_at": NOW + 60,
                "sunset_at": None,
            },
            {
                "client_id": "pump",
                "realm": "plant",
                "door": QUERY,
                "count": 1,
                "first_at": NOW + 60,
                "last_at": NOW + 60,
                "sunset_at": 1_924_905_600,
            },
            {
                "client_id": "portal",
                "realm": "default",
                "door": NO_SECRET,
                "count": 1,
                "first_at": NOW,
                "last_at": NOW,
                "sunset_at": None,
            },
        ]

    def test_shows_a_table_with_dates_to_people(self, used: Callable[..., Result]) -> None:
        heading, *rows = used("stats", "legacy").stdout.splitlines()
        assert heading.split() == ["client_id", "realm", "door", "count", "first_at", "last_at", "sunset_at"]
        assert len(rows) == 3
        assert re.split(r"  +", rows[1]) == [
            *("pump", "plant", QUERY, "1", "2027-01-15T08:01:00Z", "2027-01-15T08:01:00Z", "2030-12-31T00:00:00Z")
        ]

    def test_shows_those_of_one_realm(self, used: Callable[..., Result], read: Callable[..., Any]) -> None:
        assert [use["client_id"] for use in read("stats", "legacy", "--realm", "plant")["uses"]] == ["pump"]

    def test_says_that_nobody_needs_a_door_any_more_and_since_when_it_counts(
        self, service: Callable[..., Result], read: Callable[..., Any], source: Source
    ) -> None:
        assert re.fullmatch(
            r"nobody has used a legacy door since 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, when counting began\n",
            service("stats", "legacy").stdout,
        )
        found = read("stats", "legacy")
        assert found["uses"] == []
        assert abs(found["counted_since"] - source.database.stat().st_mtime) < 60

    def test_says_that_a_realm_does_not_exist(
        self, service: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "there is no realm plant" in refused("stats", "legacy", "--realm", "plant")
