"""Where an issuer keeps what (RFC 8414 sections 2 and 3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.verifier import locations

ISSUER = "https://id.example.com"


class TestIssuer:
    @pytest.mark.parametrize(
        "issuer",
        [ISSUER, ISSUER + ":8443", ISSUER + "/tenant", "http://127.0.0.1:8000", "http://127.9.9.9", "http://[::1]:80"],
    )
    def test_may_be_https_or_a_literal_loopback_address(self, issuer: str) -> None:
        locations.require_issuer(issuer)

    @pytest.mark.parametrize(
        "issuer",
        [
            "http://id.example.com",
            "http://localhost",
            "http://10.0.0.1",
            "http://127.0.0.1.evil.example",
            "http://[::]",
            "http://0.0.0.0:8000",
            "http://127.1",
        ],
    )
    def test_must_not_be_http_elsewhere(self, issuer: str) -> None:
        with pytest.raises(ValueError, match="issuer: must be https"):
            locations.require_issuer(issuer)

    @pytest.mark.parametrize(
        "issuer",
        [
            "",
            "id.example.com",
            "ftp://id.example.com",
            "https://",
            "https:///x",
            ISSUER + "/",
            ISSUER + "/a/",
            ISSUER + "?",
            ISSUER + "?a=b",
            ISSUER + "#",
            ISSUER + "#a",
            "https://user@id.example.com",
            "https://[::1",
            "https://id.example.com:99999",
            "https://id.example.com:x",
            ISSUER + "/a b",
            ISSUER + "\n",
            "https://é.fr",
            "http://127.0.0.1:8000@evil.example",
            "http://127.0.0.1:8000\\@evil.example",
        ],
    )
    def test_must_have_no_other_parts(self, issuer: str) -> None:
        with pytest.raises(ValueError, match="issuer: expected"):
            locations.require_issuer(issuer)

    @given(issuer=st.text())
    def test_of_any_text_is_refused_by_name(self, issuer: str) -> None:
        with pytest.raises(ValueError, match=r"^issuer: "):
            locations.require_issuer(issuer)


class TestMetadata:  # RFC 8414 section 3.1
    @pytest.mark.parametrize(
        ("issuer", "uri"),
        [
            ("https://example.com", "https://example.com/.well-known/oauth-authorization-server"),
            ("https://example.com/issuer1", "https://example.com/.well-known/oauth-authorization-server/issuer1"),
            ("https://example.com:1/a/b", "https://example.com:1/.well-known/oauth-authorization-server/a/b"),
        ],
    )
    def test_is_between_host_and_path(self, issuer: str, uri: str) -> None:
        assert locations.metadata_uri(issuer) == uri


class TestJwksUri:
    @pytest.mark.parametrize(
        ("issuer", "jwks_uri"),
        [
            (ISSUER, ISSUER + "/jwks"),
            (ISSUER, "https://cdn.example.net/jwks?v=1"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/jwks"),
            ("http://127.0.0.1", "http://127.0.0.1:80/jwks"),
            ("http://127.0.0.1:8000", "https://id.example.com/jwks"),
        ],
    )
    def test_may_be_https_or_of_the_same_origin(self, issuer: str, jwks_uri: str) -> None:
        locations.require_jwks_uri(jwks_uri, issuer=issuer)

    @pytest.mark.parametrize(
        ("issuer", "jwks_uri"),
        [
            (ISSUER, "http://id.example.com/jwks"),
            (ISSUER, "http://127.0.0.1:8000/jwks"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8001/jwks"),
            ("http://127.0.0.1:8000", "http://127.0.0.2:8000/jwks"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000@evil.example/jwks"),
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000\\@evil.example/jwks"),
            ("http://127.0.0.1:8000", "/jwks"),
            (ISSUER, "file:///etc/passwd"),
            (ISSUER, ""),
        ],
    )
    def test_must_not_be_anything_else(self, issuer: str, jwks_uri: str) -> None:
        with pytest.raises(ValueError, match=r"^jwks_uri: "):
            locations.require_jwks_uri(jwks_uri, issuer=issuer)
