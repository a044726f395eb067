"""Discovery: RFC 8414 section 2, OpenID Connect Discovery 1.0 section 3, SECURITY H-09 and H-10."""

from typing import Any

import msgspec
import pytest

from jwtauth.protocol import metadata
from jwtauth.protocol.metadata import AuthorizationServer
from jwtauth.protocol.records import GrantType
from tests.protocol.records import ISSUER


def document(record: AuthorizationServer) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return decoded


class TestAuthorizationServer:
    @pytest.mark.parametrize("issuer", [ISSUER, "https://issuer.example/t1", "http://127.0.0.1:8000"])
    def test_repeats_the_issuer_and_begins_every_url_with_it(self, issuer: str) -> None:
        found = document(metadata.authorization_server(issuer))
        urls = [value for name, value in found.items() if name.endswith(("_endpoint", "_uri"))]
        assert found["issuer"] == issuer
        assert len(urls) == 4
        assert all(url.startswith(issuer + "/") for url in urls)

    def test_has_what_rfc_8414_requires(self) -> None:
        assert {"issuer", "response_types_supported"} <= document(metadata.authorization_server(ISSUER)).keys()

    def test_advertises_exactly_the_grants_that_exist(self) -> None:
        found = document(metadata.authorization_server(ISSUER))
        assert sorted(found["grant_types_supported"]) == sorted(GrantType)

    def test_lets_no_public_client_introspect(self) -> None:
        found = document(metadata.authorization_server(ISSUER))
        assert "none" not in found["introspection_endpoint_auth_methods_supported"]

    def test_advertises_nothing_dangerous(self) -> None:
        text = msgspec.json.encode(metadata.authorization_server(ISSUER)).decode()
        assert not [word for word in ("implicit", "plain", "HS256", '"token"') if word in text]

    def test_leaves_openids_members_out(self) -> None:
        assert "subject_types_supported" not in document(metadata.authorization_server(ISSUER))


class TestOpenidProvider:
    def test_says_the_same_and_what_openid_requires_beside_it(self) -> None:
        plain, openid = document(metadata.authorization_server(ISSUER)), document(metadata.openid_provider(ISSUER))
        added = {"subject_types_supported": ["public"], "id_token_signing_alg_values_supported": []}
        assert openid == {**plain, **added}
