"""RP-initiated logout: OpenID Connect RP-Initiated Logout 1.0 sections 2 and 3, SECURITY R-06 and B-15."""

from typing import Any

import pytest

from jwtauth.protocol import end_session
from jwtauth.protocol.end_session import Ask, SignOut
from jwtauth.protocol.id_token import Hint
from jwtauth.protocol.interaction import Standing
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.records import Client
from tests.protocol import records
from tests.protocol.records import ISSUER, NOW

GOODBYE = "https://player.example/goodbye"
QUERIED = "https://player.example/goodbye?tenant=7"
PLAYER = records.application(post_logout_redirect_uris=(GOODBYE, QUERIED))
HINT = Hint(ISSUER, "u.ada", "player", "session-1")
BOBS = Hint(ISSUER, "u.bob", "player", "session-2")
ADA = records.standing()


def decide(
    hint: Hint | None = HINT,
    client: Client | None = PLAYER,
    standing: Standing | None = ADA,
    **sent: str,
) -> SignOut | Ask:
    return end_session.decide({**sent}, hint, client, standing)


class TestWithAHint:
    def test_the_person_is_signed_out_unasked(self) -> None:
        assert decide() == SignOut()

    def test_the_browser_goes_where_the_client_registered(self) -> None:  # section 3
        assert decide(post_logout_redirect_uri=GOODBYE) == SignOut(GOODBYE)

    @pytest.mark.parametrize(
        ("uri", "to"), [(GOODBYE, f"{GOODBYE}?state=a%20b%26c"), (QUERIED, f"{QUERIED}&state=a%20b%26c")]
    )
    def test_it_takes_the_state_along(self, uri: str, to: str) -> None:
        assert decide(post_logout_redirect_uri=uri, state="a b&c") == SignOut(to)

    @pytest.mark.parametrize(
        "uri",
        [GOODBYE + "/", GOODBYE + "?a=b", GOODBYE + "#", GOODBYE.upper(), records.CALLBACK, "https://evil.example", ""],
    )
    def test_r_06_the_browser_stays_here_where_the_uri_is_not_registered(self, uri: str) -> None:
        assert decide(post_logout_redirect_uri=uri) == SignOut()

    def test_the_browser_goes_there_too_where_nobody_was_signed_in(self) -> None:
        assert decide(standing=None, post_logout_redirect_uri=GOODBYE) == SignOut(GOODBYE)

    def test_about_somebody_else_the_person_is_asked(self) -> None:  # section 2
        assert decide(BOBS, post_logout_redirect_uri=GOODBYE) == Ask()

    def test_of_a_session_before_this_one_the_same_person_is_signed_out(self) -> None:
        assert decide(Hint(ISSUER, "u.ada", "player", "session-0")) == SignOut()

    @pytest.mark.parametrize(
        "client",
        [
            pytest.param(None, id="gone"),
            pytest.param(
                records.application(post_logout_redirect_uris=(GOODBYE,), disabled_at=NOW),
                id="disabled",
            ),
            pytest.param(
                records.application(post_logout_redirect_uris=(GOODBYE,), realm=records.realm(disabled_at=NOW)),
                id="of a disabled realm",
            ),
        ],
    )
    def test_the_browser_stays_here_where_the_client_is(self, client: Client | None) -> None:
        assert decide(client=client, post_logout_redirect_uri=GOODBYE) == SignOut()


class TestWithoutAHint:
    @pytest.mark.parametrize("sent", [{}, {"client_id": "player"}, {"post_logout_redirect_uri": GOODBYE, "state": "x"}])
    def test_b_15_the_person_is_asked(self, sent: dict[str, Any]) -> None:
        assert decide(None, **sent) == Ask()

    @pytest.mark.parametrize("standing", [ADA, None])
    def test_r_06_the_browser_is_sent_nowhere(self, standing: Standing | None) -> None:
        assert decide(None, standing=standing, post_logout_redirect_uri=GOODBYE) in (Ask(), SignOut())

    def test_nobody_is_asked_where_nobody_is_signed_in(self) -> None:
        assert decide(None, standing=None) == SignOut()


class TestWhoAsks:  # section 2: client_id and the hint's audience must agree
    @pytest.mark.parametrize(
        ("sent", "hint", "client_id"),
        [
            ({}, None, None),
            ({"client_id": "player"}, None, "player"),
            ({}, HINT, "player"),
            ({"client_id": "player"}, HINT, "player"),
        ],
    )
    def test_is_whom_the_hint_was_issued_to_else_who_says_so(
        self, sent: Parameters, hint: Hint | None, client_id: str | None
    ) -> None:
        assert end_session.believed(sent, hint) == hint
        assert end_session.client_id_of(sent, end_session.believed(sent, hint)) == client_id

    def test_is_not_proven_where_the_two_disagree(self) -> None:
        sent: Parameters = {"client_id": "other", "post_logout_redirect_uri": GOODBYE}
        hint: Any = end_session.believed(sent, HINT)
        assert hint is None
        assert end_session.client_id_of(sent, hint) == "other"
        assert end_session.decide(sent, hint, PLAYER, ADA) == Ask()
