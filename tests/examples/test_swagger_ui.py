"""examples/swagger_ui in a real browser, beside both demonstrations that it names (SEEDS F1, F10 to F12)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

import pytest
from msgspec import Struct
from playwright.sync_api import Locator, Page, expect

from jwtauth.protocol import pkce
from tests.examples import programs
from tests.examples.programs import Example
from tests.support import plain
from tests.support.live import LiveServer, free_port


class Demonstration(Struct, frozen=True, kw_only=True):
    """One of those that the example's first lines name."""

    options: tuple[str, ...] = ()
    realm: str = "default"
    client_id: str = "demo-app"
    username: str = "demo"
    password: str = "demo-password"
    environment: Mapping[str, str] = {}


DEMONSTRATIONS: Final = {
    "dev": Demonstration(),
    "dev --dialect flarecast": Demonstration(
        options=("--dialect", "flarecast"),
        realm="flarecast",
        client_id="1234",
        username="TestUser1",
        password="1234",
        environment={"CLIENT_ID": "1234"},
    ),
}


@pytest.fixture(scope="module", params=DEMONSTRATIONS)
def chosen(request: pytest.FixtureRequest) -> Demonstration:
    """Each in turn."""
    return DEMONSTRATIONS[request.param]


@pytest.fixture(scope="module")
def issuer(chosen: Demonstration, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The demonstration in an empty folder."""
    with LiveServer(tmp_path_factory.mktemp("issuer"), command="dev", options=chosen.options) as running:
        yield running


@pytest.fixture(scope="module")
def docs(chosen: Demonstration, issuer: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The example, on a port that its client was told."""
    port = free_port()
    redirect_uri = f"http://127.0.0.1:{port}/oauth2-redirect.html"
    programs.command_line(issuer.path, "client", "change", chosen.client_id, "--redirect-uri", redirect_uri)
    audience = f"{issuer.url}/realms/{chosen.realm}"
    environment = {"ISSUER": issuer.url, "AUDIENCE": audience, **chosen.environment}
    with programs.swagger_ui(tmp_path_factory.mktemp("docs"), port, environment) as running:
        yield running


@pytest.fixture
def page(docs: Example, open_page: Callable[..., Page]) -> Page:
    """Swagger UI in the browser of somebody who is signed in nowhere."""
    page = open_page()
    page.goto(docs.url)
    return page


def operation(page: Page, method: str) -> Locator:
    """One operation, opened and ready to be tried."""
    found = page.locator(f".opblock-{method}")
    found.locator(".opblock-summary-control").click()
    found.get_by_role("button", name="Try it out").click()
    return found


def execute(found: Locator) -> tuple[str, str]:
    """Press Execute: the status and body that are shown."""
    found.get_by_role("button", name="Execute").click()
    answer = found.locator(".live-responses-table .response")
    return answer.locator(".response-col_status").inner_text(), answer.locator("code").first.inner_text()


def authorize(page: Page) -> Page:
    """Press Authorize, in the page and in its dialog: the issuer's window."""
    page.get_by_role("button", name="Authorize", exact=True).click()
    with page.expect_popup() as opened:
        page.locator(".auth-container").get_by_role("button", name="Apply given OAuth2 credentials").click()
    return opened.value


def sign_in(window: Page, chosen: Demonstration) -> None:
    window.get_by_label("Username").fill(chosen.username)
    window.get_by_label("Password").fill(chosen.password)
    window.get_by_role("button", name="Sign in").click()


class TestWithoutABrowser:
    def test_the_resource_is_read_by_everybody_and_changed_with_a_token(self, docs: Example) -> None:
        assert docs.get("/ressource_1").json() == {"resource": "ressource_1", "secured": False}
        for headers in ({}, {"authorization": "Bearer x"}):
            answer = plain.post(f"{docs.url}/ressource_1", headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
            assert answer.headers["www-authenticate"].startswith("Bearer ")

    def test_the_document_names_the_endpoints_that_there_are(self, docs: Example, issuer: LiveServer) -> None:
        document = docs.get("/openapi.json").json()
        flow = document["components"]["securitySchemes"]["jwtauth"]["flows"]["authorizationCode"]
        known = plain.get(f"{issuer.url}/.well-known/oauth-authorization-server").json()
        assert flow["authorizationUrl"] == known["authorization_endpoint"]
        assert flow["tokenUrl"] == known["token_endpoint"]


class TestInABrowser:
    def test_anybody_reads_and_nobody_changes(self, page: Page) -> None:  # F10
        status, body = execute(operation(page, "get"))
        assert (status, '"secured": false' in body) == ("200", True)
        status, body = execute(operation(page, "post"))
        assert (status, '"error": "invalid_token"' in body) == ("401", True)

    def test_who_signs_in_and_allows_it_changes(self, page: Page, chosen: Demonstration) -> None:  # F1, F11, F12
        change = operation(page, "post")
        with page.expect_request("**/oauth/token") as redeemed:
            with page.context.expect_event("request", lambda sent: "/oauth/authorize?" in sent.url) as asked:
                window = authorize(page)
            expect(window.get_by_role("heading", level=1)).to_have_text("Sign in")
            sign_in(window, chosen)
            expect(window.get_by_role("heading", level=1)).to_have_text("Allow access?")
            with window.expect_event("close"):
                window.get_by_role("button", name="Allow").click()
        request = dict(parse_qsl(urlsplit(asked.value.url).query))
        form = dict(parse_qsl(redeemed.value.post_data or ""))
        assert (request["client_id"], request["code_challenge_method"]) == (chosen.client_id, "S256")
        pkce.check(form["code_verifier"], request["code_challenge"], refusal="they do not belong together")
        assert not {"client_secret", "authorization"} & {*form, *redeemed.value.all_headers()}
        page.locator(".auth-btn-wrapper").get_by_role("button", name="Close").click()
        status, body = execute(change)
        assert (status, f'"caller": "{chosen.username}"' in body) == ("200", True)

    def test_who_denies_it_is_told(self, page: Page, chosen: Demonstration) -> None:
        window = authorize(page)
        sign_in(window, chosen)
        with window.expect_event("close"):
            window.get_by_role("button", name="Deny").click()
        expect(page.locator(".auth-container .errors")).to_contain_text("access_denied")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_is_as_dark_as_the_person_wants(self, page: Page, scheme: Literal["light", "dark"]) -> None:
        page.emulate_media(color_scheme=scheme)
        page.reload()
        expect(page.get_by_text("Resource 1")).to_be_visible()
        assert page.evaluate("document.documentElement.classList.contains('dark-mode')") is (scheme == "dark")

    def test_no_script_of_others_would_run_in_it(self, page: Page) -> None:
        with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
            page.evaluate("""
                const script = document.createElement("script");
                script.textContent = "window.stolen = true";
                document.body.append(script);
            """)
        assert page.evaluate("window.stolen") is None
