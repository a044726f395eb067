"""Scripts of other origins: registered clients' may call what their client needs (Fetch section 3.2, SECURITY H-02)."""

from collections.abc import Iterator

import httpx
import pytest

from jwtauth.dialects.standard import DIALECT
from jwtauth.web.publications import PUBLICATIONS
from tests.support.home import SECRET
from tests.support.person import redemption
from tests.web.people import Service, running
from tests.web.site import assert_refused, basic

OPEN = ("/oauth/token", "/oauth/userinfo", "/oauth/revoke")
"""What a script in a browser needs of its issuer, once its person has signed in."""

CLOSED = sorted({endpoint.path for endpoint in DIALECT.endpoints} - {*OPEN})
PAGES = ["/", *(route.path for route in DIALECT.pages)]
OURS = ("https://app.example", "http://127.0.0.1:7777")
"""Where the redirect URIs of the clients in `people` lead."""

FOREIGN = (
    "https://evil.example",
    "null",
    "*",
    "file://",
    "http://app.example",
    "https://app.example:8443",
    "https://app.example:443",
    "https://app.example/",
    "https://APP.example",
    "https://www.app.example",
    "https://app.example.evil.example",
    "https://app.example@evil.example",
    "https://app.example, https://evil.example",
    "https://app.example https://evil.example",
    "https://app.example%00.evil.example",
    "http://127.0.0.1:7778",
    "http://localhost:7777",
    "com.example.app://",
    "com.example.app:/callback",
    "https://app.exampl\xe9",
    "https://app.example" + "e" * 5_000,
    "' OR 1=1 --",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    yield from running(tmp_path_factory.mktemp("service"))


def preflight(service: Service, path: str, origin: str, *, method: str = "POST") -> httpx.Response:
    """What a browser asks before it lets a script send a request that a form could not."""
    headers = {
        b"origin": origin.encode("latin-1"),
        b"access-control-request-method": method.encode(),
        b"access-control-request-headers": b"authorization",
    }
    return service.http.request("OPTIONS", path, headers=headers)


def listed(response: httpx.Response, name: str) -> set[str]:
    """A header's values."""
    return {value.strip().lower() for value in response.headers.get(name, "").split(",")} - {""}


def assert_closed(response: httpx.Response) -> None:
    """No script may read this answer, nor send what needs a preflight."""
    assert not [name for name in response.headers if name.startswith("access-control-allow-o")]
    assert "access-control-allow-credentials" not in response.headers


class TestAPreflight:
    @pytest.mark.parametrize("path", OPEN)
    @pytest.mark.parametrize("origin", OURS)
    def test_of_a_registered_clients_script_is_granted(self, service: Service, path: str, origin: str) -> None:
        response = preflight(service, path, origin)
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["access-control-allow-origin"] == origin
        assert listed(response, "access-control-allow-headers") == {"authorization", "content-type", "x-requested-with"}
        assert "post" in listed(response, "access-control-allow-methods")
        assert int(response.headers["access-control-max-age"]) <= 3_600
        assert "origin" in listed(response, "vary")

    @pytest.mark.parametrize("path", OPEN)
    def test_names_the_methods_that_there_are(self, service: Service, path: str) -> None:
        response = preflight(service, path, OURS[0])
        (endpoint,) = [endpoint for endpoint in DIALECT.endpoints if endpoint.path == path]
        assert listed(response, "access-control-allow-methods") == {method.lower() for method in endpoint.methods}

    @pytest.mark.parametrize("path", OPEN)
    @pytest.mark.parametrize("origin", FOREIGN)
    def test_of_any_other_script_is_not(self, service: Service, path: str, origin: str) -> None:
        response = preflight(service, path, origin)
        assert_closed(response)
        assert "origin" in listed(response, "vary"), "else a shared cache could give it what another was granted"

    @pytest.mark.parametrize("path", [*CLOSED, *PAGES])
    @pytest.mark.parametrize("origin", [*OURS, "null", "https://evil.example"])
    def test_is_granted_nowhere_else(self, service: Service, path: str, origin: str) -> None:
        for method in ("GET", "POST"):
            assert_closed(preflight(service, path, origin, method=method))

    def test_changes_nothing(self, service: Service) -> None:
        answer = service.http.request(
            "OPTIONS", "/oauth/token", params={"grant_type": "client_credentials"}, auth=("machine", SECRET)
        )
        assert (answer.status_code, answer.content) == (204, b"")


class TestARequest:
    @pytest.mark.parametrize("origin", OURS)
    def test_from_a_registered_origin_is_answered_so_that_the_script_can_read_it(
        self, service: Service, origin: str
    ) -> None:
        """From the code to the tokens, to who signed in, and to their end: all that a single-page application does."""
        with service.browser() as ada:
            code = ada.grant("spa")["code"]
        headers = {"origin": origin}
        granted = service.token({**redemption(code), "client_id": "spa"}, auth=None, headers=headers)
        assert granted.status_code == 200, granted.text
        bearer = {"authorization": f"Bearer {granted.json()['access_token']}"}
        told = service.http.get("/oauth/userinfo", headers={**headers, **bearer})
        revocation = {"token": granted.json()["refresh_token"], "client_id": "spa"}
        revoked = service.post("/oauth/revoke", revocation, auth=None, headers=headers)
        for response in (granted, told, revoked):
            assert response.status_code == 200
            assert response.headers["access-control-allow-origin"] == origin
            assert "origin" in listed(response, "vary")
            assert response.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("path", OPEN)
    def test_that_is_refused_can_be_read_as_well(self, service: Service, path: str) -> None:
        """Else a script sees a network error where the answer says what to do: sign in again, or wait."""
        response = service.post(path, {"token": "x"}, auth=None, headers={"origin": OURS[0]})
        assert response.status_code in (400, 401)
        assert response.headers["access-control-allow-origin"] == OURS[0]
        assert {"www-authenticate", "retry-after"} <= listed(response, "access-control-expose-headers")

    @pytest.mark.parametrize(
        ("path", "body", "headers", "status"),
        [
            ("/oauth/token", b"{}", {"content-type": "application/json"}, 415),
            ("/oauth/token", b"a=1&a=2", {}, 400),
            ("/oauth/revoke", b"a" * 70_000, {}, 413),
            ("/oauth/userinfo?access_token=x", b"", {}, 400),
        ],
        ids=["no form", "repeated", "too long", "token in the query"],
    )
    def test_that_cannot_be_read_can_be_told_so(
        self, service: Service, path: str, body: bytes, headers: dict[str, str], status: int
    ) -> None:
        response = service.post(path, body, auth=None, headers={"origin": OURS[0], **headers})
        assert_refused(response, status, "invalid_request")
        assert response.headers["access-control-allow-origin"] == OURS[0]

    def test_by_a_method_that_there_is_not_can_be_told_so(self, service: Service) -> None:
        response = service.http.put("/oauth/token", headers={"origin": OURS[0]})
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (405, OURS[0])

    @pytest.mark.parametrize("origin", FOREIGN)
    def test_from_any_other_origin_is_answered_as_ever_but_unreadable(self, service: Service, origin: str) -> None:
        """The server judges the client, not the page: what a browser hides from a script, curl gets anyway."""
        headers = {b"origin": origin.encode("latin-1"), b"authorization": basic("machine", SECRET).encode()}
        response = service.http.post("/oauth/token", data={"grant_type": "client_credentials"}, headers=headers)
        assert response.status_code == 200
        assert_closed(response)
        assert "origin" in listed(response, "vary")

    @pytest.mark.parametrize("path", OPEN)
    def test_without_an_origin_says_nothing_of_origins(self, service: Service, path: str) -> None:
        response = service.post(path, {"token": "x"}, auth=None)
        assert not [name for name in response.headers if name.startswith("access-control-")]

    @pytest.mark.parametrize("path", CLOSED)
    def test_to_what_no_script_needs_is_unreadable_for_every_script(self, service: Service, path: str) -> None:
        for method in ("GET", "POST"):
            assert_closed(service.http.request(method, path, headers={"origin": OURS[0]}))

    @pytest.mark.parametrize("path", PAGES)
    @pytest.mark.parametrize("origin", [*OURS, "null"])
    def test_to_a_page_is_unreadable_for_every_script(self, service: Service, path: str, origin: str) -> None:
        for method in ("GET", "POST"):
            assert_closed(service.http.request(method, path, headers={"origin": origin}))

    @pytest.mark.parametrize("path", [publication.path for publication in PUBLICATIONS])
    @pytest.mark.parametrize("origin", [*OURS, "https://evil.example", "null"])
    def test_for_a_document_is_answered_for_everybody(self, service: Service, path: str, origin: str) -> None:
        response = service.http.get(path, headers={"origin": origin})
        assert response.headers["access-control-allow-origin"] == "*"

    @pytest.mark.parametrize("path", [*OPEN, *CLOSED, *PAGES, *(publication.path for publication in PUBLICATIONS)])
    def test_never_carries_cookies(self, service: Service, path: str) -> None:
        for method in ("GET", "POST", "OPTIONS"):
            response = service.http.request(method, path, headers={"origin": OURS[0]})
            assert "access-control-allow-credentials" not in response.headers


class TestAnOrigin:
    def test_counts_from_the_clients_registration_until_it_is_disabled(self, service: Service) -> None:
        origin = "https://newcomer.example"
        assert_closed(preflight(service, "/oauth/token", origin))
        client = service.home.client("newcomer", redirect_uris=(f"{origin}/callback",))
        assert preflight(service, "/oauth/token", origin).headers["access-control-allow-origin"] == origin
        service.home.ask(lambda store: store.administration.disable_client(client, now=1))
        assert_closed(preflight(service, "/oauth/token", origin))
