"""Discovery: RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3, SECURITY H-09 and H-10."""

from typing import Any

import msgspec
import pytest

from jwtauth.protocol import metadata, requested_claims
from jwtauth.protocol.metadata import AuthorizationServer
from jwtauth.protocol.profile import CLAIMS
from jwtauth.protocol.records import AuthMethod, GrantType
from tests.protocol.records import ISSUER

LANGUAGES = ("en", "de")
ALGORITHMS = ("ES256", "RS256")
ISSUERS = pytest.mark.parametrize("issuer", [ISSUER, "https://issuer.example/t1", "http://127.0.0.1:8000"])


def plain(issuer: str = ISSUER) -> dict[str, Any]:
    return decoded(metadata.authorization_server(issuer, languages=LANGUAGES))


def openid(issuer: str = ISSUER, *, algorithms: tuple[str, ...] = ALGORITHMS) -> dict[str, Any]:
    return decoded(metadata.openid_provider(issuer, languages=LANGUAGES, algorithms=algorithms))


def decoded(record: AuthorizationServer) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return found


def urls(document: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}


class TestAuthorizationServer:  # RFC 8414 section 2
    @ISSUERS
    def test_repeats_the_issuer_and_begins_every_url_with_it(self, issuer: str) -> None:
        assert plain(issuer)["issuer"] == issuer
        required = {"authorization_endpoint", "token_endpoint", "jwks_uri"}
        assert required | {"introspection_endpoint", "revocation_endpoint"} <= urls(plain(issuer)).keys()
        assert all(url.startswith(issuer + "/") for url in urls(plain(issuer)).values())

    def test_has_what_rfc_8414_requires(self) -> None:
        assert {"issuer", "response_types_supported"} <= plain().keys()

    def test_advertises_exactly_the_grants_that_every_client_may_register(self) -> None:
        """Passwords and foreign tokens are for clients that opted in; discovery names neither (SECURITY H-09)."""
        assert {*plain()["grant_types_supported"]} == {*GrantType} - {GrantType.PASSWORD, GrantType.EXTERNAL_TOKEN}

    def test_asks_for_codes_by_s256_and_says_who_answers(self) -> None:  # RFC 7636 section 4.2, RFC 9207 section 3
        assert plain()["response_types_supported"] == ["code"]
        assert plain()["code_challenge_methods_supported"] == ["S256"]
        assert plain()["authorization_response_iss_parameter_supported"] is True

    def test_lets_no_public_client_introspect(self) -> None:
        assert "none" not in plain()["introspection_endpoint_auth_methods_supported"]

    def test_names_the_languages_of_the_pages(self) -> None:
        assert plain()["ui_locales_supported"] == ["en", "de"]

    def test_leaves_openids_members_out(self) -> None:
        members = {"subject_types_supported", "userinfo_endpoint", "end_session_endpoint", "claims_supported"}
        assert not members & plain().keys()


class TestBoth:
    @pytest.mark.parametrize("document", [plain(), openid()], ids=["plain", "openid"])
    def test_h_09_advertise_nothing_dangerous(self, document: dict[str, Any]) -> None:
        """Implicit is for clients that opted in; nobody should come upon it by discovery."""
        text = msgspec.json.encode(document).decode()
        assert not [word for word in ("implicit", "plain", "HS256", '"token"', "fragment") if word in text]
        unsigned = [value for name, value in document.items() if "_alg_values_" in name or "_methods_" in name]
        assert not [value for value in unsigned if "none" in value and value != list(AuthMethod)]


class TestOpenidProvider:  # OpenID Connect Discovery 1.0 section 3
    @ISSUERS
    def test_says_the_same_and_more(self, issuer: str) -> None:
        assert plain(issuer).items() <= openid(issuer).items()
        assert urls(openid(issuer)).keys() - urls(plain(issuer)).keys() == {
            "userinfo_endpoint",
            "end_session_endpoint",
        }
        assert all(url.startswith(issuer + "/") for url in urls(openid(issuer)).values())

    def test_has_what_openid_requires(self) -> None:
        required = {
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
            "jwks_uri",
            "response_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
        }
        assert required <= openid().keys()

    @pytest.mark.parametrize("there", [ALGORITHMS, ("RS256",), ("EdDSA", "ES256", "PS256", "RS256"), ()], ids=str)
    def test_h_10_advertises_the_algorithms_that_there_are_keys_for(self, there: tuple[str, ...]) -> None:
        assert sorted(openid(algorithms=there)["id_token_signing_alg_values_supported"]) == sorted(there)

    def test_names_every_claim_that_userinfo_and_id_tokens_have(self) -> None:
        claims = openid()["claims_supported"]
        assert {*CLAIMS, "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "sid"} <= {*claims}
        assert len(claims) == len({*claims})

    def test_names_the_scope_values_with_a_meaning(self) -> None:
        assert {*openid()["scopes_supported"]} == {"openid", "profile", "email", "address", "phone", "offline_access"}

    def test_says_what_happens_to_request_objects_and_claims(self) -> None:
        """Left out, `request_uri_parameter_supported` would mean true."""
        document = openid()
        assert document["request_parameter_supported"] is False
        assert document["request_uri_parameter_supported"] is False
        assert document["claims_parameter_supported"] is True
        assert document["acr_values_supported"] == [requested_claims.ACR]

    def test_promises_to_tell_of_logouts(self) -> None:  # OpenID Connect Back-Channel Logout 1.0 section 2.1
        assert openid()["backchannel_logout_supported"] is True
        assert openid()["backchannel_logout_session_supported"] is True
