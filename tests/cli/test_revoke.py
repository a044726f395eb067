"""`jwtauth revoke`: counts, asks, ends what was selected, and says what it did."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from jwtauth.cli.running import with_store
from jwtauth.keyring import jws
from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol.records import Block, Grant
from jwtauth.settings import Source
from jwtauth.store.ports import Store

NOTHING = {"sessions": 0, "grants": 0, "blocks": 0, "positions": 0, "machines": [], "spared": 0}


@pytest.fixture
def grant(start_grant: Callable[[], Grant]) -> Grant:
    return start_grant()


@pytest.fixture
def is_over(is_denied: Callable[[Grant], bool], grant_now: Callable[[Grant], Grant]) -> Callable[[Grant], bool]:
    """Whether a grant has ended and its access tokens are refused."""

    def ask(grant: Grant) -> bool:
        has_ended = grant_now(grant).ended_at is not None
        assert is_denied(grant) is has_ended
        return has_ended

    return ask


@pytest.fixture
def block(people: Callable[..., Result], source: Source) -> Block:
    """The positions of machine tokens of client `robot`, which may ask for `read`."""
    people("client", "create", "robot", "--grant-type", "client_credentials", "--scope", "read")

    async def work(store: Store) -> Block:
        client = await store.directory.client("robot")
        assert client is not None
        now = int(time.time())
        block = await store.positions.take_block(client, size=64, use_until=now + 3_600, now=now)
        assert block is not None
        return block

    return with_store(source, work)


@pytest.fixture
def is_position_denied(source: Source) -> Callable[[int], bool]:
    async def ask(store: Store, position: int) -> bool:
        return store.positions.is_denied(position)

    return lambda position: with_store(source, lambda store: ask(store, position))


class TestDryRun:
    def test_counts_and_changes_nothing(
        self, read: Callable[..., Any], grant: Grant, is_over: Callable[[Grant], bool]
    ) -> None:
        counted = read("revoke", "--client", "portal", "--dry-run")
        expected = {"dry_run": True, "selection": {"client": "portal"}, "notes": [], "grants": 1, "positions": 1}
        assert counted == {**NOTHING, **expected}
        assert not is_over(grant)

    def test_logs_nothing(self, run: Callable[..., Result], grant: Grant) -> None:
        assert run("revoke", "--client", "portal", "--dry-run").stderr == ""

    def test_says_what_is_hit_beyond_the_scope(
        self, read: Callable[..., Any], run: Callable[..., Result], block: Block, grant: Grant
    ) -> None:
        counted = read("revoke", "--scope", "read", "--dry-run")
        assert (counted["grants"], counted["blocks"], counted["positions"]) == (1, 1, 65)
        assert counted["machines"] == ["robot"]
        (note,) = counted["notes"]
        assert note.startswith("more than asked: ")
        assert note in run("revoke", "--scope", "read", "--dry-run").stdout


class TestAsking:
    def test_shows_the_counts_and_goes_on_where_people_say_yes(
        self, run: Callable[..., Result], grant: Grant, is_over: Callable[[Grant], bool]
    ) -> None:
        result = run("revoke", "--client", "portal", text="y\n")
        assert "This ends 1 grants, 0 browser sessions and 0 blocks of machine tokens" in result.stderr
        assert "dry_run    no" in result.stdout
        assert is_over(grant)

    @pytest.mark.parametrize("answer", ["n\n", "\n", ""])
    def test_ends_nothing_where_they_do_not(
        self, run: Callable[..., Result], grant: Grant, is_over: Callable[[Grant], bool], answer: str
    ) -> None:
        assert run("revoke", "--client", "portal", text=answer).exit_code == 1
        assert not is_over(grant)

    def test_prints_nothing_but_json_to_standard_output(self, run: Callable[..., Result], grant: Grant) -> None:
        assert json.loads(run("revoke", "--client", "portal", "--json", text="y\n").stdout)["grants"] == 1


class TestCriteria:
    def test_a_user_loses_all_grants(
        self, read: Callable[..., Any], start_grant: Callable[[], Grant], is_over: Callable[[Grant], bool]
    ) -> None:
        grants = [start_grant(), start_grant()]
        assert read("revoke", "--user", "alice", "--yes")["grants"] == 2
        assert [is_over(grant) for grant in grants] == [True, True]
        assert read("revoke", "--user", "alice", "--yes") == {
            "dry_run": False,
            "selection": {"user": "alice"},
            **NOTHING,
            "notes": [],
        }

    def test_a_client_loses_its_machine_tokens(
        self, read: Callable[..., Any], block: Block, is_position_denied: Callable[[int], bool]
    ) -> None:
        done = read("revoke", "--client", "robot", "--yes")
        assert (done["blocks"], done["positions"], done["machines"]) == (1, 64, ["robot"])
        assert is_position_denied(block.position)

    def test_one_grant(
        self, read: Callable[..., Any], start_grant: Callable[[], Grant], is_over: Callable[[Grant], bool]
    ) -> None:
        grants = [start_grant(), start_grant()]
        assert read("revoke", "--grant", str(grants[1].id), "--yes")["grants"] == 1
        assert [is_over(grant) for grant in grants] == [False, True]

    def test_a_refresh_token_names_its_grant(
        self,
        read: Callable[..., Any],
        grant: Grant,
        refresh_token_of: Callable[[Grant], str],
        is_over: Callable[[Grant], bool],
    ) -> None:
        done = read("revoke", "--token", "-", "--yes", text=refresh_token_of(grant) + "\n")
        assert done["selection"] == {"grant": grant.id}
        assert is_over(grant)

    def test_an_access_token_names_its_grant_by_its_position(
        self,
        read: Callable[..., Any],
        grant: Grant,
        access_token_of: Callable[..., str],
        is_over: Callable[[Grant], bool],
    ) -> None:
        done = read("revoke", "--token", access_token_of(grant, age=700), "--yes")
        assert (done["grants"], done["selection"]) == (1, {"position": grant.position})
        assert is_over(grant)

    def test_criteria_have_to_match_all(
        self, read: Callable[..., Any], grant: Grant, block: Block, is_over: Callable[[Grant], bool]
    ) -> None:
        assert read("revoke", "--client", "robot", "--user", "alice", "--yes")["positions"] == 0
        assert not is_over(grant)
        assert read("revoke", "--client", "portal", "--user", "alice", "--scope", "read", "--yes")["grants"] == 1
        assert is_over(grant)


class TestIssuedBetween:
    @pytest.mark.parametrize(
        ("begin", "end", "grants"),
        [
            ("1h", "now", 1),
            ("1h ago", "0s ago", 1),
            ("2026-01-01T00:00:00Z", "2999-01-01T00:00:00+05:30", 1),
            ("2d", "30m", 0),
            ("7d", "3600s", 0),
        ],
    )
    def test_takes_instants_and_durations(
        self, read: Callable[..., Any], grant: Grant, begin: str, end: str, grants: int
    ) -> None:
        counted = read("revoke", "--issued-between", begin, end, "--dry-run")
        assert counted["grants"] == grants
        assert counted["selection"]["from_at"] < counted["selection"]["until_at"]

    def test_reads_instants_in_their_zone(self, read: Callable[..., Any], people: Callable[..., Result]) -> None:
        interval = ("2026-01-01T00:00:00Z", "2026-01-01T05:30:01+05:30")
        shown = read("revoke", "--issued-between", *interval, "--dry-run")["selection"]
        assert (shown["from_at"], shown["until_at"]) == (1_767_225_600, 1_767_225_601)

    @pytest.mark.parametrize(
        "instant", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "2w", "-1h", "999999999d", "1767225600"]
    )
    def test_refuses_anything_else(
        self, run: Callable[..., Result], people: Callable[..., Result], instant: str
    ) -> None:
        result = run("revoke", "--dry-run", "--issued-between", instant, "now")
        assert result.exit_code == 2
        assert "expected an instant such as" in result.stderr

    def test_refuses_an_interval_the_wrong_way_round(self, refused: Callable[..., str], grant: Grant) -> None:
        assert "earlier instant first" in refused("revoke", "--issued-between", "now", "2h", "--yes")


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            ([], "nothing is selected"),
            (["--user", "nobody"], "there is no user nobody"),
            (["--client", "nobody"], "there is no client nobody"),
            (["--grant", "77"], "there is no grant 77"),
            (["--grant", "1", "--user", "alice"], "leave the other criteria out"),
            (["--scope", "read write"], "expected one scope value"),
            (["--token", "nonsense"], "token"),
        ],
    )
    def test_end_nothing(
        self,
        refused: Callable[..., str],
        grant: Grant,
        is_over: Callable[[Grant], bool],
        arguments: list[str],
        why: str,
    ) -> None:
        assert why in refused("revoke", *arguments, "--yes")
        assert not is_over(grant)

    @pytest.mark.parametrize("other", [["--user", "alice"], ["--grant", "1"], ["--scope", "read"]])
    def test_a_token_stands_alone(
        self, refused: Callable[..., str], grant: Grant, refresh_token_of: Callable[[Grant], str], other: list[str]
    ) -> None:
        refusal = refused("revoke", "--token", refresh_token_of(grant), *other, "--yes")
        assert "a token names one thing" in refusal

    def test_a_token_that_another_key_signed(
        self,
        refused: Callable[..., str],
        grant: Grant,
        access_token_of: Callable[..., str],
        is_over: Callable[[Grant], bool],
    ) -> None:
        forged = jws.generate("ES256").sign(jws.take_apart(access_token_of(grant)).payload, typ="at+jwt")
        assert "was not signed by this issuer" in refused("revoke", "--token", forged, "--yes")
        assert not is_over(grant)


class TestKey:
    @pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
    def test_of_the_key_that_signs_makes_a_new_one_and_leaves_the_other_line(
        self, service: Callable[..., Result], read: Callable[..., Any], source: Source, algorithm: str
    ) -> None:
        before = {record.kid: record.algorithm for record, _ in KeyFolder(source.keys).read_keys()}
        lost = next(kid for kid, name in before.items() if name == algorithm)
        counted = read("revoke", f"--key={lost}", "--dry-run")
        assert (counted["dry_run"], counted["new_key"]) == (True, None)
        assert {record.kid for record, _ in KeyFolder(source.keys).read_keys()} == {*before}
        done = read("revoke", f"--key={lost}", "--yes")
        after = {record.kid: record.algorithm for record, _ in KeyFolder(source.keys).read_keys()}
        assert after == {**{kid: name for kid, name in before.items() if kid != lost}, done["new_key"]: algorithm}

    def test_of_an_older_key_leaves_the_one_that_signs(
        self, service: Callable[..., Result], read: Callable[..., Any], source: Source
    ) -> None:
        first = {record.kid for record, _ in KeyFolder(source.keys).read_keys() if record.algorithm == "ES256"}
        read("keys", "rotate")
        (waiting,) = {
            record.kid for record, _ in KeyFolder(source.keys).read_keys() if record.algorithm == "ES256"
        } - first
        assert read("revoke", f"--key={waiting}", "--yes")["new_key"] is None
        assert {record.kid for record, _ in KeyFolder(source.keys).read_keys() if record.algorithm == "ES256"} == first

    def test_of_a_key_stands_alone(self, service: Callable[..., Result]) -> None:
        assert service("revoke", "--key=x", "--client=y", "--yes").exit_code == 2

    def test_refuses_a_kid_that_it_does_not_know(
        self, refused: Callable[..., str], people: Callable[..., Result]
    ) -> None:
        assert "there is no signing key nonsense" in refused("revoke", "--key", "nonsense")


class TestEvent:
    def test_is_one_line_with_selection_and_counts(self, run: Callable[..., Result], grant: Grant) -> None:
        result = run("revoke", "--user", "alice", "--client", "portal", "--yes")
        (line,) = result.stderr.splitlines()
        assert "tokens.revoked" in line
        assert "client_id='portal' uid=1" in line
        assert "user alice, client portal; ended 1 grants, 0 browser sessions" in line

    def test_never_holds_the_token(
        self, run: Callable[..., Result], grant: Grant, refresh_token_of: Callable[[Grant], str]
    ) -> None:
        token = refresh_token_of(grant)
        result = run("revoke", "--token", token, "--yes")
        assert f"grant_id={grant.id}" in result.stderr
        assert token not in result.output + result.stderr
