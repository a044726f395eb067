"""A system that there never was: tickets instead of tokens."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from jwtauth.dialects.dialect import Caller, Dialect, Endpoint, Field, Refusal, Where
from jwtauth.endpoints import token
from jwtauth.endpoints.request import Request
from jwtauth.errors import InvalidToken, OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import bearer, legacy

NAME: Final = "toy"
HEARD: Final = {"want": "grant_type", "who": "username", "pass": "password", "again": "refresh_token", "for": "scope"}
"""What its clients say, and what that is called here."""


class Ticket(Struct, frozen=True, kw_only=True):
    """What it answers with."""

    ticket: str
    lives: int
    next: str | None = None


class Holder(Struct, frozen=True, kw_only=True):
    """Whose ticket it is."""

    who: str


async def sell(issuer: Issuer, request: Request) -> Ticket:
    """The standard's tokens, asked for and answered in other words."""
    heard = {HEARD.get(name, name): value for name, value in request.parameters.items()}
    answer = await token.answer(issuer, replace(request, parameters=heard))
    return Ticket(ticket=answer.access_token, lives=answer.expires_in, next=answer.refresh_token or None)


async def look(issuer: Issuer, request: Request) -> Holder:
    """Whose ticket the bearer holds.

    Raises:
        InvalidToken: it is not alive, or of a realm that does not speak this, or not any more.
    """
    now = issuer.begin()
    ticket = bearer.presented(request.authorization, request.parameters, request.query)
    found, _ = issuer.access_tokens.open(ticket, now=now)
    client = await issuer.store.directory.client(found.client_id)
    if client is None or legacy.dialect_of(client.realm, now=now) != NAME:
        raise InvalidToken("the ticket is none of these")
    return Holder(who=found.username or client.client_id)


def refuse(error: OAuthError, status: int, request: Request) -> Refusal:
    """Every refusal is a teapot."""
    return Refusal(status=418, body={"problem": {"kind": error.code, "text": str(error), "was": status}})


DIALECT: Final = Dialect(
    name=NAME,
    summary="tickets instead of tokens",
    realm={"access_token_in": 77},
    endpoints=(
        Endpoint(
            path="/toy/tickets",
            story=sell,
            gives=(Ticket,),
            parameters=Where.EITHER,
            refuses=refuse,
            summary="Buy a ticket",
            fields=(Field("want", "as grant_type", is_required=True), Field("who", "as username")),
        ),
        Endpoint(
            path="/toy/holder",
            methods=("GET",),
            story=look,
            gives=(Holder,),
            caller=Caller.TOKEN_HOLDER,
            refuses=refuse,
            summary="Ask whose ticket it is",
        ),
    ),
)
