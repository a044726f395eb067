"""What is believed of a browser's request: its address, its cookies, and where it says its form is from."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from http.cookies import Morsel, SimpleCookie

import httpx
import pytest

from jwtauth.protocol.throttling import ADDRESS
from tests.support import plain
from tests.support.home import PASSWORD
from tests.support.person import answer, find_form, has_field, redemption
from tests.web.people import Service, running
from tests.web.site import bucket

PROXIES = ("127.0.0.1", "10.0.0.0/8", "2001:db8::/32")
"""The tests themselves come from 127.0.0.1, as a TLS proxy on the same machine does."""

PUBLIC = "https://tokens.example"

Headers = list[tuple[str, str]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Behind proxies, its issuer http on loopback."""
    yield from running(tmp_path_factory.mktemp("service"), trusted_proxies=PROXIES)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Its issuer https; the proxies that it trusts are elsewhere."""
    yield from running(tmp_path_factory.mktemp("public"), issuer=PUBLIC, trusted_proxies=("10.0.0.0/8",))


def cookies_of(response: httpx.Response) -> dict[str, Morsel[str]]:
    """The cookies that an answer sets, by name."""
    found: SimpleCookie = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        found.load(line)
    return dict(found)


def attributes(cookie: Morsel[str]) -> dict[str, object]:
    """Those that a cookie has."""
    return {name: value for name, value in cookie.items() if value}


class Browser:
    """A browser that keeps Secure cookies although the tests speak http, as if a TLS proxy stood in between."""

    def __init__(self, service: Service) -> None:
        self.url = service.server.url
        self.cookies: dict[str, str] = {}

    def get(self, path: str, headers: Headers | None = None) -> httpx.Response:
        return self._noted(plain.get(self.url + path, headers=self._sent(headers), timeout=20))

    def post(self, path: str, form: dict[str, str], headers: Headers | None = None) -> httpx.Response:
        return self._noted(plain.post(self.url + path, data=form, headers=self._sent(headers), timeout=20))

    def sign_in(
        self, headers: Headers | None = None, *, username: str = "ada", password: str = PASSWORD
    ) -> httpx.Response:
        """Open the sign-in page and send its form with these headers."""
        form = find_form(self.get("/login"), ["password"]).values
        return self.post("/login", {**form, "username": username, "password": password}, headers)

    def _sent(self, headers: Headers | None) -> Headers:
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return [*([("cookie", jar)] if jar else []), *(headers or [])]

    def _noted(self, response: httpx.Response) -> httpx.Response:
        self.cookies |= {name: cookie.value for name, cookie in cookies_of(response).items()}
        return response


def sign_in(
    service: Service, headers: Headers | None = None, *, username: str = "ada", password: str = PASSWORD
) -> httpx.Response:
    """What a new browser gets that signs in."""
    return Browser(service).sign_in(headers, username=username, password=password)


def is_signed_in(response: httpx.Response) -> bool:
    """Whether the answer brings a session."""
    return any("jwtauth-session" in name and cookie.value for name, cookie in cookies_of(response).items())


def counted_at(service: Service, address: str) -> int:
    """How many wrong passwords were counted against an address."""
    with closing(sqlite3.connect(service.home.source.database)) as database:
        row = database.execute("SELECT count FROM attempts WHERE bucket = ?", (bucket(f"address {address}"),))
        return sum(count for (count,) in row.fetchall())


class TestTheAddress:  # SECURITY B-10, H-12
    @pytest.mark.parametrize(
        ("forwarded", "address"),
        [
            ([], "127.0.0.1"),
            ([""], "127.0.0.1"),
            (["203.0.113.1"], "203.0.113.1"),
            (["203.0.113.2, 10.0.0.1"], "203.0.113.2"),
            (["203.0.113.3, 10.0.0.1,10.255.255.255 , 127.0.0.1"], "203.0.113.3"),
            (["198.51.100.9, 203.0.113.4"], "203.0.113.4"),
            (["10.0.0.1, 203.0.113.5"], "203.0.113.5"),
            (["203.0.113.6", "203.0.113.7"], "203.0.113.7"),
            (["203.0.113.8", "10.0.0.1"], "203.0.113.8"),
            (["10.0.0.9, 10.0.0.1"], "10.0.0.9"),
            (["198.51.100.1, unknown, 10.0.0.1"], "unknown"),
            (["198.51.100.1, 11.0.0.1"], "11.0.0.1"),
            (["203.0.113.9, 2001:db8::7"], "203.0.113.9"),
            (["203.0.113.10, 2001:DB8:0::7"], "203.0.113.10"),
            (["2001:db9::5"], "2001:db9::/64"),
            (["2001:db9::ffff:ffff:ffff:ffff"], "2001:db9::/64"),
            (["2001:db9:0:1::5"], "2001:db9:0:1::/64"),
            (["203.0.113.11, ::ffff:10.0.0.1"], "203.0.113.11"),
            (["203.0.113.12:4711"], "203.0.113.12"),
            (["[2001:db9::6]:4711"], "2001:db9::/64"),
            (["2001:DB9:0:0::7"], "2001:db9::/64"),
            (["::ffff:203.0.113.13"], "203.0.113.13"),
            (["203.0.113.14,"], "203.0.113.14"),
        ],
        ids=str,
    )
    def test_is_the_last_that_no_trusted_proxy_has(self, service: Service, forwarded: list[str], address: str) -> None:
        """Of an IPv6 address the first half, since one subscriber has all of the rest."""
        before = counted_at(service, address)
        refused = sign_in(
            service, [("x-forwarded-for", line) for line in forwarded], username=f"nobody {forwarded}", password="wrong"
        )
        assert not is_signed_in(refused)
        assert counted_at(service, address) == before + 1

    @pytest.mark.parametrize("name", ["forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"])
    def test_is_told_by_no_other_header(self, service: Service, name: str) -> None:
        value = "for=198.51.100.77" if name == "forwarded" else "198.51.100.77"
        headers = [("x-forwarded-for", "203.0.113.99"), (name, value)]
        before = counted_at(service, "203.0.113.99")
        sign_in(service, headers, username=f"nobody {name}", password="wrong")
        assert counted_at(service, "203.0.113.99") == before + 1
        assert counted_at(service, "198.51.100.77") == 0

    @pytest.mark.parametrize("forwarded", ["203.0.113.50", "10.0.0.1", "203.0.113.51, 10.0.0.1", "127.0.0.1, 10.0.0.1"])
    def test_is_the_senders_own_where_that_is_no_trusted_proxy(self, public: Service, forwarded: str) -> None:
        before = counted_at(public, "127.0.0.1")
        sign_in(public, [("x-forwarded-for", forwarded)], username=f"nobody {forwarded}", password="wrong")
        assert counted_at(public, "127.0.0.1") == before + 1
        for claimed in ("203.0.113.50", "203.0.113.51", "10.0.0.1"):
            assert counted_at(public, claimed) == 0

    def test_that_guessed_too_often_waits_whichever_account_it_tries(self, service: Service) -> None:
        """Longer accounts' own counts would not stop one guess at each of a thousand people."""
        tell = "INSERT INTO attempts VALUES (?, ?, strftime('%s', 'now') + 50)"
        service.execute(tell, bucket("address 198.51.100.66"), ADDRESS.free + 3)
        browser = Browser(service)
        refused = browser.sign_in([("x-forwarded-for", "198.51.100.66")], username="bob")
        assert not is_signed_in(refused)
        page = browser.get(refused.headers["location"].removeprefix(service.server.url))
        assert page.status_code == 429
        assert 1 <= int(page.headers["retry-after"]) <= 8
        assert find_form(page, ["password"]).values["username"] == "bob", "what was typed is not lost"
        assert is_signed_in(sign_in(service, [("x-forwarded-for", "198.51.100.67")], username="bob"))

    def test_that_guessed_wrong_keeps_being_counted_after_a_right_password(self, service: Service) -> None:
        """Else whoever has one account of their own could guess at the others for ever."""
        headers = [("x-forwarded-for", "198.51.100.68")]
        sign_in(service, headers, username="nobody at all", password="wrong")
        assert is_signed_in(sign_in(service, headers, username="bob"))
        assert counted_at(service, "198.51.100.68") == 1


class TestTheCookies:  # SECURITY B-02, B-03
    def test_b_03_on_https_belong_to_this_host_alone_and_travel_encrypted(self, public: Service) -> None:
        page, signed_in = public.http.get("/login"), sign_in(public)
        found = cookies_of(page) | cookies_of(signed_in)
        assert found.keys() == {"__Host-jwtauth-browser", "__Host-jwtauth-session", "__Host-jwtauth-device"}
        assert attributes(found["__Host-jwtauth-device"]).pop("max-age") == "31536000"
        for cookie in found.values():
            wanted = {"path": "/", "secure": True, "httponly": True, "samesite": "lax"}
            assert {name: value for name, value in attributes(cookie).items() if name != "max-age"} == wanted

    def test_on_a_loopback_http_issuer_and_only_there_go_without(self, service: Service) -> None:
        """Browsers refuse Secure and `__Host-` on http; the port keeps issuers of one machine apart."""
        page, signed_in = service.http.get("/login"), sign_in(service)
        found = cookies_of(page) | cookies_of(signed_in)
        assert found.keys() == {f"jwtauth-{name}-{service.server.port}" for name in ("browser", "session", "device")}
        for cookie in found.values():
            wanted = {"path": "/", "httponly": True, "samesite": "lax"}
            assert {name: value for name, value in attributes(cookie).items() if name != "max-age"} == wanted

    @pytest.mark.parametrize(
        "header", [("x-forwarded-proto", "http"), ("x-forwarded-host", "evil.example"), ("x-forwarded-port", "80")]
    )
    def test_stay_secure_whatever_a_request_says(self, public: Service, header: tuple[str, str]) -> None:
        (cookie,) = cookies_of(public.http.get("/login", headers=[header])).values()
        assert cookie["secure"]
        assert not cookie["domain"]

    def test_are_random_and_new_for_every_browser(self, service: Service) -> None:
        values = [
            cookie.value for _ in range(20) for cookie in cookies_of(plain.get(f"{service.server.url}/login")).values()
        ]
        assert len(set(values)) == 20
        assert min(map(len, values)) >= 22, "128 bits"

    def test_are_not_set_again_where_they_are_known(self, service: Service) -> None:
        with service.browser() as ada:
            ada.http.get("/login")
            assert "set-cookie" not in ada.http.get("/login").headers

    def test_are_not_set_by_a_post_that_came_without(self, service: Service) -> None:
        """A form on another site sends none of ours: a new one would take the person's own away."""
        assert "set-cookie" not in plain.post(f"{service.server.url}/login", data={"username": "ada"}).headers

    @pytest.mark.parametrize("value", ["a" * 513, "a" * 4_000, ""], ids=len)
    def test_that_are_not_ours_are_replaced(self, service: Service, value: str) -> None:
        name = f"jwtauth-browser-{service.server.port}"
        response = plain.get(f"{service.server.url}/login", headers={"cookie": f"{name}={value}"})
        assert cookies_of(response)[name].value not in ("", value)

    @pytest.mark.parametrize("value", ["chosen-by-an-attacker", "%00", "../..", "a" * 128, "a" * 4_000, '"'], ids=repr)
    def test_b_02_a_planted_session_is_none_and_ends_at_the_sign_in(self, service: Service, value: str) -> None:
        name = f"jwtauth-session-{service.server.port}"
        browser = Browser(service)
        browser.cookies[name] = value
        assert browser.get("/account").headers["location"].endswith("/login")
        assert is_signed_in(browser.sign_in())
        assert browser.cookies[name] not in ("", value)
        browser.cookies[name] = value
        assert browser.get("/account").headers["location"].endswith("/login")

    @pytest.mark.parametrize("which", ["service", "public"])
    def test_of_a_session_are_deleted_as_they_were_set(self, which: str, request: pytest.FixtureRequest) -> None:
        """With another Path, or without Secure, a browser would keep them."""
        site: Service = request.getfixturevalue(which)
        browser = Browser(site)
        name, made = next(pair for pair in cookies_of(browser.sign_in()).items() if "jwtauth-session" in pair[0])
        form = find_form(browser.get("/oauth/logout"), ["decision"]).values
        deleted = cookies_of(browser.post("/oauth/logout", {**form, "decision": "sign_out"}))[name]
        assert deleted.value == ""
        assert attributes(deleted) == {**attributes(made), "max-age": "0"}

    def test_never_hold_who_the_person_is(self, service: Service) -> None:
        signed_in = sign_in(service)
        assert "ada" not in " ".join(signed_in.headers.get_list("set-cookie"))

    def test_of_http_are_not_taken_for_those_of_https(self, public: Service) -> None:
        """Without the prefix, a sub-domain or somebody on the wire could have planted them."""
        cookie = cookies_of(sign_in(public))["__Host-jwtauth-session"]
        bare = {"cookie": f"jwtauth-session={cookie.value}; jwtauth-session-443={cookie.value}"}
        assert public.http.get("/account", headers=bare).headers["location"] == f"{PUBLIC}/login"
        prefixed = {"cookie": f"__Host-jwtauth-session={cookie.value}"}
        assert public.http.get("/account", headers=prefixed).status_code == 200


class TestAForm:  # SECURITY B-05
    @pytest.mark.parametrize(
        ("origin", "fetch_site", "is_ours"),
        [
            pytest.param(None, None, True, id="an old browser says nothing"),
            pytest.param("SELF", None, True, id="our origin"),
            pytest.param("SELF", "same-origin", True, id="our origin, same-origin"),
            pytest.param(None, "same-origin", True, id="same-origin"),
            pytest.param(None, "none", True, id="typed or from a bookmark"),
            pytest.param("null", None, True, id="null, which our referrer policy makes of our origin"),
            pytest.param("null", "same-origin", True, id="null, same-origin"),
            pytest.param("null", "cross-site", False, id="null, cross-site"),
            pytest.param("null", "same-site", False, id="null, same-site"),
            pytest.param(None, "cross-site", False, id="cross-site"),
            pytest.param(None, "same-site", False, id="same-site: a sub-domain is not us"),
            pytest.param("SELF", "cross-site", False, id="our origin, cross-site"),
            pytest.param("https://evil.example", None, False, id="a foreign origin"),
            pytest.param("https://evil.example", "same-origin", False, id="a foreign origin, same-origin"),
            pytest.param("SELF.evil.example", None, False, id="our origin as a prefix"),
            pytest.param("SELF/", None, False, id="our origin with a slash"),
            pytest.param("SELF0", None, False, id="another port"),
            pytest.param("TLS", None, False, id="another scheme"),
            pytest.param("http://localhost", None, False, id="another name of this machine"),
            pytest.param("", None, False, id="an empty origin"),
        ],
    )
    def test_counts_only_where_nothing_says_that_another_site_sent_it(
        self, service: Service, origin: str | None, fetch_site: str | None, is_ours: bool
    ) -> None:
        url = service.server.url
        headers: Headers = []
        if origin is not None:
            headers.append(("origin", origin.replace("SELF", url).replace("TLS", url.replace("http:", "https:"))))
        if fetch_site is not None:
            headers.append(("sec-fetch-site", fetch_site))
        assert is_signed_in(sign_in(service, headers, username="bob")) is is_ours

    def test_is_judged_by_the_issuers_name_not_by_the_address_it_was_sent_to(self, public: Service) -> None:
        assert not is_signed_in(sign_in(public, [("origin", public.server.url)]))
        assert not is_signed_in(
            sign_in(public, [("origin", "https://evil.example"), ("x-forwarded-host", "evil.example")])
        )
        assert is_signed_in(sign_in(public, [("origin", PUBLIC)]))

    @pytest.mark.parametrize("fetch_site", ["cross-site", "same-site", "same-origin", "none"])
    def test_is_not_what_an_application_sends(self, service: Service, fetch_site: str) -> None:
        """An authorization request is cross-site by its nature; its link and its form both begin a sign-in."""
        with service.browser(origin="https://app.example", **{"sec-fetch-site": fetch_site}) as ada:
            assert has_field(ada.authorize(), "password")

    def test_b_04_needs_the_page_of_this_very_browser(self, service: Service) -> None:
        with service.browser() as ada, service.browser() as mallory:
            form = find_form(mallory.open("/login"), ["password"]).values
            ada.open("/login")
            sent = {**form, "username": "bob", "password": PASSWORD}
            refused = ada.http.post("/login", data=sent, headers={"origin": service.server.url})
            assert not is_signed_in(refused)
            assert ada.http.get("/account").status_code == 303


class TestAPublicIssuer:
    def test_sends_browsers_where_its_name_is_not_where_it_listens(self, public: Service) -> None:
        response = public.http.get(
            "/account", headers={"x-forwarded-host": "evil.example", "x-forwarded-prefix": "/evil"}
        )
        assert (response.status_code, response.headers["location"]) == (303, f"{PUBLIC}/login")

    def test_tells_browsers_to_come_by_tls_only(self, public: Service, service: Service) -> None:
        for path in ("/login", "/oauth/authorize", "/"):
            assert (
                int(public.http.get(path).headers["strict-transport-security"].removeprefix("max-age=")) >= 31_536_000
            )
            assert "strict-transport-security" not in service.http.get(path).headers, "a machine has other http servers"

    def test_works_through_a_proxy_from_sign_in_to_tokens(self, service: Service) -> None:
        with service.browser(**{"x-forwarded-for": "203.0.113.200", "x-forwarded-proto": "https"}) as ada:
            code = answer(ada.allow(ada.sign_in(ada.authorize(prompt="consent"))))["code"]
        assert service.token(redemption(code), auth=("web", "a-secret-of-the-tests")).status_code == 200
