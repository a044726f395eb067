"""Who is the client that sends this request (RFC 6749 section 2.3)."""

from functools import partial

from jwtauth.endpoints import rehash
from jwtauth.endpoints.request import Request
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import client_auth
from jwtauth.protocol.client_auth import Authenticated, CheckHashes, Credentials
from jwtauth.protocol.records import AuthMethod, Client


async def client(issuer: Issuer, request: Request, *, grant_type: str | None = None, now: int) -> Client:
    """The authenticated client of a request.

    Args:
        issuer: the service.
        request: what was sent.
        grant_type: what it asks for, at the token endpoint only: a few old clients need no secret for some of it.
        now: seconds since the epoch.

    Raises:
        InvalidRequest, InvalidClient: see `jwtauth.protocol.client_auth`.
        TooManyAttempts, Overloaded: a human-chosen secret was guessed too often, or too many are being checked.
    """
    proven = _proven_before(issuer, request, now=now)
    if proven is not None and await issuer.store.directory.client(proven.client_id) is proven:
        return proven
    credentials = client_auth.credentials(request.authorization, request.parameters)
    found = await _authenticated(issuer, request, credentials, grant_type, now=now)
    if credentials.method is AuthMethod.BASIC:
        issuer.proven_clients.remember(request.authorization[0], found, now=now)
    return found


def _proven_before(issuer: Issuer, request: Request, *, now: int) -> Client | None:
    """The client whose very header was proven before, where nothing else in the request speaks of a client."""
    if len(request.authorization) != 1 or "client_secret" in request.parameters:
        return None
    proven = issuer.proven_clients.find(request.authorization[0], now=now)
    if proven is None or request.parameters.get("client_id", proven.client_id) != proven.client_id:
        return None
    return proven


async def _authenticated(
    issuer: Issuer, request: Request, credentials: Credentials, grant_type: str | None, *, now: int
) -> Client:
    known = await issuer.store.directory.client(credentials.client_id)
    match client_auth.decide(credentials, known, grant_type=grant_type, now=now):
        case Authenticated(found):
            return found
        case CheckHashes() as question:
            return await _check_hashes(issuer, credentials, question, address=request.address, now=now)


async def _check_hashes(
    issuer: Issuer, credentials: Credentials, question: CheckHashes, *, address: str, now: int
) -> Client:
    found, secrets, hashes = question.client, question.secrets, question.hashes
    if issuer.passwords.remembers(found.client_id, hashes, secrets):
        return found
    check = partial(issuer.passwords.verify_secret, found.client_id, hashes, secrets)
    if not await issuer.throttle.guess(f"client {found.client_id}", check, address=address, now=now):
        raise client_auth.refused(credentials)
    await rehash.secret(issuer, found, hashes, secrets)
    return found
