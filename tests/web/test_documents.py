"""Documents that anybody may read: RFC 8414, RFC 7517, OpenAPI (SECURITY H-01, H-02, H-09, J-06, K-05)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from jwtauth.web.api import ENDPOINTS, PUBLICATIONS, Where
from tests.support.home import SECRET, Home
from tests.support.live import LiveServer, free_port
from tests.web.site import Site, basic, claims_of

DISCOVERY = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
POISON = [
    {"Host": "evil.example"},
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "444"},
    {"Forwarded": "host=evil.example;proto=https;for=1.2.3.4"},
    {"X-Forwarded-Prefix": "/evil", "X-Script-Name": "/evil", "X-Original-URL": "/evil", "X-Rewrite-URL": "/evil"},
    {"X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4", "X-Http-Method-Override": "DELETE"},
    {"Host": "evil.example:99999"},
]


class TestDiscovery:  # RFC 8414 sections 2 and 3
    @pytest.mark.parametrize("path", DISCOVERY)
    def test_names_the_issuer_exactly_and_only_its_own_urls(self, site: Site, path: str) -> None:
        document = site.http.get(path).json()
        assert document["issuer"] == site.server.url
        urls = [value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))]
        assert urls
        assert all(url.startswith(site.server.url + "/") for url in urls)

    @pytest.mark.parametrize("path", DISCOVERY)
    def test_h_09_advertises_what_is_routed_and_nothing_else(self, site: Site, path: str) -> None:
        document = site.http.get(path).json()
        routed = {endpoint.path: endpoint.method for endpoint in ENDPOINTS}
        for name, url in document.items():
            if name.endswith("_endpoint"):
                response = site.http.request(routed[urlsplit(url).path], url)
                assert response.status_code in (400, 401), name
        assert site.http.get(document["jwks_uri"]).status_code == 200

    def test_h_09_advertises_grants_and_methods_that_work(self, site: Site) -> None:
        document = site.http.get(DISCOVERY[0]).json()
        for grant_type in document["grant_types_supported"]:
            answer = site.token({"grant_type": grant_type}).json()
            assert answer.get("error") != "unsupported_grant_type"
        assert set(document["token_endpoint_auth_methods_supported"]) == {
            "client_secret_basic",
            "client_secret_post",
            "none",
        }
        assert "none" not in document["introspection_endpoint_auth_methods_supported"]
        assert document["response_types_supported"] == []

    @pytest.mark.parametrize("path", [*DISCOVERY, "/.well-known/jwks.json"])
    def test_may_be_cached_and_read_by_any_page_without_credentials(self, site: Site, path: str) -> None:
        response = site.http.get(path, headers={"Origin": "https://evil.example"})
        assert response.headers["cache-control"] == "public, max-age=300"
        assert response.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in response.headers
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in response.headers

    @pytest.mark.parametrize("path", [*DISCOVERY, "/.well-known/jwks.json"])
    def test_is_a_get_or_head(self, site: Site, path: str) -> None:
        head = site.http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(site.http.get(path).content))
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            assert site.http.request(method, path).status_code == 405


class TestJwks:  # RFC 7517 section 5
    def test_holds_public_keys_only_each_with_its_own_kid(self, site: Site) -> None:
        response = site.http.get("/.well-known/jwks.json")
        assert response.headers["content-type"] == "application/jwk-set+json"
        keys: list[dict[str, str]] = response.json()["keys"]
        assert keys
        for key in keys:
            assert not PRIVATE & set(key)
            assert (key["use"], key["alg"], key["kty"]) == ("sig", "ES256", "EC")
        assert len({key["kid"] for key in keys}) == len(keys)

    def test_holds_the_key_that_signs(self, site: Site) -> None:
        kids = {key["kid"] for key in site.http.get("/.well-known/jwks.json").json()["keys"]}
        jar = httpx.get(site.server.url + "/.well-known/jwks.json").json()
        assert {key["kid"] for key in jar["keys"]} == kids


class TestPoisonedHeaders:  # SECURITY H-01
    @pytest.mark.parametrize("headers", POISON, ids=str)
    @pytest.mark.parametrize("path", [*DISCOVERY, "/.well-known/jwks.json", "/openapi.json", "/", "/healthz"])
    def test_change_no_document(self, site: Site, path: str, headers: dict[str, str]) -> None:
        poisoned = site.http.get(path, headers=headers)
        assert poisoned.content == site.http.get(path).content
        assert "evil" not in poisoned.text + str(poisoned.headers)

    @pytest.mark.parametrize("headers", POISON, ids=str)
    def test_change_no_token_and_no_refusal(self, site: Site, headers: dict[str, str]) -> None:
        claims = claims_of(site.granted({"grant_type": "client_credentials"}, headers=headers)["access_token"])
        assert claims["iss"] == site.server.url
        assert "evil" not in str(claims)
        refused = site.token({"grant_type": "x"}, headers=headers)
        assert "evil" not in refused.text + str(refused.headers)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The identifier of a running issuer that has a path."""
    port = free_port()
    path: Path = tmp_path_factory.mktemp("tenant")
    home = Home(path, issuer=f"http://127.0.0.1:{port}/t1")
    home.client("service")
    with LiveServer(path, port=port):
        yield home.source.settings.issuer


class TestAnIssuerWithAPath:  # RFC 8414 section 3.1, SECURITY K-05
    @pytest.mark.parametrize("name", DISCOVERY)
    def test_answers_at_both_well_known_forms(self, issuer: str, name: str) -> None:
        before, after = issuer.removesuffix("/t1") + name + "/t1", issuer + name
        documents: list[dict[str, Any]] = [httpx.get(url).json() for url in (before, after)]
        assert documents[0] == documents[1]
        assert documents[0]["issuer"] == issuer
        assert documents[0]["token_endpoint"] == f"{issuer}/oauth/token"
        assert httpx.get(documents[0]["jwks_uri"]).json()["keys"]

    def test_issues_and_knows_its_tokens_below_that_path_only(self, issuer: str) -> None:
        headers = {"Authorization": basic("service", SECRET)}
        form = {"grant_type": "client_credentials"}
        token = httpx.post(f"{issuer}/oauth/token", data=form, headers=headers).json()["access_token"]
        assert claims_of(token)["iss"] == issuer
        assert httpx.get(f"{issuer}/oauth/tokeninfo", params={"access_token": token}).status_code == 200
        root = issuer.removesuffix("/t1")
        assert httpx.post(f"{root}/oauth/token", data=form, headers=headers).status_code == 404
        assert httpx.get(root + DISCOVERY[0]).status_code == 404


class TestOpenApi:
    def test_describes_every_machines_endpoint_as_it_is_routed(self, site: Site) -> None:
        document = site.http.get("/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        for endpoint in ENDPOINTS:
            (method,) = document["paths"][endpoint.path]
            assert method == endpoint.method.lower()
            operation = document["paths"][endpoint.path][method]
            if endpoint.parameters is Where.FORM:
                schema = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
                assert list(schema["properties"]) == [field.name for field in endpoint.fields]
                assert schema["required"] == [field.name for field in endpoint.fields if field.is_required]
            else:
                assert [given["name"] for given in operation["parameters"]] == [field.name for field in endpoint.fields]
        for publication in PUBLICATIONS:
            assert list(document["paths"][publication.path]) == ["get"]

    def test_describes_nothing_that_is_not_there(self, site: Site) -> None:
        for path, operations in site.http.get("/openapi.json").json()["paths"].items():
            for method in operations:
                assert site.http.request(method.upper(), path).status_code not in (404, 405), path

    def test_refers_to_nothing_that_is_missing(self, site: Site) -> None:
        document = site.http.get("/openapi.json").json()
        names = set(document["components"]["schemas"])
        for reference in _references(document):
            assert reference.removeprefix("#/components/schemas/") in names
        operations = [op for operations in document["paths"].values() for op in operations.values()]
        assert len({operation["operationId"] for operation in operations}) == len(operations)

    def test_describes_the_members_that_are_given(self, site: Site) -> None:
        schemas = site.http.get("/openapi.json").json()["components"]["schemas"]
        granted = site.person()
        assert set(granted) <= set(schemas["TokenAnswer"]["properties"])
        told = site.post("/oauth/introspect", {"token": granted["access_token"]}).json()
        assert set(told) <= set(schemas["Active"]["properties"])

    def test_brings_no_page_with_foreign_scripts(self, site: Site) -> None:
        for path in ("/schema", "/schema/swagger", "/schema/redoc", "/schema/elements", "/schema/rapidoc"):
            assert "<script" not in site.http.get(path).text


def _references(node: Any) -> Iterator[str]:
    match node:
        case dict():
            if isinstance(node.get("$ref"), str):
                yield node["$ref"]
            for child in node.values():
                yield from _references(child)
        case list():
            for child in node:
                yield from _references(child)
