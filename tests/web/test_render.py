"""Pages: valid in every language, safe with whatever is written on them, legible in both themes."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from time import perf_counter
from typing import Any, Final, Self

import pytest
from babel import Locale
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from jwtauth.endpoints.outcomes import (
    AccountPage,
    ApplicationRow,
    ConfirmLogoutPage,
    ConsentPage,
    ErrorPage,
    Fault,
    FinishedPage,
    Form,
    FormPostPage,
    Notice,
    Page,
    Problem,
    SessionRow,
    SignedOutPage,
    SignInPage,
)
from jwtauth.protocol.profile import CLAIMS
from jwtauth.web.pages import templates
from jwtauth.web.render import FrontPage, Rendered, Renderer, ago, device, negotiate, wait

NOW: Final = 1_800_000_000
BASE: Final = "/t1"
RENDERER: Final = Renderer(templates(), base=BASE, issuer=f"https://login.example.org{BASE}")
LANGUAGES: Final = ("en", "de", "es", "fr")
NASTY: Final = "\"'><script>alert(1)</script>{{ 7 * 7 }}%(x)s &amp; \u202e " + "w" * 300
FIREFOX: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

FORM: Final = Form(csrf="the-csrf", transaction="the-transaction", targets=("https://photos.example.com",))
SIGN_IN: Final = SignInPage(form=FORM, client_name="Photo Album")
CONSENT: Final = ConsentPage(
    form=FORM,
    client_name="Photo Album",
    username="anna",
    scope=("openid", "profile", "offline_access", "photos:read"),
    claims=CLAIMS,
    resources=("https://api.example.com",),
    destination="photos.example.com",
)
ACCOUNT: Final = AccountPage(
    form=Form(csrf="the-csrf"),
    username="anna",
    name="Anna Lind",
    sessions=(
        SessionRow(sid="s1", user_agent=FIREFOX, created_at=NOW - 9_000, seen_at=NOW - 5, is_current=True),
        SessionRow(sid="s2", user_agent="", created_at=NOW - 9_000_000, seen_at=NOW - 8_000_000, is_current=False),
    ),
    applications=(
        ApplicationRow(client_id="c1", name="Photo Album", scope=("openid",), since=NOW - 9_000, is_offline=True),
    ),
    has_password=True,
)
ERROR: Final = ErrorPage(
    fault=Fault.EXPIRED,
    client_name="Photo Album",
    details="redirect_uri: is not registered",
    restart="/login?transaction=a&b=c",
)
LOGOUT: Final = ConfirmLogoutPage(form=FORM, username="anna", client_name="Photo Album")
FORM_POST: Final = FormPostPage(
    redirect_uri="https://photos.example.com:8443/callback?a=1&b=2",
    parameters={"code": "the-code", "state": "the-state"},
    client_name="Photo Album",
)

PAGES: Final[dict[str, Page | FrontPage]] = {
    "sign in": SIGN_IN,
    "sign in to see the account": SignInPage(form=Form(csrf="the-csrf")),
    "sign in again": structs.replace(SIGN_IN, username="anna", is_username_known=True),
    **{f"sign in: {one}": structs.replace(SIGN_IN, problem=one, username="anna") for one in list(Problem)[:4]},
    "consent": CONSENT,
    "consent to an unproven application": structs.replace(CONSENT, is_identity_proven=False),
    "consent to nothing in particular": structs.replace(CONSENT, scope=(), claims=(), resources=()),
    "finished": FinishedPage(client_name="Photo Album"),
    **{f"error: {one}": ErrorPage(fault=one) for one in Fault},
    "error with everything": ERROR,
    "confirm logout": LOGOUT,
    "confirm logout that nobody asked for": structs.replace(LOGOUT, client_name=None),
    "signed out": SignedOutPage(client_name="Photo Album"),
    "signed out by oneself": SignedOutPage(),
    "account": ACCOUNT,
    "account without anything": structs.replace(ACCOUNT, sessions=(), applications=(), has_password=False, name=""),
    **{f"account: {one}": structs.replace(ACCOUNT, notice=one) for one in Notice},
    **{f"account: {one}": structs.replace(ACCOUNT, problem=one) for one in list(Problem)[2:]},
    "form post": FORM_POST,
    "front": FrontPage(),
}

KINDS: Final = (SIGN_IN, CONSENT, FinishedPage(client_name=""), ERROR, LOGOUT, SignedOutPage(), ACCOUNT, FORM_POST)
"""One page of each kind with all that it can show."""

VOID: Final = {"meta", "link", "img", "input", "br", "hr"}


class Reading(HTMLParser):
    """What a browser finds on a page. Raises AssertionError where tags are not closed in the order they were opened."""

    def __init__(self, rendered: Rendered) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(rendered.html.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in tags]

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] or "" for _, attributes in self.tags if attribute in attributes]

    def fields(self) -> dict[str, str | None]:
        """What is sent whichever button is pressed."""
        return {name: one.get("value") for one in self.all("input") if (name := one.get("name"))}

    def forms(self) -> Iterator[Self]:
        """The page's forms, each as a reading of its own."""
        for number, (tag, _) in enumerate(self.tags):
            if tag == "form":
                inside = self.tags[number + 1 :]
                end = next((at for at, (other, _) in enumerate(inside) if other == "form"), len(inside))
                form = object.__new__(type(self))
                form.tags = [self.tags[number], *inside[:end]]
                yield form


def render(page: Page | FrontPage, language: str = "en", **options: Any) -> Rendered:
    return RENDERER.render(page, accept_language=language, now=NOW, **options)


def read(page: Page | FrontPage, language: str = "en", **options: Any) -> Reading:
    return Reading(render(page, language, **options))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
class TestEveryPage:
    def test_is_well_formed(self, page: Page, language: str) -> None:
        reading = read(page, language)
        ids = reading.values("id")
        assert len(ids) == len(set(ids))
        assert [one["lang"] for one in reading.all("html")] == [language]
        assert len(reading.all("title")) == len(reading.all("h1")) == len(reading.all("main")) == 1

    def test_names_what_is_entered_and_what_describes_it(self, page: Page, language: str) -> None:
        reading = read(page, language)
        shown = [one for one in reading.all("input") if one.get("type") != "hidden" and "hidden" not in one]
        assert {one["id"] for one in shown} == set(reading.values("for"))
        references = reading.values("aria-describedby") + reading.values("aria-labelledby")
        assert {name for one in references for name in one.split()} <= set(reading.values("id"))

    def test_has_nothing_inline_and_nothing_from_elsewhere(self, page: Page, language: str) -> None:
        reading = read(page, language)
        attributes = {name for _, named in reading.tags for name in named}
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        assert not reading.all("style", "iframe", "object", "base")
        assert all("src" in one for one in reading.all("script"))
        links = reading.values("href") + reading.values("src")
        assert all(link.startswith(f"{BASE}/") for link in links)


class TestCost:
    def test_of_the_longest_page_is_small(self) -> None:
        """Half a millisecond; 4 where templates are loaded anew. The best of many does not mind a busy machine."""
        assert min(_time(ACCOUNT) for _ in range(50)) < 0.003


def _time(page: Page) -> float:
    start = perf_counter()
    render(page, "de")
    return perf_counter() - start


class TestWhatComesFromOutside:
    """Names, addresses and headers are text, whatever is written in them (SECURITY B-17, Z-10)."""

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("page", KINDS, ids=lambda page: type(page).__name__)
    def test_is_never_markup(self, page: Page, language: str) -> None:
        for changed in _with_nasty_texts(page):
            reading = read(changed, language, request_id=NASTY)
            assert [one.get("src") for one in reading.all("script")] in ([], [f"{BASE}/submit.js"])
            assert NASTY in reading.text or any(NASTY in value for value in _attributes(reading))

    def test_is_isolated_from_the_direction_of_the_text_around_it(self) -> None:
        html = render(structs.replace(CONSENT, client_name="\u202eevil")).html.decode()
        assert html.count('<bdi class="name">\u202eevil</bdi>') == html.count("\u202e") == 1

    def test_may_be_no_text_at_all(self) -> None:
        assert b"<code>?</code>" in render(structs.replace(CONSENT, scope=("\ud800",))).html

    def test_is_shown_as_it_is_where_there_are_no_words_for_it(self) -> None:
        assert b"<code>photos:read</code>" in render(CONSENT).html


def _with_nasty_texts(page: Page) -> Iterator[Page]:
    """The page once for each of its texts, which is replaced."""
    for name in page.__struct_fields__:
        match getattr(page, name):
            case Problem() | Fault() | Notice():
                continue
            case str():
                if name != "restart":  # which is a path of ours
                    yield structs.replace(page, **{name: NASTY})
            case [str(), *_] if name != "ui_locales":
                yield structs.replace(page, **{name: (NASTY,)})
            case [SessionRow() as row, *_]:
                yield structs.replace(page, sessions=(structs.replace(row, sid=NASTY, user_agent=NASTY),))
            case [ApplicationRow() as row, *_]:
                changed = structs.replace(row, client_id=NASTY, name=NASTY, scope=(NASTY,))
                yield structs.replace(page, applications=(changed,))
            case Form():
                yield structs.replace(page, form=Form(csrf=NASTY, transaction=NASTY))
            case dict():
                yield structs.replace(page, parameters={NASTY: NASTY})


def _attributes(reading: Reading) -> list[str]:
    return [value for _, attributes in reading.tags for value in attributes.values() if value]


class TestForms:
    def test_send_what_their_endpoint_reads(self) -> None:
        sent = {
            "sign in": (SIGN_IN, {"csrf", "transaction", "username", "password"}, {"cancel"}),
            "again": (PAGES["sign in again"], {"csrf", "transaction", "username", "password"}, {"cancel", "switch"}),
            "consent": (CONSENT, {"csrf", "transaction"}, {"decision", "switch"}),
            "logout": (LOGOUT, {"csrf", "transaction"}, {"decision"}),
        }
        for page, fields, buttons in sent.values():
            (form,) = read(page).forms()
            assert form.fields().keys() == fields
            assert {one["name"] for one in form.all("button") if "name" in one} == buttons

    @pytest.mark.parametrize(
        ("page", "path"), [(SIGN_IN, "/login"), (CONSENT, "/consent"), (ACCOUNT, "/account"), (LOGOUT, "/oauth/logout")]
    )
    def test_go_to_their_endpoint_with_what_belongs_to_the_visit(self, page: Page, path: str) -> None:
        for form in read(page).forms():
            assert form.all("form") == [{"method": "post", "action": BASE + path}]
            assert form.fields()["csrf"] == "the-csrf"
            assert form.fields().get("transaction") == (None if page is ACCOUNT else "the-transaction")

    def test_of_the_account_say_what_is_to_be_done(self) -> None:
        forms = [
            form.fields() | {str(one["name"]): one["value"] for one in form.all("button") if "name" in one}
            for form in read(ACCOUNT).forms()
        ]
        assert [(form["action"], form.keys() - {"csrf", "action"}) for form in forms] == [
            ("end_session", {"sid"}),
            ("end_session", {"sid"}),
            ("end_application", {"client_id"}),
            ("change_password", {"current_password", "new_password", "repeated_password"}),
            ("end_all", set()),
        ]

    def test_are_sent_by_the_return_key_as_by_their_main_button(self) -> None:
        """The first button of a form is the one that Return presses (HTML section 4.10.21.2)."""
        for page in (SIGN_IN, PAGES["sign in again"]):
            first, *others = read(page).all("button")
            assert first == {"class": "primary"}
            assert all("formnovalidate" in one for one in others)

    def test_tell_password_managers_what_is_what(self) -> None:
        told = {one["name"]: one["autocomplete"] for one in read(SIGN_IN).all("input") if "autocomplete" in one}
        assert told == {"username": "username", "password": "current-password"}
        told = {
            str(one.get("name")): one["autocomplete"] for one in read(ACCOUNT).all("input") if "autocomplete" in one
        }
        assert told == {
            "None": "username",
            "current_password": "current-password",
            "new_password": "new-password",
            "repeated_password": "new-password",
        }

    def test_keep_a_username_that_is_known(self) -> None:
        (form,) = read(PAGES["sign in again"]).forms()
        (username,) = [one for one in form.all("input") if one.get("name") == "username"]
        assert (username["value"], "readonly" in username) == ("anna", True)

    def test_offer_to_cancel_only_where_somebody_waits_for_the_answer(self) -> None:
        assert "cancel" in read(SIGN_IN).values("name")
        assert "cancel" not in read(SignInPage(form=FORM)).values("name")

    def test_of_the_application_receive_the_answer(self) -> None:
        reading = read(FORM_POST)
        (form,) = reading.forms()
        assert form.all("form") == [{"method": "post", "action": FORM_POST.redirect_uri}]
        assert form.fields() == FORM_POST.parameters
        assert form.all("button")
        assert reading.values("src")[-1:] == [f"{BASE}/mark.svg"]
        assert f"{BASE}/submit.js" in reading.values("src")


class TestWhatIsWrong:
    def test_is_said_first_in_the_title_and_beside_the_field(self) -> None:
        page = structs.replace(SIGN_IN, problem=Problem.WRONG_PASSWORD)
        reading = read(page)
        assert "<title>Wrong username or password – Sign in · login.example.org</title>" in render(page).html.decode()
        assert [one["id"] for one in reading.all("div") if one.get("role") == "alert"] == ["problem"]
        described = {one["name"] for one in reading.all("input") if one.get("aria-describedby") == "problem"}
        assert described == {"username", "password"}

    def test_never_says_which_of_the_two(self) -> None:
        """Unknown usernames and wrong passwords look the same (SECURITY B-08)."""
        reading = read(structs.replace(SIGN_IN, username="anna", problem=Problem.WRONG_PASSWORD))
        assert {one["name"] for one in reading.all("input") if "aria-invalid" in one} == {"username", "password"}

    def test_says_how_long_to_wait(self) -> None:
        page = structs.replace(SIGN_IN, problem=Problem.TOO_MANY_ATTEMPTS, retry_after_in=61)
        assert "Please wait 2 minutes, then try again." in read(page).text
        assert "Bitte warten Sie 2 Minuten und" in read(page, "de").text

    def test_lets_the_person_begin_anew(self) -> None:
        assert f"{BASE}/login?transaction=a&b=c" in read(ERROR).values("href")

    def test_is_told_to_developers_and_has_a_reference(self) -> None:
        text = read(ERROR, request_id="4f2c9a61").text
        assert "redirect_uri: is not registered" in text
        assert "Reference: 4f2c9a61" in text
        assert "Reference" not in read(ERROR).text

    @pytest.mark.parametrize(
        ("page", "status"),
        [
            (SIGN_IN, 200),
            (structs.replace(SIGN_IN, problem=Problem.WRONG_PASSWORD), 400),
            (structs.replace(SIGN_IN, problem=Problem.NO_MEMBER), 400),
            (structs.replace(SIGN_IN, problem=Problem.TOO_MANY_ATTEMPTS), 429),
            (structs.replace(SIGN_IN, problem=Problem.OVERLOADED), 503),
            (ACCOUNT, 200),
            (structs.replace(ACCOUNT, notice=Notice.PASSWORD_CHANGED), 200),
            (structs.replace(ACCOUNT, problem=Problem.PASSWORDS_DIFFER), 400),
            (structs.replace(ACCOUNT, problem=Problem.TOO_MANY_ATTEMPTS), 429),
            (structs.replace(ACCOUNT, problem=Problem.OVERLOADED), 503),
            (ErrorPage(fault=Fault.UNKNOWN_CLIENT), 400),
            (ErrorPage(fault=Fault.BAD_REDIRECT_URI), 400),
            (ErrorPage(fault=Fault.BAD_REQUEST), 400),
            (ErrorPage(fault=Fault.EXPIRED), 400),
            (ErrorPage(fault=Fault.OTHER_BROWSER), 400),
            (ErrorPage(fault=Fault.FOREIGN_FORM), 400),
            (ErrorPage(fault=Fault.NOT_FOUND), 404),
            (ErrorPage(fault=Fault.WRONG_METHOD), 405),
            (ErrorPage(fault=Fault.TOO_LARGE), 413),
            (ErrorPage(fault=Fault.OVERLOADED), 503),
            (ErrorPage(fault=Fault.SERVER), 500),
            (CONSENT, 200),
            (LOGOUT, 200),
            (SignedOutPage(), 200),
            (FORM_POST, 200),
            (FrontPage(), 200),
        ],
    )
    def test_has_its_status(self, page: Page, status: int) -> None:
        assert render(page).status == status


class TestContentSecurityPolicy:  # Content Security Policy Level 3
    @pytest.mark.parametrize(
        ("page", "form_action"),
        [
            (FrontPage(), "'self'"),
            (ERROR, "'self'"),
            (ACCOUNT, "'self'"),
            (SIGN_IN, "'self' https://photos.example.com"),
            (CONSENT, "'self' https://photos.example.com"),
            (LOGOUT, "'self' https://photos.example.com"),
        ],
    )
    def test_lets_forms_lead_where_the_page_says_and_nothing_else_act(self, page: Page, form_action: str) -> None:
        assert render(page).content_security_policy == (
            f"default-src 'none'; style-src 'self'; img-src 'self'; form-action {form_action}; "
            "frame-ancestors 'none'; base-uri 'none'"
        )

    @pytest.mark.parametrize(
        ("redirect_uri", "form_action"),
        [
            ("https://photos.example.com:8443/callback?a=1", "https:"),
            ("http://127.0.0.1:49152/", "https: http:"),
            ("http://[::1]:49152/", "https: http:"),
            ("com.example.app:/callback", "https: com.example.app:"),
        ],
    )
    def test_lets_an_answer_go_to_its_application_and_on_from_there(self, redirect_uri: str, form_action: str) -> None:
        assert render(structs.replace(FORM_POST, redirect_uri=redirect_uri)).content_security_policy == (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action {form_action}; "
            "frame-ancestors 'none'; base-uri 'none'"
        )

    @pytest.mark.parametrize(
        "target",
        [
            "*",
            "https:; script-src *",
            "https://a.example\r\nX: y",
            "https://a.example b",
            "'unsafe-inline'",
            "",
            "a,b:",
        ],
    )
    def test_takes_nothing_but_sources(self, target: str) -> None:
        form = structs.replace(FORM, targets=(target,))
        assert "form-action 'self'; " in render(structs.replace(SIGN_IN, form=form)).content_security_policy


class TestLanguage:
    @pytest.mark.parametrize(
        ("ui_locales", "accept_language", "language"),
        [
            ((), None, "en"),
            ((), "", "en"),
            ((), "*", "en"),
            ((), "de", "de"),
            ((), "DE-at;q=0.9", "de"),
            ((), "xx", "en"),
            ((), "xx, fr-CA;q=0.3", "fr"),
            ((), "es;q=0.2, fr;q=0.8, de;q=0.5", "fr"),
            ((), "de;q=0, es", "es"),
            ((), "de;q=0", "en"),
            ((), "en-GB, de", "en"),
            ((), "de ; q=0.4 , es ; q=0.5", "es"),
            ((), "de;q=2, es;q=0.1", "es"),
            ((), ";;,,;q=,-, de-, fr_FR, \x00, es", "es"),
            (("fr",), "de", "fr"),
            (("fr_CA",), "de", "fr"),
            (("xx", "es-MX"), "de", "es"),
            (("xx",), "de", "de"),
            (("", "../../etc/passwd"), None, "en"),
        ],
    )
    def test_is_the_applications_wish_then_the_browsers_then_english(
        self, ui_locales: tuple[str, ...], accept_language: str | None, language: str
    ) -> None:
        page = structs.replace(SIGN_IN, ui_locales=ui_locales)
        rendered = RENDERER.render(page, accept_language=accept_language, now=NOW)
        assert rendered.language == language
        assert f'<html lang="{language}"'.encode() in rendered.html

    @given(st.lists(st.text(max_size=20), max_size=4), st.text(alphabet="deq=;, .019-*_\x00ü", max_size=200))
    @example([], "a-" * 5_000)
    @example([], ",;q=" * 2_500)
    @example([], "a" * 10_000)
    @example([], "de" + " " * 10_000)
    def test_can_be_asked_for_with_anything(self, ui_locales: list[str], accept_language: str) -> None:
        assert negotiate(tuple(ui_locales), accept_language, LANGUAGES) in LANGUAGES

    def test_is_spelled_as_its_catalogue(self) -> None:
        assert negotiate(("PT-br",), None, ("en", "pt-BR")) == "pt-BR"

    def test_can_be_any_that_has_a_catalogue(self) -> None:
        assert RENDERER.languages == LANGUAGES


class TestInstants:
    @pytest.mark.parametrize(
        ("past", "language", "text"),
        [
            (0, "en", "1 minute ago"),
            (-50, "en", "1 minute ago"),
            (3 * 3_600, "en", "3 hours ago"),
            (3 * 3_600, "de", "vor 3 Stunden"),
            (2 * 86_400, "fr", "il y a 2 jours"),
            (7 * 86_400, "en", "January 8, 2027"),
            (7 * 86_400, "es", "8 de enero de 2027"),
        ],
    )
    def test_are_so_long_ago_and_after_a_week_a_date(self, past: int, language: str, text: str) -> None:
        assert ago(NOW - past, now=NOW, locale=Locale(language)) == text

    @pytest.mark.parametrize(("seconds", "text"), [(1, "1 second"), (60, "60 seconds"), (61, "2 minutes")])
    def test_are_never_waited_for_too_briefly(self, seconds: int, text: str) -> None:
        assert wait(seconds, locale=Locale("en")) == text


CHROME: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)


class TestDevices:
    @pytest.mark.parametrize(
        ("user_agent", "names"),
        [
            (FIREFOX, ("Firefox", "Linux")),
            (CHROME, ("Chrome", "Windows")),
            (f"{CHROME} Edg/140.0.0.0", ("Edge", "Windows")),
            (f"{CHROME} OPR/120.0.0.0", ("Opera", "Windows")),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1",
                ("Safari", "iPhone"),
            ),
            ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0.0.0 Mobile Safari/537.36", ("Chrome", "Android")),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Firefox/140.0", ("Firefox", "macOS")),
            ("curl/8.5.0", ("", "")),
            ("", ("", "")),
        ],
    )
    def test_are_named_as_far_as_they_say_what_they_are(self, user_agent: str, names: tuple[str, str]) -> None:
        assert device(user_agent) == names

    def test_that_nobody_knows_are_quoted(self) -> None:
        rows = (SessionRow(sid="s", user_agent="curl/8.5.0", created_at=NOW, seen_at=NOW, is_current=False),)
        text = read(structs.replace(ACCOUNT, sessions=rows)).text
        assert "Unknown browser curl/8.5.0" in text


STYLE: Final = re.sub(r"/\*.*?\*/", "", (templates() / "style.css").read_text(encoding="utf-8"), flags=re.DOTALL)
COLOURS: Final = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", STYLE)
}
OWN_BACKGROUND: Final = re.findall(r"background: var\(--([a-z-]+)\);\s*color: var\(--([a-z-]+)\);", STYLE)
TEXTS: Final = {
    *OWN_BACKGROUND,
    *((paper, text) for paper in ("paper", "card") for text in ("ink", "soft", "link", "danger")),
}
"""Text on its background: where one rule states both, and what inherits the background of page and card."""
SHAPES: Final = [(paper, shape) for paper in ("paper", "card") for shape in ("edge", "focus", "accent")]
"""Outlines of fields and buttons, the focus ring, the main button."""


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
class TestColours:  # WCAG 2.2 sections 1.4.3 and 1.4.11
    @pytest.mark.parametrize(("background", "text"), sorted(TEXTS))
    def test_of_text_differ_enough_from_what_is_behind(self, background: str, text: str, theme: int) -> None:
        assert contrast(COLOURS[background][theme], COLOURS[text][theme]) >= 4.5

    @pytest.mark.parametrize(("background", "shape"), SHAPES)
    def test_of_shapes_differ_enough_from_what_is_behind(self, background: str, shape: str, theme: int) -> None:
        assert contrast(COLOURS[background][theme], COLOURS[shape][theme]) >= 3


class TestTheStylesheet:
    def test_names_every_colour_once(self) -> None:
        assert len(re.findall(r"#[0-9a-fA-F]{3,8}\b", STYLE)) == 2 * len(COLOURS)
        assert len(OWN_BACKGROUND) >= 10

    def test_uses_what_it_names_and_names_what_it_uses(self) -> None:
        assert set(re.findall(r"var\(--([a-z-]+)\)", STYLE)) == set(re.findall(r"--([a-z-]+):", STYLE))

    def test_loads_nothing(self) -> None:
        assert "url(" not in STYLE
        assert "@import" not in STYLE

    def test_has_a_rule_for_every_class_and_a_class_for_every_rule(self) -> None:
        used = {
            name
            for page in PAGES.values()
            for value in read(page, request_id="x").values("class")
            for name in value.split()
        }
        styled = set(re.findall(r"\.([a-z]+)", re.sub(r"\{[^{}]*\}", "", STYLE)))
        assert used == styled


class TestContrast:
    def test_is_that_of_the_specification(self) -> None:
        assert contrast("#000000", "#ffffff") == pytest.approx(21)
        assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


class TestHeadings:
    @pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
    def test_skip_no_level(self, page: Page) -> None:
        levels = [int(tag[1]) for tag, _ in read(page).tags if re.fullmatch(r"h[1-6]", tag)]
        assert levels[0] == 1
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
