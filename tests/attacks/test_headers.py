"""Headers, proxies and methods around the pages (SECURITY H, B-06, B-03; RFC 9110, RFC 9112)."""

import socket
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.attacks.costs import processor_time
from tests.attacks.forging import credentials, send
from tests.attacks.pages import assert_stays
from tests.support.home import SECRET
from tests.support.person import Person, answer, request
from tests.web.people import PRIVATE, Service, running
from tests.web.site import bucket, claims_of

PAGES: Final = ("/", "/login", "/consent", "/account", "/oauth/authorize", "/oauth/logout", "/nope")
ISSUER: Final = "https://id.example/tenant"


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Behind a proxy on this machine that speaks TLS, below a path of its host."""
    yield from running(tmp_path_factory.mktemp("proxied"), issuer=ISSUER, trusted_proxies=["127.0.0.1"])


@pytest.fixture
def everywhere(service: Service, ada: Person) -> list[httpx.Response]:
    """Pages, redirects, forms and errors of every kind."""
    with service.browser() as person:
        sign_in = person.authorize()
        return [
            sign_in,
            send(person, sign_in, credentials("ada", "wrong")),
            person.http.get("/oauth/authorize", params=dict(request())),
            person.http.get("/account"),
            ada.authorize(),
            ada.authorize(scope="no-such-scope"),
            ada.authorize(response_mode="form_post"),
            ada.authorize(prompt="consent"),
            ada.authorize(redirect_uri="https://evil.example"),
            ada.authorize("no-such-client"),
            ada.open("/account"),
            ada.open("/oauth/logout"),
            ada.open("/"),
            ada.open("/nope"),
            ada.http.put("/login"),
            ada.http.post("/login", content=b"x" * 100_000),
            ada.http.post("/login", json={}),
            ada.http.get("/login?%zz"),
        ]


class TestPages:
    def test_h_03_h_04_are_never_kept_sniffed_or_told_of(self, everywhere: list[httpx.Response]) -> None:
        for response in everywhere:
            assert response.headers["cache-control"] == "no-store", response.url
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["referrer-policy"] == "no-referrer"

    def test_b_06_are_never_framed(self, everywhere: list[httpx.Response]) -> None:
        for response in everywhere:
            assert response.headers["x-frame-options"] == "DENY"
            policy = response.headers["content-security-policy"]
            assert "frame-ancestors 'none'" in policy
            assert policy.startswith("default-src 'none'")
            assert "base-uri 'none'" in policy
            assert "unsafe" not in policy
            assert "*" not in policy
            assert "cross-origin-opener-policy" not in response.headers, "it would end sign-ins in a pop-up window"

    def test_b_06_let_forms_lead_nowhere_but_here_and_on_to_applications(self, ada: Person) -> None:
        for page in (ada.authorize("web2"), ada.authorize(prompt="login")):
            assert "form-action 'self' https:;" in page.headers["content-security-policy"]
        native = ada.authorize("native", redirect_uri=PRIVATE).headers["content-security-policy"]
        assert "form-action 'self' https: com.example.app:;" in native
        assert "form-action 'self';" in ada.open("/account").headers["content-security-policy"]

    @pytest.mark.parametrize("path", PAGES)
    def test_h_02_are_read_by_no_other_origin(self, ada: Person, path: str) -> None:
        """Not even by that of a registered client, and not after a preflight either."""
        for origin in ("https://app.example", "https://evil.example", "null"):
            headers = {"origin": origin, "access-control-request-method": "POST"}
            for method in ("OPTIONS", "GET", "POST"):
                answered = ada.http.request(method, path, headers=headers).headers
                assert not [name for name in answered if name.startswith("access-control-")]

    @pytest.mark.parametrize("path", PAGES)
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD", "PROPFIND"])
    def test_h_05_h_06_h_07_answer_odd_methods_calmly(self, ada: Person, path: str, method: str) -> None:
        response = ada.http.request(method, path)
        assert response.status_code in (200, 204, 400, 404, 405)
        assert "server" not in response.headers
        assert "x-powered-by" not in response.headers
        for word in ("Traceback", "litestar", "uvicorn", ".py"):
            assert word not in response.text

    def test_h_07_make_no_code_by_an_odd_method(self, service: Service, ada: Person) -> None:
        with service.writing_nothing():
            for method in ("HEAD", "PUT", "DELETE", "OPTIONS"):
                response = ada.http.request(method, "/oauth/authorize", params=dict(request()))
                assert "code=" not in response.headers.get("location", "")

    @pytest.mark.parametrize("override", ["x-http-method-override", "x-http-method", "x-method-override"])
    def test_h_07_do_not_take_another_method_from_a_header(self, service: Service, ada: Person, override: str) -> None:
        with service.writing_nothing():
            found = ada.http.get("/account", params={"action": "end_all"}, headers={override: "POST"})
            assert_stays(found, 200)

    @pytest.mark.parametrize("header", ["x-original-url", "x-rewrite-url", "x-forwarded-prefix", "x-forwarded-uri"])
    def test_h_11_are_found_by_the_path_alone(self, ada: Person, header: str) -> None:
        assert "Ada Lovelace" in ada.open("/account").text
        found = ada.http.get("/nope", headers={header: "/account"})
        assert found.status_code == 404
        assert "Ada Lovelace" not in found.text

    @pytest.mark.parametrize(
        "path",
        [
            "//account",
            "/account/",
            "/ACCOUNT",
            "/account;x",
            "/./account",
            "/x/../account",
            "/account%00",
            "/%61ccount",
        ],
    )
    def test_h_11_by_another_address_are_not_found_or_the_same(self, service: Service, ada: Person, path: str) -> None:
        """With the same rules: the session, nothing kept, nothing framed."""
        for cookies in ("", "; ".join(f"{one.name}={one.value}" for one in ada.http.cookies.jar)):
            fields = f"Host: 127.0.0.1:{service.server.port}\r\nCookie: {cookies}\r\nConnection: close\r\n"
            head = f"GET {path} HTTP/1.1\r\nAccept: text/html\r\n{fields}\r\n"
            with socket.create_connection(("127.0.0.1", service.server.port), timeout=5) as connection:
                connection.sendall(head.encode())
                told = received(connection)
            assert told.startswith((b"HTTP/1.1 404", b"HTTP/1.1 200" if cookies else b"HTTP/1.1 303"))
            assert b"cache-control: no-store" in told
            assert b"frame-ancestors 'none'" in told


class TestFraming:  # RFC 9112 sections 6 and 11.2
    @pytest.mark.parametrize(
        "framing",
        [
            pytest.param("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", id="length and chunks"),
            pytest.param("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", id="chunks and length"),
            pytest.param("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", id="space before the colon"),
            pytest.param("Transfer-Encoding: xchunked\r\n", id="unknown coding"),
            pytest.param("Content-Length: 5\r\nContent-Length: 0\r\n", id="two lengths"),
            pytest.param("X: a\nContent-Length: 0\r\n", id="bare line feed"),
            pytest.param("X: a\rContent-Length: 0\r\n", id="bare carriage return"),
        ],
    )
    @pytest.mark.parametrize("path", ["/login", "/oauth/authorize", "/account", "/nope"])
    def test_h_13_of_a_form_that_can_be_read_in_two_ways_ends_the_connection(
        self, service: Service, path: str, framing: str
    ) -> None:
        host = f"Host: 127.0.0.1:{service.server.port}\r\n"
        head = f"POST {path} HTTP/1.1\r\n{host}Content-Type: application/x-www-form-urlencoded\r\n{framing}\r\n"
        smuggled = f"0\r\n\r\nGET /account HTTP/1.1\r\n{host}\r\n"
        with socket.create_connection(("127.0.0.1", service.server.port), timeout=5) as connection:
            connection.sendall((head + smuggled).encode())
            told = received(connection)
        assert told.startswith(b"HTTP/1.1 400")
        assert told.count(b"HTTP/1.1 ") == 1, "what was smuggled in has been answered"


class TestTheIssuer:
    POISON: Final = (
        {"host": "evil.example"},
        {"host": "evil.example", "x-forwarded-host": "evil.example", "x-forwarded-proto": "http"},
        {"forwarded": 'for=1.2.3.4;host="evil.example";proto=http'},
        {"x-forwarded-host": "evil.example", "x-forwarded-port": "1", "x-forwarded-prefix": "/evil.example"},
        {"x-host": "evil.example", "x-original-host": "evil.example", "x-forwarded-server": "evil.example"},
        {"host": 'evil.example"><script>'},
    )

    @pytest.mark.parametrize("headers", POISON)
    @pytest.mark.parametrize("is_behind_a_proxy", [False, True])
    def test_h_01_is_never_what_a_header_says(
        self, service: Service, proxied: Service, headers: dict[str, str], is_behind_a_proxy: bool
    ) -> None:
        """Behind a trusted proxy as well: nothing but the client's address is taken from it."""
        site, base = (proxied, "/tenant") if is_behind_a_proxy else (service, "")
        issuer = ISSUER if is_behind_a_proxy else service.server.url
        with Person(site.server.url) as person:
            for path in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
                found = person.http.get(base + path, headers=headers)
                assert "evil.example" not in found.text
                assert found.status_code == 421 if "host" in headers else found.json()["issuer"] == issuer
            asked = person.http.get(f"{base}/oauth/authorize", params=dict(request()), headers=headers)
            assert asked.status_code == 421 or asked.headers["location"].startswith(f"{issuer}/login?")
            for path in ("/account", "/login", "/oauth/logout", "/oauth/authorize", "/"):
                page = person.http.get(base + path, headers=headers)
                assert "evil.example" not in page.text + str(page.headers)

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "x", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "127.0.0.1:1@evil.example", ""],
    )
    @pytest.mark.parametrize("path", ["/login", "/oauth/token", "/.well-known/jwks.json", "/nope"])
    def test_h_01_of_an_unknown_host_is_nobody_s(self, service: Service, path: str, host: str) -> None:
        response = service.http.get(path, headers={"host": host})
        assert response.status_code in (400, 421)
        assert "set-cookie" not in response.headers

    def test_h_09_h_10_announces_nothing_dangerous(self, service: Service) -> None:
        found = service.http.get("/.well-known/openid-configuration").json()
        assert found["response_types_supported"] == ["code"]
        assert set(found["response_modes_supported"]) <= {"query", "form_post"}
        assert set(found["grant_types_supported"]) & {"implicit", "password"} == set()
        assert "none" not in found["id_token_signing_alg_values_supported"]
        assert "plain" not in found["code_challenge_methods_supported"]
        assert not {"registration_endpoint", "device_authorization_endpoint"} & {*found}
        other = service.http.get("/.well-known/oauth-authorization-server").json()
        assert {name: found[name] for name in other if name in found} == {
            name: other[name] for name in other if name in found
        }
        for name, value in found.items():
            if name.endswith(("_endpoint", "_uri")):
                assert service.http.get(value.removeprefix(service.server.url)).status_code not in (404, 500), name


class TestAnswers:
    def test_h_14_are_nobody_else_s(self, service: Service, ada: Person) -> None:
        """The same address asked again by another person, with another token or without: nothing is answered twice."""
        with service.browser() as bob, service.browser() as nobody:
            bob.sign_in(bob.open("/login"), "bob")
            people = [ada, bob, nobody, ada]
            accounts = [person.http.get("/account") for person in people]
            assert [page.status_code for page in accounts] == [200, 200, 303, 200]
            assert ["Ada Lovelace" in page.text for page in accounts] == [True, False, False, True]
            asked = dict(request("own", prompt="none"))
            told = [answer(person.http.get("/oauth/authorize", params=asked)) for person in people]
            assert ["code" in one for one in told] == [True, True, False, True]
            assert len({one["code"] for one in told if "code" in one}) == 3
            tokens = [service.tokens(person, "own")["access_token"] for person in (ada, bob)]
        for path in ("/oauth/userinfo", "/oauth/tokeninfo"):
            for token, subject in (*zip(tokens, ("u.ada", "u.bob"), strict=True), ("x", None), (tokens[0], "u.ada")):
                found = service.http.get(path, headers={"authorization": f"Bearer {token}"}).json()
                assert found.get("sub") == subject
        form = {"grant_type": "client_credentials"}
        given = [service.granted(form, auth=("machine", SECRET))["access_token"] for _ in range(3)]
        assert len({*given}) == 3

    @pytest.mark.parametrize(
        "path",
        [
            "/oauth/register",
            "/register",
            "/connect/register",
            "/oauth/clients/web",
            "/oauth/device_authorization",
            "/oauth/bc-authorize",
        ],
    )
    def test_k_01_k_02_c_17_are_given_to_nobody_who_would_register(self, service: Service, path: str) -> None:
        client = {"redirect_uris": ["https://evil.example/"], "jwks_uri": "http://127.0.0.1/", "scope": "openid admin"}
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert service.http.request(method, path, json=client).status_code == 404

    def test_d_07_of_a_document_are_made_once(self, service: Service) -> None:
        """ES256 is never the same twice: a list that was signed for each request would differ each time."""
        claims = claims_of(
            service.granted({"grant_type": "client_credentials"}, auth=("machine", SECRET))["access_token"]
        )
        uri = claims["status"]["status_list"]["uri"]
        assert len({service.http.get(uri).content for _ in range(40)}) <= 2

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("/.well-known/jwks.json", "/healthz"),
            ("/.well-known/openid-configuration", "/healthz"),
            ("/openapi.json", "/style.css"),
        ],
    )
    def test_d_07_of_a_document_cost_what_plain_text_does(self, service: Service, path: str, text: str) -> None:
        """In processor time of the server, in turn: what is made for each request would cost many times more."""
        used = {path: 0.0, text: 0.0}
        for _ in range(5):
            for target in used:
                before = processor_time(service)
                for _ in range(8):
                    row(service, target, times=25)
                used[target] += processor_time(service) - before
        assert used[path] < used[text] * 4, used


class TestBehindAProxy:
    def test_h_08_browsers_are_told_to_stay_on_tls(self, proxied: Service, service: Service, ada: Person) -> None:
        with Person(proxied.server.url) as person:
            for path in ("/tenant/login", "/tenant/account", "/tenant/oauth/authorize"):
                assert person.http.get(path).headers["strict-transport-security"] == "max-age=31536000"
        assert "strict-transport-security" not in ada.http.get("/login").headers

    def test_b_03_cookies_are_for_this_host_over_tls_alone(self, proxied: Service) -> None:
        with Person(proxied.server.url) as person:
            page = person.http.get("/tenant/login")
            browser = page.headers["set-cookie"]
            value = browser.partition(";")[0]
            answered = send_with(person, page, value)
            made = [browser, *answered.headers.get_list("set-cookie")]
            assert answered.headers["location"] == f"{ISSUER}/account"
        assert [one.partition("=")[0] for one in made] == [
            "__Host-jwtauth-browser",
            "__Host-jwtauth-session",
            "__Host-jwtauth-device",
        ]
        for one in made:
            attributes = {part.strip().lower() for part in one.split(";")[1:]} - {"max-age=31536000"}
            assert attributes == {"httponly", "path=/", "samesite=lax", "secure"}

    def test_b_03_a_cookie_without_the_prefix_is_not_looked_at(self, proxied: Service) -> None:
        """A sub-domain, or anybody on the way of one http request, could have planted it."""
        with Person(proxied.server.url) as person:
            page = person.http.get("/tenant/login")
            planted = page.headers["set-cookie"].partition(";")[0].removeprefix("__Host-")
            refused = send_with(person, page, planted)
            assert "session" not in refused.headers.get("set-cookie", "")
            assert refused.status_code == 400

    @pytest.mark.parametrize("origin", ["https://id.example", "https://ID.example", "null", None])
    def test_b_05_the_origin_is_that_of_the_issuer(self, proxied: Service, origin: str | None) -> None:
        with Person(proxied.server.url) as person:
            page = person.http.get("/tenant/login")
            value = page.headers["set-cookie"].partition(";")[0]
            answered = send_with(person, page, value, **({"origin": origin} if origin else {}))
            assert answered.status_code == 303
            refused = send_with(person, page, value, origin=proxied.server.url)
            assert refused.status_code == 400

    def test_h_12_b_10_the_last_foreign_address_counts_whatever_stands_before_it(self, proxied: Service) -> None:
        """The proxy adds the address that it saw; all that the client wrote itself stands left of it."""
        statement = "INSERT OR REPLACE INTO attempts VALUES (?, 110, strftime('%s', 'now') + 1)"
        proxied.execute(statement, bucket("address 198.51.100.7"))
        with Person(proxied.server.url) as person:
            page = person.http.get("/tenant/login")
            value = page.headers["set-cookie"].partition(";")[0]
            for number, forged in enumerate(
                ("", "203.0.113.9, ", "127.0.0.1, ", "198.51.100.8, ", "x, ,, ", "unknown, ")
            ):
                forwarded = {"x-forwarded-for": f"{forged}198.51.100.7"}
                answered = send_with(person, page, value, username=f"someone {number}", **forwarded)
                assert shown_after(person, answered, value) == 429
            others = {"x-forwarded-for": "198.51.100.7, 203.0.113.9"}
            answered = send_with(person, page, value, username="someone else", **others)
            assert shown_after(person, answered, value) == 400


def send_with(
    person: Person, page: httpx.Response, cookie: str, *, username: str = "ada", **headers: str
) -> httpx.Response:
    """Post the sign-in form as a browser behind the proxy would: with the cookie that http clients keep back."""
    found = httpx.Response(200, text=page.text, request=page.request)
    fields = {**credentials(username)}
    return send(person, found, fields, headers={"cookie": cookie, "origin": "https://id.example", **headers})


def shown_after(person: Person, answered: httpx.Response, cookie: str) -> int:
    """The status of the page to which the browser is sent, once the proxy has taken its own name off."""
    target = answered.headers["location"].removeprefix("https://id.example")
    return person.http.get(target, headers={"cookie": cookie}).status_code


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes, or says no more."""
    told = b""
    while True:
        try:
            chunk = connection.recv(65_536)
        except (TimeoutError, ConnectionResetError):
            return told
        if not chunk:
            return told
        told += chunk


def row(service: Service, path: str, *, times: int) -> None:
    """The same request in a row on one connection, the answers read to their end."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{service.server.port}\r\n"
    requests = f"{head}\r\n" * (times - 1) + f"{head}Connection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.server.port), timeout=20) as connection:
        connection.sendall(requests.encode())
        assert received(connection).count(b"HTTP/1.1 200") == times
