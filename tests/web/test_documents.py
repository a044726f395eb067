"""Documents that anybody may read: RFC 8414, RFC 7517, OpenAPI (SECURITY H-01, H-02, H-09, J-06, K-05)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from jwtauth.dialects.dialect import Where
from jwtauth.dialects.standard import DIALECT
from jwtauth.web.publications import PUBLICATIONS
from tests.support import plain
from tests.support.home import SECRET, Home
from tests.support.live import LiveServer, free_port
from tests.web.site import Site, assert_refused, basic, claims_of, decoded

DISCOVERY = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
POISON = [
    {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "444"},
    {"Forwarded": "host=evil.example;proto=https;for=1.2.3.4"},
    {"X-Forwarded-Prefix": "/evil", "X-Script-Name": "/evil", "X-Original-URL": "/evil", "X-Rewrite-URL": "/evil"},
    {"X-Forwarded-For": "1.2.3.4", "X-Real-IP": "1.2.3.4", "X-Http-Method-Override": "DELETE"},
]
FOREIGN_HOSTS = (
    "evil.example",
    "evil.example:PORT",
    "evil.example:99999",
    "127.0.0.1:1",
    "127.0.0.1:PORT.evil.example",
    "127.0.0.1:PORT, evil.example",
    "evil.example@127.0.0.1:PORT",
    "127.0.0.2:PORT",
    "localhost.:PORT",
    "",
)


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
        posted = {endpoint.path for endpoint in DIALECT.endpoints if "POST" in endpoint.methods}
        for name, url in document.items():
            if name.endswith("_endpoint"):
                response = site.http.request("POST" if urlsplit(url).path in posted else "GET", url)
                assert response.status_code in (200, 400, 401), name
        assert site.http.get(document["jwks_uri"]).status_code == 200

    def test_h_09_advertises_every_endpoint_that_has_a_name_there(self, site: Site) -> None:
        document = site.http.get(DISCOVERY[1]).json()
        advertised = {urlsplit(url).path for name, url in document.items() if name.endswith("_endpoint")}
        spring_and_connexion = {"/oauth/check_token", "/oauth/tokeninfo"}
        assert {endpoint.path for endpoint in DIALECT.endpoints} - advertised == spring_and_connexion
        assert {"/oauth/authorize", "/oauth/logout"} <= advertised

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
        assert document["response_types_supported"] == ["code"]

    def test_h_10_advertises_the_algorithms_of_the_published_keys(self, site: Site) -> None:
        advertised = site.http.get(DISCOVERY[1]).json()["id_token_signing_alg_values_supported"]
        published = [key["alg"] for key in site.http.get("/.well-known/jwks.json").json()["keys"]]
        assert "RS256" in advertised, "OpenID Connect Discovery 1.0 section 3 demands it"
        assert sorted(advertised) == sorted(published)

    def test_says_the_same_in_both_documents(self, site: Site) -> None:
        plain, openid = (site.http.get(path).json() for path in DISCOVERY)
        assert plain.items() <= openid.items()

    def test_names_languages_in_which_pages_come(self, site: Site) -> None:
        for language in site.http.get(DISCOVERY[1]).json()["ui_locales_supported"]:
            page = site.http.get("/oauth/authorize", params={"ui_locales": language})
            assert page.headers["content-language"] == language

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
    def test_j_06_holds_public_keys_only_each_with_its_own_kid(self, site: Site) -> None:
        response = site.http.get("/.well-known/jwks.json")
        assert response.headers["content-type"] == "application/jwk-set+json"
        keys: list[dict[str, str]] = response.json()["keys"]
        assert {(key["use"], key["alg"], key["kty"]) for key in keys} == {
            ("sig", "ES256", "EC"),
            ("sig", "RS256", "RSA"),
        }
        assert not [key for key in keys if PRIVATE & set(key)]
        assert len({key["kid"] for key in keys}) == len(keys)

    def test_holds_the_key_that_signs(self, site: Site) -> None:
        algorithms = {key["kid"]: key["alg"] for key in site.http.get("/.well-known/jwks.json").json()["keys"]}
        header = json.loads(decoded(site.machine().split(".")[0]))
        assert algorithms[header["kid"]] == header["alg"] == "ES256"


def unnamed(response: httpx.Response) -> str:
    """A body without the reference to its request, which an error page shows."""
    return response.text.replace(response.headers.get("x-request-id", "\x00"), "")


class TestPoisonedHeaders:
    @pytest.mark.parametrize("headers", POISON, ids=str)
    @pytest.mark.parametrize(
        "path",
        [*DISCOVERY, "/.well-known/jwks.json", "/openapi.json", "/", "/healthz", "/oauth/authorize", "/oauth/logout"],
    )
    def test_h_01_change_no_document(self, site: Site, path: str, headers: dict[str, str]) -> None:
        poisoned = site.http.get(path, headers=headers)
        assert unnamed(poisoned) == unnamed(site.http.get(path))
        assert "evil" not in poisoned.text + str(poisoned.headers)

    @pytest.mark.parametrize("headers", POISON, ids=str)
    def test_h_01_change_no_token_and_no_refusal(self, site: Site, headers: dict[str, str]) -> None:
        claims = claims_of(site.granted({"grant_type": "client_credentials"}, headers=headers)["access_token"])
        assert claims["iss"] == site.server.url
        assert "evil" not in str(claims)
        refused = site.token({"grant_type": "x"}, headers=headers)
        assert "evil" not in refused.text + str(refused.headers)


class TestAForeignHost:
    @pytest.mark.parametrize("host", FOREIGN_HOSTS)
    @pytest.mark.parametrize("path", ["/", "/login", "/oauth/token", "/oauth/status", DISCOVERY[0], "/no/such/path"])
    def test_h_01_is_misdirected(self, site: Site, path: str, host: str) -> None:
        """Else a page of another name that was pointed at this address could read what is answered (DNS rebinding)."""
        response = site.http.get(path, headers={"Host": host.replace("PORT", str(site.server.port))})
        assert_refused(response, 421, "invalid_request")
        assert "evil" not in response.text + str(response.headers)

    @pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT", "LocalHost:PORT", "[::1]:PORT"])
    def test_is_none_of_the_names_of_the_address_that_is_listened_on(self, site: Site, host: str) -> None:
        """Proxies like to send it; the answer is the same, whatever the name."""
        response = site.http.get(DISCOVERY[0], headers={"Host": host.replace("PORT", str(site.server.port))})
        assert (response.status_code, response.json()["issuer"]) == (200, site.server.url)

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    def test_may_ask_whether_the_service_lives(self, site: Site, path: str) -> None:
        assert site.http.get(path, headers={"Host": "10.1.2.3:8080"}).status_code == 200


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The identifier of a running issuer that has a path."""
    port = free_port()
    path: Path = tmp_path_factory.mktemp("tenant")
    home = Home(path, issuer=f"http://127.0.0.1:{port}/t1")
    home.client("service")
    with LiveServer(path, port=port):
        yield home.source.settings.issuer


class TestAnIssuerWithAPath:  # RFC 8414 section 3.1
    @pytest.mark.parametrize("name", DISCOVERY)
    def test_k_05_answers_at_both_well_known_forms(self, issuer: str, name: str) -> None:
        before, after = issuer.removesuffix("/t1") + name + "/t1", issuer + name
        documents: list[dict[str, Any]] = [plain.get(url).json() for url in (before, after)]
        assert documents[0] == documents[1]
        assert documents[0]["issuer"] == issuer
        assert documents[0]["token_endpoint"] == f"{issuer}/oauth/token"
        assert plain.get(documents[0]["jwks_uri"]).json()["keys"]

    def test_k_05_issues_and_knows_its_tokens_below_that_path_only(self, issuer: str) -> None:
        headers = {"Authorization": basic("service", SECRET)}
        form = {"grant_type": "client_credentials"}
        token = plain.post(f"{issuer}/oauth/token", data=form, headers=headers).json()["access_token"]
        assert claims_of(token)["iss"] == issuer
        assert plain.get(f"{issuer}/oauth/tokeninfo", params={"access_token": token}).status_code == 200
        root = issuer.removesuffix("/t1")
        assert plain.post(f"{root}/oauth/token", data=form, headers=headers).status_code == 404
        assert plain.get(root + DISCOVERY[0]).status_code == 404


class TestOpenApi:
    def test_describes_every_machines_endpoint_as_it_is_routed(self, site: Site) -> None:
        document = site.http.get("/openapi.json").json()
        assert document["openapi"].startswith("3.1")
        for endpoint in DIALECT.endpoints:
            operations = document["paths"][endpoint.path]
            assert sorted(operations) == sorted(method.lower() for method in endpoint.methods)
            names = [field.name for field in endpoint.fields]
            if endpoint.parameters is Where.FORM:
                schema = operations["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
                assert list(schema["properties"]) == names
                assert schema["required"] == [field.name for field in endpoint.fields if field.is_required]
            else:
                assert [given["name"] for given in operations["get"]["parameters"]] == names
        for publication in PUBLICATIONS:
            assert list(document["paths"][publication.path]) == ["get"]

    def test_has_no_body_for_a_get(self, site: Site) -> None:
        for operations in site.http.get("/openapi.json").json()["paths"].values():
            assert "requestBody" not in operations.get("get", {})

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
