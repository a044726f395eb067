"""What a client is told when a session ends: OpenID Connect Back-Channel Logout 1.0."""

from itertools import count, takewhile

import msgspec
import pytest

from jwtauth.protocol import claims, logout_token
from jwtauth.protocol.logout_token import LogoutToken
from jwtauth.protocol.records import Client, LogoutNotice
from tests.protocol.records import ISSUER, NOW, client, realm

URI = "https://player.example/logout"
NOTICE = LogoutNotice(id=1, client_id=1, sub="u.ada", sid="session-1", attempts=0, created_at=NOW - 5)
DAY = 86_400


def made() -> LogoutToken:
    return logout_token.make(NOTICE, client(), issuer=ISSUER, jti="token-1", now=NOW)


class TestLogoutToken:  # section 2.4
    def test_says_who_was_signed_out_of_which_session_and_nothing_else(self) -> None:
        assert msgspec.json.decode(msgspec.json.encode(made())) == {
            "iss": ISSUER,
            "sub": "u.ada",
            "aud": "player",
            "iat": NOW,
            "exp": NOW + 120,
            "jti": "token-1",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            "sid": "session-1",
        }

    def test_has_no_nonce(self) -> None:
        assert "nonce" not in LogoutToken.__struct_fields__

    def test_has_a_type_of_its_own(self) -> None:
        assert logout_token.TYPE == "logout+jwt"
        assert logout_token.TYPE not in (claims.TYPE, "JWT")


class TestDestination:
    def test_is_what_the_client_registered(self) -> None:
        assert logout_token.destination(client(backchannel_logout_uri=URI)) == URI

    @pytest.mark.parametrize(
        "recipient",
        [
            None,
            client(),
            client(backchannel_logout_uri=URI, disabled_at=NOW),
            client(backchannel_logout_uri=URI, realm=realm(disabled_at=NOW)),
        ],
        ids=["gone", "without a URI", "disabled", "of a disabled realm"],
    )
    def test_is_nowhere_for_a_client_that_is(self, recipient: Client | None) -> None:
        assert logout_token.destination(recipient) is None


class TestRetry:  # section 2.8 leaves it to the issuer
    @pytest.mark.parametrize(
        ("attempts", "wait_in"), [(1, 5), (2, 30), (3, 120), (4, 600), (5, 3_600), (6, 3_600), (27, 3_600), (28, None)]
    )
    def test_waits_longer_each_time_then_an_hour_then_gives_up(self, attempts: int, wait_in: int | None) -> None:
        assert logout_token.retry_in(attempts) == wait_in

    def test_goes_on_for_a_day_but_not_longer(self) -> None:
        waits = list(takewhile(lambda wait: wait is not None, map(logout_token.retry_in, count(1))))
        assert DAY - 3_600 < sum(wait for wait in waits if wait is not None) <= DAY
