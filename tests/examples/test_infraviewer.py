"""examples/infraviewer beside the real service (SEEDS F9 to F11): signing in there, and what that opens."""

import json
import time
from collections.abc import Callable, Iterator
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import Final

import httpx
import pytest
from playwright.sync_api import Page, expect

from jwtauth.keyring.folder import KeyFolder
from jwtauth.protocol.claims import TYPE
from jwtauth.protocol.records import GrantType
from tests.browser import looks
from tests.browser.application import Application
from tests.examples import programs
from tests.examples.programs import Example
from tests.support import plain
from tests.support.home import PASSWORD, SECRET
from tests.support.live import free_port
from tests.web.site import Site, claims_of, decoded

SESSION: Final = "infraviewer_session"
TOKEN: Final = "infraviewer_token"
RESOURCES: Final = ("/ressource_1", "/resource_1")
BROWSER: Final = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NOT_FOUND: Final = "Bearer token not found."
TTL: Final = 1

Cookies = dict[str, str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service where the example has a client of its own, among clients of other scopes and another realm."""
    site = Site(tmp_path_factory.mktemp("issuer"), status_list_ttl=TTL)
    home = site.home
    home.realm(roles=("ROLE_USER",))
    home.client("infraviewer", grant_types=(GrantType.PASSWORD,))
    home.client("writer", grant_types=(GrantType.PASSWORD,), scope=("write",))
    home.client("printer", grant_types=(GrantType.PASSWORD,), scope=("print",))
    home.client("foreigner", realm=home.realm("abroad"), grant_types=(GrantType.CLIENT_CREDENTIALS,))
    home.user("ada")
    with site:
        yield site


@pytest.fixture(scope="module")
def environment(site: Site) -> dict[str, str]:
    """The example's client and its issuer."""
    return {
        "ISSUER": site.server.url,
        "AUDIENCE": site.home.realm().audience,
        "CLIENT_ID": "infraviewer",
        "CLIENT_SECRET": SECRET,
    }


@pytest.fixture(scope="module")
def viewer(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The example on loopback."""
    with programs.infraviewer(tmp_path_factory.mktemp("viewer"), environment) as running:
        yield running


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    """Somebody else's pages on the same machine, and on another site."""
    with Application() as application:
        yield application


def post(viewer: Example, path: str, form: Cookies | None = None, *, headers: Cookies | None = None) -> httpx.Response:
    return plain.post(f"{viewer.url}{path}", data=form, headers=headers, timeout=20)


def sign_in(viewer: Example, password: str = PASSWORD, *, back: str = "/", **headers: str) -> httpx.Response:
    return post(viewer, "/login", {"username": "ada", "password": password, "next": back}, headers=headers)


def baked(answer: httpx.Response) -> dict[str, Morsel[str]]:
    """The cookies that an answer sets, with their flags."""
    return dict(SimpleCookie("\r\n".join(answer.headers.get_list("set-cookie"))))


def cookies_of(answer: httpx.Response) -> Cookies:
    """The cookies that the browser sends from now on."""
    return {name: morsel.value for name, morsel in baked(answer).items()}


def header(cookies: Cookies) -> Cookies:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def bearer(token: str) -> Cookies:
    return {"authorization": f"Bearer {token}"}


def expired(site: Site, token: str) -> str:
    """The same token as it was yesterday, signed by the same key."""
    kid = json.loads(decoded(token.split(".")[0]))["kid"]
    keys = {key.kid: key for _, key in KeyFolder(site.home.source.keys).read_keys()}
    yesterday = {"iat": int(time.time()) - 90_000, "exp": int(time.time()) - 86_400}
    return keys[kid].sign(json.dumps({**claims_of(token), **yesterday}).encode(), typ=TYPE)


def assert_told(answer: httpx.Response, status: int, message: str) -> None:
    assert (answer.status_code, answer.json()["error_description"]) == (status, message)


class TestSigningIn:  # F9
    @pytest.mark.parametrize("back", ["/", "/?region=12673"])
    def test_leads_back_with_a_session_and_a_token(self, viewer: Example, back: str) -> None:
        answer = sign_in(viewer, back=back)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{viewer.url}{back}")
        cookies = cookies_of(answer)
        assert {*cookies} == {SESSION, TOKEN}
        assert claims_of(cookies[TOKEN])["username"] == "ada"

    @pytest.mark.parametrize("person", [("ada", "wrong"), ("nobody", PASSWORD), ("ada", "")])
    def test_leads_back_without_them_where_it_failed(self, viewer: Example, person: tuple[str, str]) -> None:
        form = {"username": person[0], "password": person[1], "next": "/?region=12673"}
        answer = post(viewer, "/login", form)
        location, _, told = answer.headers["location"].partition("#")
        assert (answer.status_code, location) == (303, f"{viewer.url}/?region=12673")
        assert told == ("wrong" if person[1] else "failed")
        assert cookies_of(answer) == {}

    def test_says_so_where_the_issuer_cannot_be_asked(self, environment: dict[str, str], tmp_path: Path) -> None:
        nowhere = {**environment, "ISSUER": f"http://127.0.0.1:{free_port()}"}
        with programs.infraviewer(tmp_path, nowhere) as viewer:
            answer = sign_in(viewer)
        assert (answer.headers["location"], cookies_of(answer)) == (f"{viewer.url}/#failed", {})

    def test_gives_cookies_that_scripts_and_other_sites_cannot_use(self, viewer: Example) -> None:
        for cookie in baked(sign_in(viewer)).values():
            flags = {name: value for name, value in cookie.items() if value and name != "expires"}
            max_age = int(str(flags.pop("max-age")))
            assert flags == {"httponly": True, "samesite": "Lax", "path": "/"}
            assert max_age == 3_600

    def test_gives_cookies_that_need_tls_off_loopback(self, environment: dict[str, str], tmp_path: Path) -> None:
        with programs.infraviewer(tmp_path, {**environment, "RESOURCE": "https://viewer.example"}) as viewer:
            answer = sign_in(viewer)
        assert answer.headers["location"] == "https://viewer.example/"
        assert {name: cookie["secure"] for name, cookie in baked(answer).items()} == {
            f"__Host-{SESSION}": True,
            f"__Host-{TOKEN}": True,
        }

    def test_begins_a_session_of_its_own(self, viewer: Example) -> None:
        answer = sign_in(viewer, **header({SESSION: "chosen-by-an-attacker"}))
        assert cookies_of(answer)[SESSION] != "chosen-by-an-attacker"
        assert post(viewer, "/notes", {"note": "x"}, headers=header({SESSION: "chosen-by-an-attacker"})).is_client_error

    @pytest.mark.parametrize("password", [PASSWORD, "wrong"])
    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example/",
            "/\t/evil.example/",
            "\\\\evil.example",
            "@evil.example",
            ".evil.example",
            "javascript:alert(1)",
            "/\r\nSet-Cookie: a=b",
            "",
        ],
    )
    def test_never_leads_elsewhere(self, viewer: Example, target: str, password: str) -> None:
        answer = sign_in(viewer, password, back=target)
        location = httpx.URL(answer.headers["location"])
        assert (location.scheme, location.netloc.decode()) == tuple(viewer.url.split("://"))
        assert "a" not in cookies_of(answer)


class TestTheSession:
    def test_opens_what_the_application_keeps_for_a_person(self, viewer: Example) -> None:
        cookies = cookies_of(sign_in(viewer))
        person = header({SESSION: cookies[SESSION]})
        answer = post(viewer, "/notes", {"note": "<b>bright</b>", "next": "/?region=11429"}, headers=person)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{viewer.url}/?region=11429")
        page = plain.get(f"{viewer.url}/", headers=person).text
        assert "&lt;b&gt;bright&lt;/b&gt;" in page
        assert "bright" not in viewer.get("/").text

    def test_is_not_the_token(self, viewer: Example) -> None:
        cookies = cookies_of(sign_in(viewer))
        for other in ({}, {TOKEN: cookies[TOKEN]}, {SESSION: cookies[TOKEN]}):
            assert_told(post(viewer, "/notes", {"note": "x"}, headers=header(other)), 403, "Sign in to keep notes.")
        assert_told(post(viewer, "/ressource_1", headers=header({SESSION: cookies[SESSION]})), 401, NOT_FOUND)

    def test_ends_with_its_token_and_not_just_with_its_cookie(self, viewer: Example, site: Site) -> None:
        cookies = cookies_of(sign_in(viewer))
        assert site.is_active(cookies[TOKEN], auth=("infraviewer", SECRET))
        answer = post(viewer, "/logout", headers=header(cookies))
        assert answer.headers["location"] == "/"
        assert cookies_of(answer) == {SESSION: "", TOKEN: ""}
        assert not site.is_active(cookies[TOKEN], auth=("infraviewer", SECRET))
        assert post(viewer, "/notes", {"note": "x"}, headers=header(cookies)).status_code == 403


class TestTheResource:
    @pytest.mark.parametrize("path", RESOURCES)
    def test_is_read_by_everybody(self, viewer: Example, path: str) -> None:  # F10
        answer = viewer.get(path)
        assert (answer.status_code, answer.json()["secured"]) == (200, False)

    @pytest.mark.parametrize("path", RESOURCES)
    def test_is_changed_with_the_token_in_the_cookie_or_in_the_header(self, viewer: Example, path: str) -> None:  # F11
        token = cookies_of(sign_in(viewer))[TOKEN]
        for sent in (header({TOKEN: token}), bearer(token)):
            answer = post(viewer, path, headers=sent)
            assert answer.status_code == 200, answer.text
            assert answer.json() == {"resource": "ressource_1", "secured": True, "caller": "ada"}

    def test_takes_one_of_several_scopes(self, viewer: Example, site: Site) -> None:
        token = site.person(auth=("writer", SECRET))["access_token"]
        assert post(viewer, "/ressource_1", headers=bearer(token)).status_code == 200

    def test_refuses_another_scope(self, viewer: Example, site: Site) -> None:
        token = site.person(auth=("printer", SECRET))["access_token"]
        assert_told(post(viewer, "/ressource_1", headers=bearer(token)), 401, "Bearer token scope not valid.")

    def test_refuses_an_expired_token(self, viewer: Example, site: Site) -> None:
        token = expired(site, cookies_of(sign_in(viewer))[TOKEN])
        for sent in (header({TOKEN: token}), bearer(token)):
            assert_told(post(viewer, "/ressource_1", headers=sent), 401, "Bearer token is expired.")

    def test_refuses_what_is_no_token_for_it(self, viewer: Example, site: Site) -> None:
        token = cookies_of(sign_in(viewer))[TOKEN]
        foreign = site.machine(auth=("foreigner", SECRET))
        sent = [{}, bearer("x"), bearer(token[:-8] + "AAAAAAAA"), bearer(foreign), {"authorization": f"Basic {token}"}]
        for headers in sent:
            answer = post(viewer, "/ressource_1", headers=headers)
            assert_told(answer, 401, NOT_FOUND)
            challenge = f'Bearer error=invalid_token, error_description="{NOT_FOUND}"'
            assert answer.headers["www-authenticate"] == challenge

    def test_heeds_the_header_where_there_is_one(self, viewer: Example) -> None:
        token = cookies_of(sign_in(viewer))[TOKEN]
        assert_told(post(viewer, "/ressource_1", headers={**header({TOKEN: token}), **bearer("x")}), 401, NOT_FOUND)

    def test_refuses_a_revoked_token(self, viewer: Example) -> None:
        cookies = cookies_of(sign_in(viewer))
        assert post(viewer, "/ressource_1", headers=bearer(cookies[TOKEN])).status_code == 200
        post(viewer, "/logout", headers=header(cookies))
        deadline = time.monotonic() + 20
        while (answer := post(viewer, "/ressource_1", headers=bearer(cookies[TOKEN]))).status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert_told(answer, 401, NOT_FOUND)

    def test_refuses_browsers_by_a_page(self, viewer: Example) -> None:
        answer = post(viewer, "/ressource_1", headers={**BROWSER, "referer": f"{viewer.url}/?region=12673"})
        assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")
        assert NOT_FOUND in answer.text
        assert 'name="next" value="/?region=12673"' in answer.text


class TestAnotherSite:
    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}", "https://{host}"]
    )
    def test_cannot_post(self, viewer: Example, origin: str) -> None:
        url = httpx.URL(viewer.url)
        headers = {"origin": origin.format(port=url.port, host=url.netloc.decode())}
        cookies = cookies_of(sign_in(viewer))
        forms = {"/notes": {"note": "x"}, "/ressource_1": {}, "/logout": {}}
        for path, form in forms.items():
            assert post(viewer, path, form, headers={**headers, **header(cookies)}).status_code == 403
        assert sign_in(viewer, **headers).status_code == 403
        assert post(viewer, "/ressource_1", headers=header(cookies)).status_code == 200

    def test_is_not_this_one(self, viewer: Example) -> None:
        cookies = cookies_of(sign_in(viewer, origin=viewer.url))
        assert post(viewer, "/notes", {"note": "x"}, headers={"origin": viewer.url, **header(cookies)}).is_redirect


def fill_in(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def sees(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


class TestInABrowser:
    def test_a_person_signs_in_and_out(self, viewer: Example, open_page: Callable[..., Page]) -> None:
        page = open_page()
        page.goto(f"{viewer.url}/?region=12673")
        fill_in(page, "wrong")
        expect(page.locator(":target")).to_have_text("Wrong username or password.")
        page.wait_for_load_state()  # with its style
        expect(page.get_by_role("alert").filter(visible=True)).to_have_count(1)
        sees(page, "Active region 12673")
        assert page.context.cookies() == []
        fill_in(page)
        expect(page.get_by_text("Signed in as ada")).to_be_visible()
        sees(page, "Active region 12673")
        page.get_by_label("New note").fill("A flare!")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("listitem")).to_have_text(["A flare!"])
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Change").click()
        expect(page.locator("body")).to_contain_text('"caller":"ada"')
        page.go_back()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Username")).to_be_visible()
        assert page.context.cookies() == []

    def test_an_error_page_leads_back_after_signing_in(self, viewer: Example, open_page: Callable[..., Page]) -> None:
        page = open_page()
        page.goto(f"{viewer.url}/?region=11429")
        page.get_by_role("button", name="Change").click()
        sees(page, "Unauthorized")
        fill_in(page)
        sees(page, "Active region 11429")
        page.get_by_role("button", name="Read").click()
        expect(page.locator("body")).to_contain_text('"secured":false')

    @pytest.mark.parametrize("is_near", [True, False])
    def test_another_site_cannot_act_for_a_person(
        self, is_near: bool, viewer: Example, application: Application, open_page: Callable[..., Page]
    ) -> None:
        """The near one is another port of the same host: to it the browser sends both cookies, SameSite or not."""
        page = open_page()
        page.goto(viewer.url)
        fill_in(page)
        expect(page.get_by_text("Signed in as ada")).to_be_visible()
        elsewhere = application.url if is_near else application.foreign_url
        for path in ("/ressource_1", "/notes", "/login", "/logout"):
            page.goto(f"{elsewhere}/send?to={viewer.url}{path}&note=forged&username=mallory&password=x")
            with page.expect_request(f"{viewer.url}{path}") as sent:
                page.get_by_role("button", name="Send").click()
            sees(page, "Forbidden")
            assert ("cookie" in sent.value.all_headers()) is is_near
        page.goto(viewer.url)
        expect(page.get_by_text("Signed in as ada")).to_be_visible()
        expect(page.get_by_text("forged")).to_have_count(0)

    @pytest.mark.parametrize("name", ["viewer", "wrong", "signed in", "refused", "login"])
    def test_its_pages_are_readable_in_every_size_and_colour(
        self, name: str, viewer: Example, open_page: Callable[..., Page]
    ) -> None:
        page = open_page()
        page.goto(f"{viewer.url}/login" if name == "login" else viewer.url)
        if name == "refused":
            page.get_by_role("button", name="Change").click()
            sees(page, "Unauthorized")
        elif name in ("wrong", "signed in"):
            fill_in(page, PASSWORD if name == "signed in" else "wrong")
            expect(page.get_by_text("Signed in as" if name == "signed in" else "Wrong username")).to_be_visible()
        page.wait_for_load_state()  # with its style
        assert looks.faults(page, f"infraviewer {name}") == []
