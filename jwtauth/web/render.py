"""Pages as HTML: in the person's language, with the status and the Content-Security-Policy that each of them needs."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.units import format_unit
from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from msgspec import Struct

from jwtauth.endpoints.outcomes import (
    AccountPage,
    ConfirmLogoutPage,
    ConsentPage,
    ErrorPage,
    Fault,
    FinishedPage,
    FormPostPage,
    Page,
    Problem,
    SignedOutPage,
    SignInPage,
)
from jwtauth.protocol.password import LEAST_LENGTH
from jwtauth.protocol.redirect_uris import csp_sources

ENGLISH: Final = "en"
"""The language of the templates themselves, and of everybody whose languages have no catalogue."""

LONGEST_ACCEPT_LANGUAGE: Final = 1024
"""How much of the header is read, in characters; browsers send less than 100."""


_ALL_AS_THEY_ARE: Final[Mapping[type[Page], str]] = {}


class FrontPage(Struct, frozen=True, kw_only=True):
    """What this service is, for whoever opens the issuer in a browser."""

    ui_locales: tuple[str, ...] = ()


class Rendered(Struct, frozen=True, kw_only=True):
    """A page as it is sent."""

    html: bytes
    language: str
    """For the header Content-Language."""
    content_security_policy: str
    status: int


class Renderer:
    """Makes HTML of pages. All templates and catalogues are read once, when it is made."""

    def __init__(self, folder: Path, *, base: str, issuer: str) -> None:
        names = {"base": base, "issuer": issuer, "host": urlsplit(issuer).netloc}
        compiled = _Compiled()
        catalogues = {path.stem: path for path in sorted((folder / "locale").glob("*.po"))}
        self._environments = {
            language: _environment(folder, language, catalogue, names=names, compiled=compiled)
            for language, catalogue in ({ENGLISH: None} | catalogues).items()
        }

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which pages can be had."""
        return tuple(self._environments)

    def render(
        self,
        page: Page | FrontPage,
        *,
        accept_language: str | None,
        now: int,
        request_id: str = "",
        templates: Mapping[type[Page], str] = _ALL_AS_THEY_ARE,
    ) -> Rendered:
        """The page in the first of the person's languages that we speak; `templates` are those that look otherwise."""
        language = negotiate(page.ui_locales, accept_language, self.languages)
        standard = TEMPLATES[type(page)]
        name = standard if isinstance(page, FrontPage) else templates.get(type(page), standard)
        template = self._environments[language].get_template(name)
        return Rendered(
            html=template.render(page=page, now=now, request_id=request_id).encode("utf-8", "replace"),
            language=language,
            content_security_policy=_content_security_policy(page),
            status=_status(page),
        )


TEMPLATES: Final[dict[type[Page | FrontPage], str]] = {
    SignInPage: "sign_in.html",
    ConsentPage: "consent.html",
    FinishedPage: "finished.html",
    ErrorPage: "error.html",
    ConfirmLogoutPage: "confirm_logout.html",
    SignedOutPage: "signed_out.html",
    AccountPage: "account.html",
    FormPostPage: "form_post.html",
    FrontPage: "front.html",
}


class _Compiled(BytecodeCache):
    """The code of the templates, which is the same in all languages: compiling takes 50 ms."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what was compiled for another language."""
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled."""
        self._code[bucket.key] = bucket.bytecode_to_string()


def _environment(
    folder: Path, language: str, catalogue: Path | None, *, names: dict[str, str], compiled: _Compiled
) -> Environment:
    """The templates in one language, ready to be rendered."""
    locale = Locale.parse(language, sep="-")
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=compiled,
    )
    environment.install_gettext_translations(_translations(catalogue, language), newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= names | {
        "language": language,
        "direction": locale.text_direction,
        "least_length": LEAST_LENGTH,
    }
    environment.filters |= {
        "ago": lambda at, now: ago(at, now=now, locale=locale),
        "date": lambda at: _date(at, locale),
        "datetime": lambda at: datetime.fromtimestamp(at, UTC).isoformat(),
        "wait": lambda seconds: wait(seconds, locale=locale),
        "device": device,
    }
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)
    ago(0, now=0, locale=locale)  # reads the locale's data, which takes longer than a page
    return environment


def _translations(catalogue: Path | None, language: str) -> NullTranslations:
    """A PO file as the translations that gettext makes of the binary form; the binary form is never on disk."""
    if catalogue is None:
        return NullTranslations()
    binary = BytesIO()
    with catalogue.open("rb") as file:
        write_mo(binary, read_po(file, locale=language.replace("-", "_"), abort_invalid=True))
    binary.seek(0)
    return GNUTranslations(binary)


def negotiate(ui_locales: tuple[str, ...], accept_language: str | None, languages: tuple[str, ...]) -> str:
    """The application's wish before the browser's before English (OpenID Connect Core 1.0 section 3.1.2.1)."""
    wishes = [*(tag.replace("_", "-") for tag in ui_locales), *_accepted(accept_language or "")]
    spelled = {language.lower(): language for language in languages}
    found = negotiate_locale(wishes, list(spelled), sep="-", aliases={})
    return spelled[found.lower()] if found else ENGLISH


_LANGUAGE: Final = re.compile(
    r"([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*", re.ASCII
)


def _accepted(header: str) -> list[str]:
    """Language tags of an Accept-Language header, dearest first; what is no language range is passed over."""
    ranges = [_LANGUAGE.fullmatch(part.strip()) for part in header[:LONGEST_ACCEPT_LANGUAGE].split(",")]
    weighted = [(float(found[2] or 1), found[1]) for found in ranges if found]
    return [tag for weight, tag in sorted(weighted, key=lambda one: -one[0]) if weight > 0]


def ago(at: int, *, now: int, locale: Locale) -> str:
    """How long an instant is past, as in "3 hours ago": a minute at least, and after a week its date. Pages say "just
    now" of less than a minute themselves."""
    past = max(now - at, 60)  # of less, Babel says "in 0 minutes"
    if past >= 7 * 86_400:
        return _date(at, locale)
    return format_timedelta(timedelta(seconds=-past), granularity="minute", add_direction=True, locale=locale)


def wait(seconds: int, *, locale: Locale) -> str:
    """How long to wait, never less than it takes: seconds up to a minute, then whole minutes."""
    if seconds <= 60:
        return format_unit(seconds, "duration-second", "long", locale=locale)
    return format_unit(-(-seconds // 60), "duration-minute", "long", locale=locale)


def _date(at: int, locale: Locale) -> str:
    return format_date(datetime.fromtimestamp(at, UTC), "long", locale=locale)


_BROWSERS: Final = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Vivaldi/": "Vivaldi",
    "SamsungBrowser/": "Samsung Internet",
    "FxiOS/": "Firefox",
    "Firefox/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
"""By what a User-Agent header says, the most particular first: Edge calls itself Chrome, and Chrome Safari."""

_SYSTEMS: Final = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Windows": "Windows",
    "Macintosh": "macOS",
    "Linux": "Linux",
}


def device(user_agent: str) -> tuple[str, str]:
    """Browser and system as their makers call them, each empty where the header does not say."""
    browsers = (name for sign, name in _BROWSERS.items() if sign in user_agent)
    systems = (name for sign, name in _SYSTEMS.items() if sign in user_agent)
    return next(browsers, ""), next(systems, "")


def _status(page: Page | FrontPage) -> int:
    """A form that is shown again was refused, with 400 where nothing more particular is known."""
    match page:
        case SignInPage(problem=Problem() as problem) | AccountPage(problem=Problem() as problem):
            return {Problem.TOO_MANY_ATTEMPTS: 429, Problem.OVERLOADED: 503}.get(problem, 400)
        case ErrorPage(fault=fault):
            return _BY_FAULT.get(fault, 400)
        case _:
            return 200


_BY_FAULT: Final = {
    Fault.NOT_FOUND: 404,
    Fault.WRONG_METHOD: 405,
    Fault.SWITCHED_OFF: 410,
    Fault.TOO_LARGE: 413,
    Fault.OVERLOADED: 503,
    Fault.SERVER: 500,
}


def _content_security_policy(page: Page | FrontPage) -> str:
    """Nothing but our own files; forms lead here and to where the page says (SECURITY B-06)."""
    match page:
        case FormPostPage(redirect_uri=redirect_uri):
            return _policy(*csp_sources(redirect_uri), scripts="script-src 'self'; ")
        case SignInPage(form=form) | ConsentPage(form=form) | ConfirmLogoutPage(form=form) | AccountPage(form=form):
            return _policy("'self'", *form.targets)
        case _:
            return _policy("'self'")


_SOURCE: Final = re.compile(r"'self'|https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?|[a-z][a-z0-9+.-]*:", re.ASCII)


def _policy(*targets: str, scripts: str = "") -> str:
    """The header's text; what is no source is left out, so that a target adds nothing else to the header."""
    form_action = " ".join(filter(_SOURCE.fullmatch, targets)) or "'none'"
    return (
        f"default-src 'none'; {scripts}style-src 'self'; img-src 'self'; form-action {form_action}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
