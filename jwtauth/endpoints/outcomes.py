"""What a person's browser is told: a page to show, or where to go. `jwtauth.web` makes HTML and redirects of it."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from jwtauth.protocol.authorization import Answer


class Problem(StrEnum):
    """Why a form is shown again."""

    WRONG_PASSWORD = "wrong_password"
    """Username or password: which of the two is never said."""
    NO_MEMBER = "no_member"
    """The person signed in here may not use this application."""
    OTHER_PERSON = "other_person"
    """The application means somebody else than the person signed in here."""
    TOO_MANY_ATTEMPTS = "too_many_attempts"
    OVERLOADED = "overloaded"
    UPSTREAM_DENIED = "upstream_denied"
    """The person, or the other service, said no to signing in there."""
    UPSTREAM_FAILED = "upstream_failed"
    """The other service did not answer, or not as it should, or it took too long."""
    UPSTREAM_UNKNOWN = "upstream_unknown"
    """Who signed in there may not use anything here: unknown, disabled and no member are not told apart."""
    WRONG_CURRENT_PASSWORD = "wrong_current_password"
    PASSWORDS_DIFFER = "passwords_differ"
    PASSWORD_TOO_SHORT = "password_too_short"
    PASSWORD_TOO_LONG = "password_too_long"


class Fault(StrEnum):
    """Why a request cannot go on; which text the error page has."""

    UNKNOWN_CLIENT = "unknown_client"
    BAD_REDIRECT_URI = "bad_redirect_uri"
    """Unregistered, missing or malformed: nothing may be sent there."""
    BAD_REQUEST = "bad_request"
    EXPIRED = "expired"
    """The transaction took too long; `restart` begins it anew."""
    OTHER_BROWSER = "other_browser"
    """The transaction was begun in another browser, or cookies are off."""
    FOREIGN_FORM = "foreign_form"
    """The form came from another site, or is older than the cookie."""
    NOT_FOUND = "not_found"
    SWITCHED_OFF = "switched_off"
    """The path was for older applications, whose time is over."""
    WRONG_METHOD = "wrong_method"
    TOO_LARGE = "too_large"
    OVERLOADED = "overloaded"
    SERVER = "server"


class Notice(StrEnum):
    """What was done, said once on the page that follows."""

    PASSWORD_CHANGED = "password_changed"
    SESSION_ENDED = "session_ended"
    APPLICATION_ENDED = "application_ended"


class Form(Struct, frozen=True, kw_only=True):
    """What the forms of a page have in common."""

    csrf: str
    """For the hidden field `csrf`."""
    transaction: str = ""
    """For the hidden field `transaction`, sealed; empty where the page belongs to no authorization request."""
    targets: tuple[str, ...] = ()
    """CSP sources beside 'self' to which submitting a form may lead, as browsers check redirects as well."""


class SignInPage(Struct, frozen=True, kw_only=True):
    """Fields `username`, `password`; posted to /login. With a client also a button `cancel`, and where the username is
    known a button `switch` for another account. With an upstream a second form, posted to /login/upstream."""

    form: Form
    client_name: str | None = None
    """None where the person wants to see the account page."""
    username: str = ""
    """To be filled in already."""
    is_username_known: bool = False
    """Whether the person has signed in here before and only proves it again (prompt=login, max_age)."""
    upstream_name: str | None = None
    """The other service at which people of the realm may sign in, if there is one."""
    is_demo: bool = False
    """Whether the application is for demonstration only: a page may then say which account there is."""
    problem: Problem | None = None
    retry_after_in: int = 0
    """With TOO_MANY_ATTEMPTS: seconds to wait."""
    ui_locales: tuple[str, ...] = ()


class ConsentPage(Struct, frozen=True, kw_only=True):
    """Buttons `decision` = allow or deny, and `switch` for another account; posted to /consent."""

    form: Form
    client_name: str
    username: str
    scope: tuple[str, ...]
    claims: tuple[str, ...] = ()
    """Claims that are asked for by name beyond what the scope stands for."""
    resources: tuple[str, ...] = ()
    destination: str
    """Where the person will be sent: the host of the redirect URI, or its scheme for a native application."""
    is_identity_proven: bool = True
    """Whether the redirect URI proves which application asks; an application on the device cannot prove it."""
    ui_locales: tuple[str, ...] = ()


class FinishedPage(Struct, frozen=True, kw_only=True):
    """This sign-in was finished before; going back to it does nothing."""

    client_name: str
    username: str | None = None
    """Who is signed in, where a page greets the person."""
    ui_locales: tuple[str, ...] = ()


class ErrorPage(Struct, frozen=True, kw_only=True):
    """Says what is wrong and whom to tell."""

    fault: Fault
    client_name: str | None = None
    details: str | None = None
    """For the application's developer: the exact mismatch; only where the setting explain_errors is on."""
    restart: str | None = None
    """A path below the issuer, with its query, with which to begin anew."""
    retry_after_in: int = 0
    ui_locales: tuple[str, ...] = ()


class ConfirmLogoutPage(Struct, frozen=True, kw_only=True):
    """Buttons `decision` = sign_out or stay; posted to /oauth/logout."""

    form: Form
    username: str
    client_name: str | None = None
    ui_locales: tuple[str, ...] = ()


class SignedOutPage(Struct, frozen=True, kw_only=True):
    """Nobody is signed in with this browser any more."""

    client_name: str | None = None
    ui_locales: tuple[str, ...] = ()


class SessionRow(Struct, frozen=True, kw_only=True):
    """One browser in which the person is signed in."""

    sid: str
    user_agent: str
    created_at: int
    seen_at: int
    is_current: bool


class ApplicationRow(Struct, frozen=True, kw_only=True):
    """One application that the person allowed something, or that holds tokens."""

    client_id: str
    name: str
    scope: tuple[str, ...]
    since: int
    is_offline: bool
    """Whether it may act while the person is away."""


class AccountPage(Struct, frozen=True, kw_only=True):
    """Forms posted to /account, told apart by the field `action`: end_session with `sid`, end_application with
    `client_id`, change_password with `current_password`, `new_password` and `repeated_password`, end_all."""

    form: Form
    username: str
    name: str
    sessions: tuple[SessionRow, ...]
    applications: tuple[ApplicationRow, ...]
    has_password: bool
    notice: Notice | None = None
    problem: Problem | None = None
    retry_after_in: int = 0
    ui_locales: tuple[str, ...] = ()


class FormPostPage(Struct, frozen=True, kw_only=True):
    """The answer to an authorization request as a form that posts itself (OAuth 2.0 Form Post Response Mode)."""

    redirect_uri: str
    parameters: Mapping[str, str]
    client_name: str
    ui_locales: tuple[str, ...] = ()


class Redirect(Struct, frozen=True, kw_only=True):
    """Go to a URL elsewhere, checked before; always with 303 (SECURITY R-10)."""

    url: str


class Carry(Struct, frozen=True, kw_only=True):
    """Carry an answer back to the client, in the way that its realm's dialect has."""

    answer: Answer
    client_name: str
    scope: tuple[str, ...] = ()
    """What was granted."""
    ui_locales: tuple[str, ...] = ()


class GoOn(Struct, frozen=True, kw_only=True):
    """Go to a page of this issuer: its path, with a query if need be."""

    path: str


Page = (
    SignInPage | ConsentPage | FinishedPage | ErrorPage | ConfirmLogoutPage | SignedOutPage | AccountPage | FormPostPage
)


class Outcome(Struct, frozen=True, kw_only=True):
    """A page or a way to go, and what becomes of the session cookie."""

    then: Page | Redirect | Carry | GoOn
    session: str | None = None
    """A new session's secret for the cookie; empty deletes the cookie; None leaves it alone."""
    device: str | None = None
    """What the cookie of a known browser holds from now on; None leaves it alone."""
