"""What a dialect consists of: routes declared as data, and how it says what the engine decided."""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import Any, Final

from msgspec import Struct

from jwtauth.endpoints.outcomes import Outcome, Page
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.visit import Visit
from jwtauth.errors import OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol.records import Client, User

Story = Callable[[Issuer, Request], Awaitable[object]]
"""Tells what a machine asked for; what it returns becomes JSON, None an empty body, `Text` plain text."""

PageStory = Callable[[Issuer, Visit], Awaitable[Outcome]]
"""Tells what a person's browser asked for."""


class Where(Enum):
    """Where an endpoint takes its parameters from."""

    FORM = "form"
    QUERY = "query"
    EITHER = "query or form"
    """Only for clients that cannot move yet: every log on the way keeps a query (SECURITY C-05)."""
    RAW = "body"
    """The whole body is the parameter `token`."""


class Caller(Enum):
    """Who may call an endpoint."""

    CLIENT = "any client"
    CONFIDENTIAL_CLIENT = "a client that proves who it is"
    TOKEN_HOLDER = "whoever holds the token"


class Field(Struct, frozen=True):
    """A parameter as the OpenAPI document describes it."""

    name: str
    description: str
    is_required: bool = False


class Text(Struct, frozen=True):
    """An answer that is no JSON."""

    text: str


class Refusal(Struct, frozen=True, kw_only=True):
    """How a refusal is said."""

    status: int
    body: Mapping[str, object]
    challenge: str | None = None
    """For the header WWW-Authenticate."""


Refuse = Callable[[OAuthError, int, Request], Refusal]
"""Says a refusal in the dialect's way: what it is, the status that it would have had, and the request."""


def _heard_as_sent(request: Request) -> Request:
    return request


class Endpoint(Struct, frozen=True, kw_only=True):
    """One endpoint that machines call: a story, how it is reached, and how it is described."""

    path: str
    methods: tuple[str, ...] = ("POST",)
    story: Story
    summary: str
    fields: tuple[Field, ...] = ()
    gives: tuple[type[Struct], ...] = ()
    """The types of its answer; none where the body is empty or its members are many."""
    parameters: Where = Where.FORM
    caller: Caller = Caller.CONFIDENTIAL_CLIENT
    hears: Callable[[Request], Request] = _heard_as_sent
    """Gives parameters the names that they have everywhere else."""
    refuses: Refuse | None = None
    """None says refusals as the standard does."""
    is_cross_origin: bool = False
    """Whether scripts of registered clients may call it from their own origins (SECURITY H-02)."""

    @property
    def takes_grants(self) -> bool:
        """Whether the parameter grant_type means anything here."""
        return any(field.name == "grant_type" for field in self.fields)


class PageRoute(Struct, frozen=True, kw_only=True):
    """One page for people: a path, and the story behind each method."""

    path: str
    get: PageStory
    post: PageStory | None = None
    aliases: tuple[str, ...] = ()
    """Other spellings of the path."""


class SampleUser(Struct, frozen=True, kw_only=True):
    """A person of a system's sample data, with the password that stands in its documentation."""

    user: User
    password: str


class Sample(Struct, frozen=True, kw_only=True):
    """A system's sample data, as its documentation has it; for demonstration only."""

    roles: tuple[str, ...] = ()
    clients: tuple[tuple[Client, str | None], ...]
    """Clients, whose realm is filled in, each with its secret."""
    users: tuple[SampleUser, ...]
    commands: Callable[[str], list[tuple[str, str]]]
    """What to try, given the issuer's URL, as (purpose, command to paste)."""


def _as_it_is(parameters: dict[str, str], scope: tuple[str, ...]) -> dict[str, str]:
    return parameters


class Dialect(Struct, frozen=True, kw_only=True):
    """One way to speak. Realms name it by `name`."""

    name: str
    summary: str
    endpoints: tuple[Endpoint, ...] = ()
    """Of its own, and under paths of the standard those that it says in its own way to clients of its realms."""
    pages: tuple[PageRoute, ...] = ()
    realm: Mapping[str, Any] = {}
    """Settings of a new realm that speaks it."""
    client: Mapping[str, Any] = {}
    """Settings of a new client of such a realm."""
    default_key: str | None = None
    """The secret that stands in its manual; where there is one, a realm is itself a client, and this its secret."""
    check_key: Callable[[str], None] | None = None
    """Lets a key pass that the old system would have taken; raises ConfigurationError."""
    carries: Callable[[dict[str, str], tuple[str, ...]], dict[str, str]] = _as_it_is
    """The parameters that a browser carries back to a client, given also the scope that was granted."""
    redirect_status: int = 303
    """With which status a browser is sent back to a client."""
    templates: Mapping[type[Page], str] = {}
    """Pages that look otherwise, by their type."""
    fault_path: str | None = None
    """Where the page is to which a browser is sent that cannot be sent back to a client."""
    sample: Sample | None = None


STANDARD_NAME: Final = "standard"
