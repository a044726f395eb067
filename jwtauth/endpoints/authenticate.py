"""Who is the client that sends this request (RFC 6749 section 2.3)."""

from functools import partial

from jwtauth.endpoints.request import Request
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import client_auth
from jwtauth.protocol.client_auth import Authenticated, CheckHashes, Credentials
from jwtauth.protocol.records import Client


async def client(issuer: Issuer, request: Request, *, now: int) -> Client:
    """The authenticated client of a request.

    Raises:
        InvalidRequest, InvalidClient: see `jwtauth.protocol.client_auth`.
        TooManyAttempts, Overloaded: a human-chosen secret was guessed too often, or too many are being checked.
    """
    credentials = client_auth.credentials(request.authorization, request.parameters)
    known = await issuer.store.directory.client(credentials.client_id)
    match client_auth.decide(credentials, known, now=now):
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
    return found
