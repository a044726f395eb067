"""The Config OP plan of the OpenID certification: what a client finds out by itself (OpenID Connect Discovery 1.0)."""

import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWKSet

from jwtauth.keyring import rotation
from jwtauth.keyring.folder import KeyFolder
from tests.web.people import Service, running

ISSUER: Final = "https://id.example"
"""What the settings say; the test's own address is that of a server behind a proxy."""

WELL_KNOWN: Final = "/.well-known/openid-configuration"

REQUIRED: Final = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
)
"""Section 3."""

PRIVATE: Final = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
"""Members of a private or symmetric JWK (RFC 7518 section 6)."""

Document = dict[str, Any]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from running(tmp_path_factory.mktemp("service"), issuer=ISSUER)


@pytest.fixture
def metadata(service: Service) -> Document:
    found: Document = service.http.get(WELL_KNOWN).json()
    return found


@pytest.fixture
def keys(service: Service, metadata: Document) -> list[Document]:
    """The JWKS, found by its advertised URI alone."""
    response = service.http.get(metadata["jwks_uri"].removeprefix(ISSUER))
    assert response.status_code == 200
    found: list[Document] = response.json()["keys"]
    return found


class TestDiscovery:
    def test_oidcc_discovery_endpoint_verification(self, service: Service) -> None:
        response = service.http.get(WELL_KNOWN)
        assert response.status_code == 200
        assert response.headers["content-type"].partition(";")[0] == "application/json"
        assert type(response.json()) is dict

    def test_its_address_is_the_issuer_and_the_well_known_path(self, service: Service) -> None:
        response = service.http.get(WELL_KNOWN, headers={"host": urlsplit(ISSUER).netloc})
        assert response.json()["issuer"] == ISSUER

    @pytest.mark.parametrize(
        "headers",
        [
            {"x-forwarded-host": "evil.example", "x-forwarded-proto": "http"},
            {"forwarded": "host=evil.example;proto=http"},
        ],
    )
    def test_the_issuer_is_that_of_the_settings_whatever_a_request_says(
        self, service: Service, headers: dict[str, str]
    ) -> None:
        response = service.http.get(WELL_KNOWN, headers=headers)
        assert response.json()["issuer"] == ISSUER
        assert "evil" not in response.text

    def test_under_the_name_of_another_host_nothing_is_found(self, service: Service) -> None:
        response = service.http.get(WELL_KNOWN, headers={"host": "evil.example"})
        assert response.status_code == 421
        assert "evil" not in response.text

    def test_has_every_required_member(self, metadata: Document) -> None:
        assert {*REQUIRED} <= metadata.keys()

    def test_has_no_member_that_is_null_or_an_empty_list(self, metadata: Document) -> None:
        """RFC 8414 section 3.2: claims with zero elements must be omitted."""
        assert [name for name, value in metadata.items() if value in (None, [], "")] == []

    def test_every_endpoint_is_https_and_of_the_issuer(self, metadata: Document) -> None:
        uris = {name: value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))}
        assert {"userinfo_endpoint", "end_session_endpoint", *REQUIRED[1:4]} <= uris.keys()
        for uri in uris.values():
            parts = urlsplit(uri)
            assert (parts.scheme, parts.netloc) == ("https", urlsplit(ISSUER).netloc)
            assert (parts.query, parts.fragment) == ("", "")

    def test_every_endpoint_exists(self, service: Service, metadata: Document) -> None:
        for name, uri in metadata.items():
            if name.endswith("_endpoint"):
                answers = {
                    service.http.request(method, uri.removeprefix(ISSUER)).status_code for method in ("GET", "POST")
                }
                assert 404 not in answers, name
                assert max(answers) < 500, name

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("response_types_supported", "code"),
            ("subject_types_supported", "public"),
            ("id_token_signing_alg_values_supported", "RS256"),
            ("grant_types_supported", "authorization_code"),
            ("grant_types_supported", "refresh_token"),
            ("code_challenge_methods_supported", "S256"),
            ("token_endpoint_auth_methods_supported", "client_secret_basic"),
            ("token_endpoint_auth_methods_supported", "client_secret_post"),
            ("scopes_supported", "openid"),
            ("scopes_supported", "offline_access"),
            ("claims_supported", "sub"),
            ("claims_supported", "auth_time"),
            ("claim_types_supported", "normal"),
            ("response_modes_supported", "query"),
            ("acr_values_supported", "1"),
            ("ui_locales_supported", "en"),
            ("prompt_values_supported", "none"),
        ],
    )
    def test_lists_what_a_client_looks_for(self, metadata: Document, name: str, value: str) -> None:
        assert type(metadata[name]) is list
        assert value in metadata[name]
        assert len({*metadata[name]}) == len(metadata[name])

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("claims_parameter_supported", True),
            ("request_parameter_supported", False),
            ("request_uri_parameter_supported", False),
            ("authorization_response_iss_parameter_supported", True),
            ("backchannel_logout_supported", True),
            ("backchannel_logout_session_supported", True),
        ],
    )
    def test_says_yes_or_no_as_json_does(self, metadata: Document, name: str, value: bool) -> None:
        assert metadata[name] is value

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("response_types_supported", "token"),
            ("response_types_supported", "id_token"),
            ("grant_types_supported", "implicit"),
            ("code_challenge_methods_supported", "plain"),
            ("id_token_signing_alg_values_supported", "none"),
            ("id_token_signing_alg_values_supported", "HS256"),
        ],
    )
    def test_does_not_advertise_what_is_dangerous_or_not_built(self, metadata: Document, name: str, value: str) -> None:
        assert value not in metadata[name]

    @pytest.mark.parametrize(
        "name",
        [
            "registration_endpoint",
            "pushed_authorization_request_endpoint",
            "check_session_iframe",
            "frontchannel_logout_supported",
            "device_authorization_endpoint",
        ],
    )
    def test_does_not_name_what_does_not_exist(self, metadata: Document, name: str) -> None:
        assert name not in metadata

    def test_agrees_with_the_oauth_document(self, service: Service, metadata: Document) -> None:
        """RFC 8414 section 5: whoever reads one of the two must learn the same."""
        oauth = service.http.get("/.well-known/oauth-authorization-server").json()
        assert {name: metadata.get(name) for name in oauth} == oauth

    def test_may_be_read_by_any_script(self, service: Service) -> None:
        for path in (WELL_KNOWN, "/.well-known/jwks.json"):
            assert (
                service.http.get(path, headers={"origin": "https://spa.example"}).headers["access-control-allow-origin"]
                == "*"
            )


class TestKeys:  # "What the server needs", 7
    def test_need_7_are_public_and_none_is_symmetric(self, keys: list[Document]) -> None:
        for key in keys:
            assert key["kty"] in ("RSA", "EC", "OKP")
            assert not PRIVATE.intersection(key)

    def test_need_7_have_names_of_their_own(self, keys: list[Document]) -> None:
        kids = [key["kid"] for key in keys]
        assert all(kids)
        assert len({*kids}) == len(kids)

    def test_need_7_are_valid_and_long_enough(self, keys: list[Document]) -> None:
        lengths = [key.key_size for key in map(_rsa, keys) if key is not None]
        assert lengths
        assert min(lengths) >= 2048
        assert len(PyJWKSet.from_dict({"keys": keys}).keys) == len(keys)

    def test_need_7_say_what_they_are_for(self, keys: list[Document], metadata: Document) -> None:
        assert {key["use"] for key in keys} == {"sig"}
        assert {*metadata["id_token_signing_alg_values_supported"]} <= {key["alg"] for key in keys}

    def test_need_7_stay_after_a_rotation(self, service: Service, keys: list[Document], metadata: Document) -> None:
        folder = KeyFolder(service.home.source.keys)
        new = rotation.rotate(folder, "RS256", now=int(time.time()), publish_in=0)
        service.home.ask(lambda store: store.administration.announce_keys())
        published = service.http.get(metadata["jwks_uri"].removeprefix(ISSUER)).json()["keys"]
        assert {key["kid"] for key in published} == {new.kid, *(key["kid"] for key in keys)}


def _rsa(key: Document) -> RSAPublicKey | None:
    found = PyJWK.from_dict(key).key
    return found if isinstance(found, RSAPublicKey) else None
