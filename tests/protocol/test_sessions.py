"""How long a person stays signed in: OpenID Connect Core 1.0 section 11, SECURITY B-02."""

from typing import Any

import pytest

from jwtauth.protocol import sessions
from jwtauth.protocol.records import NewSession, Session
from jwtauth.protocol.sessions import Renew, Start
from tests.protocol import records
from tests.protocol.records import NOW

IDLE_IN = 1_800
LONGEST_IN = 86_400
ADAS = records.session()
BOBS = records.session(id=6, user_id=43)


def sign_in(current: Session | None = None, **changes: Any) -> Renew | Start:
    usual = {
        "digest": b"digest of the new cookie",
        "sid": "session-2",
        "user_agent": "Lynx",
        "idle_in": IDLE_IN,
        "longest_in": LONGEST_IN,
        "now": NOW,
    }
    return sessions.sign_in(current, records.user(epoch=6), **{**usual, **changes})


def started(verdict: Renew | Start) -> Start:
    assert isinstance(verdict, Start)
    return verdict


class TestSigningIn:
    def test_begins_a_session_of_the_person_who_was_proven(self) -> None:
        assert sign_in() == Start(
            session=NewSession(
                digest=b"digest of the new cookie",
                sid="session-2",
                user_id=42,
                user_epoch=6,
                auth_time=NOW,
                expires_at=NOW + IDLE_IN,
                ends_at=NOW + LONGEST_IN,
                user_agent="Lynx",
            ),
            replaces=None,
        )

    def test_again_goes_on_with_the_session_until_its_old_end(self) -> None:
        assert sign_in(ADAS) == Renew(session_id=5, expires_at=NOW + IDLE_IN)
        assert sign_in(records.session(ends_at=NOW + 5)) == Renew(session_id=5, expires_at=NOW + 5)

    def test_as_somebody_else_ends_the_session_that_was_there(self) -> None:
        verdict = started(sign_in(BOBS))
        assert (verdict.session.user_id, verdict.session.sid, verdict.replaces) == (42, "session-2", 6)

    @pytest.mark.parametrize(
        "over", [{"ended_at": NOW - 1}, {"expires_at": NOW}, {"ends_at": NOW}, {"expires_at": NOW - 99_999}]
    )
    @pytest.mark.parametrize("user_id", [42, 43])
    def test_begins_anew_where_the_session_is_over(self, over: dict[str, int], user_id: int) -> None:
        is_to_be_ended = user_id != 42 and "ended_at" not in over
        assert started(sign_in(records.session(user_id=user_id, **over))).replaces == (5 if is_to_be_ended else None)

    def test_never_outlives_the_longest_session(self) -> None:
        assert started(sign_in(idle_in=200, longest_in=100)).session.expires_at == NOW + 100

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ("", ""),
            ("Mozilla/5.0 (X11; é)", "Mozilla/5.0 (X11; é)"),
            ("a\r\nb\x00\x1b[31m\u202ec", "ab[31mc"),
            ("x" * 9_999, "x" * 256),
        ],
    )
    def test_d_06_keeps_of_the_browsers_name_what_can_be_printed(self, sent: str, kept: str) -> None:
        assert started(sign_in(user_agent=sent)).session.user_agent == kept


class TestALiveSession:
    @pytest.mark.parametrize(
        ("session", "is_live"),
        [
            (records.session(), True),
            (records.session(expires_at=NOW + 1, ends_at=NOW + 1), True),
            (records.session(expires_at=NOW), False),
            (records.session(ends_at=NOW), False),
            (records.session(ended_at=NOW - 1), False),
            (records.session(ended_at=NOW + 9), False),
        ],
        ids=["live", "until the last second", "idle too long", "too old", "ended", "ended by a clock that is ahead"],
    )
    def test_is_neither_ended_nor_idle_nor_too_old(self, session: Session, is_live: bool) -> None:
        assert session.is_live(NOW) is is_live


class TestUse:
    """Prolongs a session, and is written down at most once a minute."""

    @pytest.mark.parametrize(
        ("seen_ago", "expires_in"), [(0, None), (59, None), (60, IDLE_IN), (1_799, IDLE_IN), (-3_600, None)]
    )
    def test_counts_from_now(self, seen_ago: int, expires_in: int | None) -> None:
        session = records.session(expires_at=NOW - seen_ago + IDLE_IN)
        expected = None if expires_in is None else NOW + expires_in
        assert sessions.prolonged(session, idle_in=IDLE_IN, now=NOW) == expected

    @pytest.mark.parametrize(("ends_in", "expires_in"), [(1_000, 1_000), (760, 760), (759, None), (700, None)])
    def test_never_leads_past_the_end(self, ends_in: int, expires_in: int | None) -> None:
        session = records.session(expires_at=NOW + 700, ends_at=NOW + ends_in)
        expected = None if expires_in is None else NOW + expires_in
        assert sessions.prolonged(session, idle_in=IDLE_IN, now=NOW) == expected

    @pytest.mark.parametrize("idle_in", [2, 5, 30, 60, 90, 120])
    def test_keeps_a_session_alive_however_short_its_idle_time(self, idle_in: int) -> None:
        """Whoever comes again before it is over, and then again, stays signed in."""
        session = records.session(expires_at=NOW + idle_in)
        last_moment = NOW + idle_in - 1
        assert session.is_live(last_moment)
        assert sessions.prolonged(session, idle_in=idle_in, now=last_moment) == last_moment + idle_in


OFFLINE = records.client(scope=("openid", "offline_access", "read", "write"))


class TestAGrant:  # OpenID Connect Core 1.0 section 11
    OVER = (None, records.session(ended_at=NOW - 1), records.session(expires_at=NOW), records.session(ends_at=NOW))

    @pytest.mark.parametrize("session", OVER)
    def test_ends_with_its_session(self, session: Session | None) -> None:
        grant = records.grant(session_id=5)
        assert sessions.outlives(grant, OFFLINE, records.session(), now=NOW)
        assert not sessions.outlives(grant, OFFLINE, session, now=NOW)

    @pytest.mark.parametrize("session", OVER)
    @pytest.mark.parametrize(
        "grant",
        [
            pytest.param(records.grant(session_id=5, scope=("openid", "offline_access")), id="for offline access"),
            pytest.param(records.grant(session_id=None), id="given without a browser"),
        ],
    )
    def test_outlives_any_session_that_it_does_not_need(self, grant: Any, session: Session | None) -> None:
        assert sessions.outlives(grant, OFFLINE, session, now=NOW)

    @pytest.mark.parametrize("session", OVER)
    def test_ends_with_its_session_once_the_client_may_not_ask_for_offline_access(
        self, session: Session | None
    ) -> None:
        grant = records.grant(session_id=5, scope=("openid", "offline_access"))
        assert not sessions.outlives(grant, records.client(scope=("openid",)), session, now=NOW)


class TestWhatAnUpstreamSays:
    @pytest.mark.parametrize(
        ("upstream_realm", "counts"),
        [(None, True), ("music", True), ("films", False)],
        ids=["here", "there", "elsewhere"],
    )
    def test_binds_its_own_realm_alone(self, upstream_realm: str | None, counts: bool) -> None:
        assert sessions.counts_for(records.session(upstream_realm=upstream_realm), "music") is counts

    def test_opens_the_account_of_nobody_who_is_known_to_another_realm(self) -> None:
        both, one = records.user(roles={"music": (), "films": ()}), records.user(roles={"music": ()})
        proven_there = records.session(upstream_realm="music")
        assert sessions.opens_account(records.session(), both)
        assert sessions.opens_account(proven_there, one)
        assert not sessions.opens_account(proven_there, both)
        assert not sessions.opens_account(records.session(upstream_realm="films"), one)

    def test_is_said_of_the_session_that_it_starts(self) -> None:
        assert started(sign_in(upstream_realm="music")).session.upstream_realm == "music"
