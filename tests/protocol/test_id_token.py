"""ID tokens: OpenID Connect Core 1.0 sections 2, 3.1.2.1 and 3.1.3.6."""

from base64 import urlsafe_b64decode
from hashlib import sha512
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import InvalidToken
from jwtauth.protocol import claims, id_token, logout_token
from jwtauth.protocol.id_token import Hint
from jwtauth.protocol.profile import Profile
from jwtauth.protocol.records import Client, Grant, RequestedClaims, Session
from tests.protocol import records
from tests.protocol.records import ISSUER, NOW

ACCESS_TOKEN = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
AT_HASH = "77QmUPtjPfzWtF2AnpK9RQ"
"""Of that access token, as OpenID Connect Core 1.0 appendix A.3 has it."""

SESSION = records.session()
ADA = records.user(profile=Profile(name="Ada Lovelace", email="ada@example.org"))


def make(
    grant: Grant | None = None, client: Client | None = None, *, session: Session | None = SESSION
) -> dict[str, Any]:
    return id_token.make(
        grant or records.code(),
        client or records.application(),
        ADA,
        session,
        issuer=ISSUER,
        access_token=ACCESS_TOKEN,
        now=NOW,
    )


class TestIdToken:  # section 2
    def test_says_who_signed_in_when_for_whom_and_nothing_else(self) -> None:
        assert make() == {
            "iss": ISSUER,
            "sub": "u.ada",
            "aud": "player",
            "exp": NOW + 3_600,
            "iat": NOW,
            "auth_time": NOW - 100,
            "nonce": "n-0S6_WzA2Mj",
            "acr": "1",
            "amr": ("pwd",),
            "at_hash": AT_HASH,
            "sid": "session-1",
        }

    def test_has_no_nonce_where_none_was_sent_and_none_after_a_refresh(self) -> None:  # section 12.2
        assert "nonce" not in make(records.code(nonce=None))

    def test_has_no_sid_once_the_session_is_forgotten(self) -> None:
        assert "sid" not in make(session=None)

    def test_says_how_somebody_signed_in_only_where_that_was_here(self) -> None:  # RFC 8176
        assert make()["amr"] == make(session=None)["amr"] == ("pwd",)
        assert "amr" not in make(session=records.session(upstream_realm="music"))

    def test_lives_as_long_as_the_clients_access_tokens(self) -> None:
        assert make(client=records.application(access_token_in=60))["exp"] == NOW + 60

    def test_j_04_has_a_type_of_its_own(self) -> None:
        assert id_token.TYPE not in (claims.TYPE, logout_token.TYPE)

    def test_is_signed_with_rs256_unless_the_client_registered_otherwise(self) -> None:  # section 15.1
        assert id_token.ALGORITHMS[0] == records.client().id_token_algorithm == "RS256"
        assert "none" not in id_token.ALGORITHMS
        assert not any(algorithm.startswith("HS") for algorithm in id_token.ALGORITHMS)


class TestClaims:  # section 5.5: asked for by name
    def test_about_the_person_stand_in_it_only_where_they_were_asked_for_there(self) -> None:
        asked = RequestedClaims(id_token=("name", "nickname"), userinfo=("email",))
        assert make(records.code(claims=asked, scope=("openid", "email")))["name"] == "Ada Lovelace"
        assert {"email", "nickname"}.isdisjoint(make(records.code(claims=asked)))

    def test_never_take_the_place_of_the_protocols_own(self) -> None:
        grant = records.code(claims=RequestedClaims(id_token=("iss", "sub", "aud", "exp", "nonce", "name")))
        found = make(grant)
        assert found.pop("name") == "Ada Lovelace"
        assert found == make()


class TestAtHash:  # section 3.1.3.6
    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "PS256"])
    def test_is_half_of_the_sha_256_of_the_access_token(self, algorithm: str) -> None:
        assert id_token.at_hash(ACCESS_TOKEN, algorithm=algorithm) == AT_HASH

    def test_is_half_of_the_sha_512_with_ed25519(self) -> None:
        half = sha512(ACCESS_TOKEN.encode()).digest()[:32]
        assert urlsafe_b64decode(id_token.at_hash(ACCESS_TOKEN, algorithm="EdDSA") + "=") == half


HINT: dict[str, Any] = {"iss": ISSUER, "sub": "u.ada", "aud": "player", "sid": "session-1", "exp": NOW - 9_999}


class TestAHint:  # section 3.1.2.1
    def read(self, payload: bytes) -> Hint:
        return id_token.read_hint(payload, issuer=ISSUER)

    def test_says_whom_it_is_about_even_where_it_has_expired(self) -> None:
        assert self.read(msgspec.json.encode(HINT)) == Hint(ISSUER, "u.ada", "player", "session-1")

    def test_is_what_an_id_token_of_ours_says(self) -> None:
        assert self.read(msgspec.json.encode(make())).sub == "u.ada"

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"[]", id="a list"),
            pytest.param(b"{}", id="empty"),
            pytest.param(b"\xff", id="not UTF-8"),
            pytest.param(b"[" * 9_999, id="deep"),
            pytest.param(msgspec.json.encode({**HINT, "iss": "https://evil.example"}), id="of another issuer"),
            pytest.param(msgspec.json.encode({**HINT, "iss": ISSUER + "/"}), id="of nearly this issuer"),
            pytest.param(msgspec.json.encode({**HINT, "aud": ["player", "other"]}), id="for several"),
            pytest.param(msgspec.json.encode({**HINT, "sub": 42}), id="about a number"),
            pytest.param(msgspec.json.encode({**HINT, "sub": None}), id="about nobody"),
        ],
    )
    def test_that_is_no_id_token_of_ours_is_refused(self, payload: bytes) -> None:
        with pytest.raises(InvalidToken):
            self.read(payload)

    @given(st.binary() | st.text().map(str.encode))
    def test_of_any_bytes_is_refused(self, payload: bytes) -> None:
        with pytest.raises(InvalidToken):
            self.read(payload)
