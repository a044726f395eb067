"""A better hash in place of one that was made by another system or at another cost, once what it hides was sent.

It never fails a sign-in: where there is no room for one more hash, or the database cannot write, the next time will do.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import product

from jwtauth.errors import Overloaded
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol.records import Client, User


async def password(issuer: Issuer, user: User | None, sent: str) -> None:
    """Store a better hash of the password that a user has just proven to know, if there is one."""
    if user is None or user.password_hash is None or not issuer.passwords.is_outdated(user.password_hash):
        return
    with suppress(Overloaded):
        better = await issuer.passwords.hash_in_pool(sent)
        await issuer.store.administration.rehash_password(user, better)


async def secret(issuer: Issuer, client: Client, hashes: Sequence[str], sent: Sequence[str]) -> None:
    """Store a better hash of the client secret just verified, the one of `sent` that matches one of `hashes`."""
    for stored, presented in product(hashes, sent):
        if not issuer.passwords.is_outdated(stored):
            continue
        if issuer.passwords.remembers(client.client_id, (stored,), (presented,)):
            with suppress(Overloaded):
                better = await issuer.passwords.hash_in_pool(presented)
                await issuer.store.administration.rehash_secret(client, stored, better)
