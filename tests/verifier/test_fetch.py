"""Fetching metadata and keys (RFC 8414 section 3): bounded, and only from where keys may come."""

import logging
import time

import pytest

from jwtauth.verifier import KeysUnavailable, fetch
from tests.verifier.issuing import JWKS, METADATA, Answer, Issuing


def assert_unavailable(issuing: Issuing, message: str, **options: str) -> None:
    with pytest.raises(KeysUnavailable, match=message):
        issuing.verifier(status=False, **options).verify(issuing.token())


class TestDiscovery:
    def test_asks_for_the_metadata_first(self, issuing: Issuing) -> None:
        issuing.verifier(status=False).verify(issuing.token())
        assert issuing.requests == [METADATA, JWKS]

    def test_puts_the_well_known_part_between_host_and_path(self) -> None:
        issuing = Issuing(path="/tenant/one")
        issuing.verifier(status=False).verify(issuing.token())
        assert issuing.requests == [METADATA + "/tenant/one", JWKS]
        issuing.stop()

    def test_is_not_needed_where_the_location_is_given(self, issuing: Issuing) -> None:
        issuing.verifier(status=False, jwks_uri=issuing.jwks_uri).verify(issuing.token())
        assert issuing.requests == [JWKS]

    @pytest.mark.parametrize("change", ["{}/", "{}.evil.example", "https://evil.example", ""])
    def test_refuses_metadata_of_another_issuer(self, issuing: Issuing, change: str) -> None:
        issuing.metadata = {"issuer": change.format(issuing.issuer)}
        assert_unavailable(issuing, "another issuer")
        assert issuing.fetches == 0

    @pytest.mark.parametrize("uri", ["http://127.0.0.1:1/jwks", "http://evil.example/jwks", "file:///etc/passwd", ""])
    def test_refuses_keys_from_elsewhere_without_https(self, issuing: Issuing, uri: str) -> None:
        issuing.metadata = {"jwks_uri": uri}
        assert_unavailable(issuing, "jwks_uri")

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>", b"\xff", b"[" * 100_000, b'{"issuer":1}'])
    def test_refuses_what_is_no_metadata(self, issuing: Issuing, body: bytes) -> None:
        issuing.answers[METADATA] = Answer(body=body)
        assert_unavailable(issuing, "is no metadata")

    def test_notices_that_the_keys_moved(self, issuing: Issuing) -> None:
        verifier = issuing.verifier(status=False)
        verifier.verify(issuing.token())
        issuing.metadata = {"jwks_uri": issuing.origin + "/moved"}
        issuing.rotate()
        issuing.answers["/moved"] = issuing.answer(JWKS)
        assert verifier.verify(issuing.token()).jti == "t-1"


class TestAnswer:
    @pytest.mark.parametrize("path", [METADATA, JWKS])
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_that_redirects_is_not_followed(self, issuing: Issuing, path: str, status: int) -> None:
        issuing.answers[path] = Answer(status, headers={"Location": issuing.origin + "/elsewhere"})
        issuing.answers["/elsewhere"] = issuing.answer(JWKS)
        assert_unavailable(issuing, f"answered {status}")
        assert "/elsewhere" not in issuing.requests

    @pytest.mark.parametrize("status", [201, 204, 400, 404, 500, 503])
    def test_that_is_not_ok_is_refused(self, issuing: Issuing, status: int) -> None:
        issuing.answers[JWKS] = Answer(status, body=b'{"keys":[]}' if status != 204 else b"")
        assert_unavailable(issuing, f"answered {status}")

    @pytest.mark.parametrize("path", [METADATA, JWKS])
    def test_that_is_huge_is_refused(self, issuing: Issuing, path: str) -> None:
        issuing.answers[path] = Answer(body=issuing.answer(path).body + b" " * (1 << 20))
        assert_unavailable(issuing, "is longer than 1048576 bytes")

    def test_may_be_as_long_as_the_bound(self, issuing: Issuing) -> None:
        body = issuing.answer(JWKS).body
        issuing.answers[JWKS] = Answer(body=body + b" " * ((1 << 20) - len(body)))
        assert issuing.verifier(status=False).verify(issuing.token()).jti == "t-1"

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[', b"<html>", b"\xff\xff"])
    def test_that_is_no_jwk_set_is_refused(self, issuing: Issuing, body: bytes) -> None:
        issuing.answers[JWKS] = Answer(body=body)
        assert_unavailable(issuing, "is not a JWK Set")

    def test_that_takes_too_long_is_given_up(self, issuing: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetch, "TIMEOUT_IN", 0.3)
        issuing.gate.clear()
        started_at = time.monotonic()
        assert_unavailable(issuing, "cannot be had")
        assert time.monotonic() - started_at < 3

    def test_that_drips_is_given_up_as_well(self, issuing: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each byte arrives in time; the whole does not."""
        monkeypatch.setattr(fetch, "TIMEOUT_IN", 0.3)
        issuing.drip = True
        started_at = time.monotonic()
        assert_unavailable(issuing, "took longer than")
        assert time.monotonic() - started_at < 3
        issuing.drip = False

    def test_of_a_plain_issuer_does_not_come_through_a_proxy(
        self, issuing: Issuing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        assert issuing.verifier(status=False).verify(issuing.token()).jti == "t-1"


class TestFailure:
    def test_is_logged_for_the_operator(self, issuing: Issuing, caplog: pytest.LogCaptureFixture) -> None:
        issuing.answers[JWKS] = Answer(500)
        with caplog.at_level(logging.WARNING, logger="jwtauth.verifier"):
            assert_unavailable(issuing, "answered 500")
        assert f"the keys of {issuing.issuer} cannot be had" in caplog.text
