"""`jwtauth token`: decoding says what is proven, revoking ends the grant behind a token."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from jwtauth.keyring import jws, rotation
from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol.records import Grant
from jwtauth.settings import Source


@pytest.fixture
def grant(start_grant: Callable[[], Grant]) -> Grant:
    return start_grant()


@pytest.fixture
def access_token(grant: Grant, access_token_of: Callable[..., str]) -> str:
    return access_token_of(grant)


@pytest.fixture
def refresh_token(grant: Grant, refresh_token_of: Callable[[Grant], str]) -> str:
    return refresh_token_of(grant)


class TestDecode:
    def test_shows_header_and_claims_of_a_live_token(self, read: Callable[..., Any], access_token: str) -> None:
        decoded = read("token", "decode", access_token)
        assert decoded["header"]["typ"] == "at+jwt"
        assert decoded["claims"]["client_id"] == "portal"
        assert decoded["signature_is_valid"] is True
        assert decoded["is_expired"] is False
        assert decoded["is_revoked"] is False

    def test_reads_the_token_from_standard_input(self, read: Callable[..., Any], access_token: str) -> None:
        assert read("token", "decode", "-", text=access_token + "\n") == read("token", "decode", access_token)

    def test_tells_people_in_words(self, run: Callable[..., Result], access_token: str) -> None:
        printed = run("token", "decode", access_token).stdout
        assert "signature  VALID" in printed
        assert "expired    no, until 2" in printed
        assert "revoked    no" in printed

    def test_says_that_a_signature_is_not_ours_and_looks_nothing_up(
        self, read: Callable[..., Any], run: Callable[..., Result], access_token: str
    ) -> None:
        foreign = jws.generate("ES256").sign(jws.take_apart(access_token).payload, typ="at+jwt")
        decoded = read("token", "decode", foreign)
        assert decoded["signature_is_valid"] is False
        assert decoded["is_revoked"] is None
        assert "signature  NOT VALID" in run("token", "decode", foreign).stdout

    def test_says_that_changed_claims_are_not_signed(self, read: Callable[..., Any], access_token: str) -> None:
        header, _, signature = access_token.split(".")
        changed = jws.take_apart(access_token).payload.replace(b'"read"', b'"root"')
        payload = urlsafe_b64encode(changed).rstrip(b"=").decode()
        decoded = read("token", "decode", f"{header}.{payload}.{signature}")
        assert decoded["claims"]["scope"] == "root"
        assert decoded["signature_is_valid"] is False

    def test_says_that_a_token_has_expired(
        self, read: Callable[..., Any], run: Callable[..., Result], grant: Grant, access_token_of: Callable[..., str]
    ) -> None:
        expired = access_token_of(grant, age=700)
        assert read("token", "decode", expired)["is_expired"] is True
        assert "expired    yes, since 2" in run("token", "decode", expired).stdout

    def test_says_that_a_token_was_revoked(
        self, read: Callable[..., Any], run: Callable[..., Result], access_token: str
    ) -> None:
        run("token", "revoke", access_token)
        assert read("token", "decode", access_token)["is_revoked"] is True
        assert "revoked    yes" in run("token", "decode", access_token).stdout

    def test_cannot_say_whether_another_issuers_token_was_revoked(
        self, read: Callable[..., Any], grant: Grant, access_token_of: Callable[..., str]
    ) -> None:
        decoded = read("token", "decode", access_token_of(grant, issuer="https://other.example"))
        assert decoded["signature_is_valid"] is True
        assert decoded["is_revoked"] is None

    @pytest.mark.parametrize("claims", [b'{"exp": 1e300}', b'{"exp": true}', b'{"exp": "soon"}', b"{}"])
    def test_survives_odd_instants(self, people: Callable[..., Result], claims: bytes) -> None:
        token = jws.generate("ES256").sign(claims, typ="JWT")
        assert "expired    unknown" in people("token", "decode", token).stdout

    def test_escapes_what_could_move_the_cursor(self, people: Callable[..., Result]) -> None:
        token = jws.generate("ES256").sign(b'{"name": "\\u001b[2J\xc2\x9b"}', typ="JWT")
        printed = people("token", "decode", token).stdout
        assert "\x1b" not in printed
        assert "\x9b" not in printed

    @pytest.mark.parametrize("text", ["", "nonsense", "a.b.c", "x" * 20_000])
    def test_refuses_what_is_no_token(
        self, people: Callable[..., Result], refused: Callable[..., str], text: str
    ) -> None:
        assert "token" in refused("token", "decode", "-", text=text)

    def test_refuses_claims_that_are_no_object(
        self, people: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "not a JSON object" in refused("token", "decode", jws.generate("ES256").sign(b"[]", typ="JWT"))


class TestRevokeAccessToken:
    def test_denies_it_and_ends_its_grant(
        self,
        read: Callable[..., Any],
        access_token: str,
        grant: Grant,
        grant_now: Callable[[Grant], Grant],
        is_denied: Callable[[Grant], bool],
    ) -> None:
        assert not is_denied(grant)
        revoked = read("token", "revoke", "-", text=access_token)
        assert revoked == {"kind": "access_token", "jti": "one", "revoked": True, "was_over_before": False}
        assert is_denied(grant)
        assert grant_now(grant).ended_at is not None

    def test_can_be_repeated(self, read: Callable[..., Any], access_token: str) -> None:
        read("token", "revoke", access_token)
        assert read("token", "revoke", access_token)["was_over_before"] is True

    def test_ends_the_grant_of_a_token_that_has_expired(
        self,
        read: Callable[..., Any],
        grant: Grant,
        grant_now: Callable[[Grant], Grant],
        access_token_of: Callable[..., str],
    ) -> None:
        read("token", "revoke", access_token_of(grant, age=700))
        assert grant_now(grant).ended_at is not None

    def test_refuses_a_token_that_another_key_signed(
        self, refused: Callable[..., str], access_token: str, grant: Grant, is_denied: Callable[[Grant], bool]
    ) -> None:
        forged = jws.generate("ES256").sign(jws.take_apart(access_token).payload, typ="at+jwt")
        assert "was not signed by this issuer" in refused("token", "revoke", forged)
        assert not is_denied(grant)

    def test_refuses_a_token_of_another_issuer(
        self,
        refused: Callable[..., str],
        grant: Grant,
        access_token_of: Callable[..., str],
        is_denied: Callable[[Grant], bool],
    ) -> None:
        foreign = access_token_of(grant, issuer="https://other.example")
        assert "no status list of this issuer" in refused("token", "revoke", foreign)
        assert not is_denied(grant)


class TestRevokeRefreshToken:
    def test_ends_its_grant_and_denies_its_access_tokens(
        self,
        read: Callable[..., Any],
        refresh_token: str,
        grant: Grant,
        grant_now: Callable[[Grant], Grant],
        is_denied: Callable[[Grant], bool],
    ) -> None:
        revoked = read("token", "revoke", "-", text=refresh_token + "\n")
        assert revoked["grant_id"] == grant.id
        assert revoked["was_over_before"] is False
        assert grant_now(grant).ended_at is not None
        assert is_denied(grant)

    def test_can_be_repeated(self, read: Callable[..., Any], refresh_token: str) -> None:
        read("token", "revoke", refresh_token)
        assert read("token", "revoke", refresh_token)["was_over_before"] is True

    def test_refuses_one_that_was_not_made_here(
        self, refused: Callable[..., str], refresh_token: str, grant: Grant, grant_now: Callable[[Grant], Grant]
    ) -> None:
        forged = refresh_token[:-1] + ("A" if refresh_token[-1] != "A" else "B")
        assert "was not made here" in refused("token", "revoke", forged)
        assert grant_now(grant).ended_at is None

    def test_proves_one_made_under_an_older_server_secret(
        self, read: Callable[..., Any], source: Source, refresh_token: str
    ) -> None:
        rotation.add_secret(KeyFolder(source.keys), now=1)
        assert read("token", "revoke", refresh_token)["revoked"] is True
