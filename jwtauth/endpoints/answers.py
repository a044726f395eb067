"""Answers to authorization requests, on their way through the browser."""

from typing import Final

from jwtauth.endpoints.outcomes import Carry, ErrorPage, Fault, Outcome
from jwtauth.errors import OAuthError, Unanswerable
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import refusal
from jwtauth.protocol import authorization
from jwtauth.protocol.authorization import Addressee, Answer
from jwtauth.protocol.records import Client

ENDPOINT: Final = "/oauth/authorize"
"""Where authorization requests are sent (RFC 6749 section 3.1)."""


def carried(answer: Answer, client: Client, ui_locales: tuple[str, ...], *, scope: tuple[str, ...] = ()) -> Outcome:
    """The answer on its way back to the client."""
    return Outcome(then=Carry(answer=answer, client_name=shown_name(client), scope=scope, ui_locales=ui_locales))


def refused(
    issuer: Issuer, error: OAuthError, client: Client, to: Addressee, ui_locales: tuple[str, ...] = ()
) -> Outcome:
    """A refusal on its way to the client; the operator's log hears of it too."""
    tell(issuer, error, client)
    return carried(authorization.refused(to, issuer.settings.issuer, error), client, ui_locales)


def unanswerable(
    issuer: Issuer, problem: Unanswerable, client: Client | None, ui_locales: tuple[str, ...] = ()
) -> Outcome:
    """The error page for a request that must not be redirected."""
    tell(issuer, problem, client)
    page = ErrorPage(
        fault=_fault(problem),
        client_name=shown_name(client) if client is not None and problem.is_client_known else None,
        details=str(problem) if issuer.settings.explain_errors else None,
        ui_locales=ui_locales,
    )
    return Outcome(then=page)


def tell(issuer: Issuer, problem: OAuthError | Unanswerable, client: Client | None) -> None:
    """Let the operator's log hear of a refused authorization request, on whichever page it was refused."""
    client_id = client.client_id if client is not None else None
    at = issuer.now()
    issuer.tell(
        refusal("authorization.refused", problem, at=at, endpoint=ENDPOINT, client_id=client_id, is_quoting=True)
    )


def _fault(problem: Unanswerable) -> Fault:
    if problem.is_malformed:
        return Fault.BAD_REQUEST
    return Fault.BAD_REDIRECT_URI if problem.is_client_known else Fault.UNKNOWN_CLIENT


def shown_name(client: Client) -> str:
    """What people are shown as a client's name."""
    return client.name or client.client_id
