"""`jwtauth token`: what a token says, whether it is alive, and its end (RFC 7519, RFC 7009)."""

import json
import sys
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, iso, show_json, show_one
from jwtauth.cli.reporting import audited
from jwtauth.cli.running import now, open_keys, with_store
from jwtauth.errors import InvalidToken
from jwtauth.keyring import jws
from jwtauth.keyring.keyring import Keyring
from jwtauth.keyring.sealer import REFRESH_TOKEN_KIND, Sealer
from jwtauth.observe.events import Event
from jwtauth.protocol import claims, status_list
from jwtauth.protocol.blast_radius import Selection
from jwtauth.protocol.claims import AccessToken
from jwtauth.settings import Source, load
from jwtauth.store.ports import Store

_LAST_INSTANT = 2**53


class Decoded(Struct, frozen=True, kw_only=True):
    """What a JWS says, and what is known of it here."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signature_is_valid: bool
    """Whether a key of the keys folder made the signature; without it nothing else is to be believed."""
    is_expired: bool | None
    """None where it does not say when."""
    is_revoked: bool | None
    """None where nobody can say: the signature is not valid, or it names no status list of this database."""


def read_argument(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The token in an argument or, where that is -, in standard input."""
    if value != "-":
        return value.strip()
    return sys.stdin.buffer.read(jws.MAX_TOKEN_LENGTH + 2).decode(errors="replace").strip()


_token_argument = click.argument("text", metavar="TOKEN|-", callback=read_argument)


@click.group(epilog=example("jwtauth token decode - < token.txt"))
def token() -> None:
    """Look into tokens and revoke them.

    Where a token is expected, - reads it from standard input: no process list shows it then.
    """


@token.command(epilog=example("jwtauth token decode - < token.txt"))
@_token_argument
@json_option
@click.pass_obj
def decode(folder: Path, text: str, as_json: bool) -> None:
    """Show header and claims, and whether the token is signed by a key of this folder, expired or revoked."""
    source, instant = load(folder), now()
    keyring = Keyring(open_keys(source), max_token_lifetime=source.settings.max_token_lifetime)
    decoded = _decode(text, keyring, now=instant)
    if decoded.signature_is_valid:
        is_revoked = with_store(source, lambda store: _look_up(store, source, decoded.claims))
        decoded = msgspec.structs.replace(decoded, is_revoked=is_revoked)
    if as_json:
        show_json(asdict(decoded))
        return
    _show(decoded)


@token.command(epilog=example("jwtauth token revoke - < token.txt"))
@_token_argument
@json_option
@click.pass_obj
def revoke(folder: Path, text: str, as_json: bool) -> None:
    """End a token and the grant behind it; an access token that has expired still names its grant."""
    source, instant = load(folder), now()

    async def work(store: Store) -> dict[str, Any]:
        if text.startswith(REFRESH_TOKEN_KIND):
            return await _revoke_refresh_token(store, source, text, now=instant)
        return await _revoke_access_token(store, source, text, now=instant)

    with audited(source) as book:
        done = with_store(source, work)
        if not done["was_over_before"]:
            book.write(_event(done, now=instant))
    show_one(done, as_json=as_json)


def _event(done: Mapping[str, Any], *, now: int) -> Event:
    """As the service says it where a client does the same."""
    name = "grant.ended" if "grant_id" in done else "token.revoked"
    return Event(name=name, at=now, grant_id=done.get("grant_id"), reason="revoked by an operator")


def selected_by(store: Store, source: Source, text: str, *, now: int) -> Selection:
    """What a token names, proven: the grant of a refresh token, the status position of an access token.

    Raises:
        InvalidToken: it was not made here, or names no status list of this issuer and database.
    """
    if text.startswith(REFRESH_TOKEN_KIND):
        return Selection(grant_id=_read_refresh_token(store, source, text))
    _, position = _read_access_token(store, source, text, now=now)
    return Selection(position=position)


def client_named_by(store: Store, source: Source, text: str, *, now: int) -> str:
    """The client_id in an access token, proven.

    Raises:
        InvalidToken: it was not made here, or names no status list of this issuer and database.
    """
    return _read_access_token(store, source, text, now=now)[0].client_id


def _decode(text: str, keyring: Keyring, *, now: int) -> Decoded:
    signed = jws.take_apart(text)
    body = _members(signed.payload)
    expires_at = _expires_at(body)
    return Decoded(
        header=_members(urlsafe_b64decode(text.partition(".")[0] + "==")),
        claims=body,
        signature_is_valid=_is_signed_here(text, signed.header.typ, keyring, now=now),
        is_expired=None if expires_at is None else expires_at <= now,
        is_revoked=None,
    )


def _is_signed_here(text: str, typ: str, keyring: Keyring, *, now: int) -> bool:
    try:
        keyring.open(text, typ=typ, now=now)
    except InvalidToken:
        return False
    return True


def _members(raw: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise InvalidToken("the token's payload is not a JSON object") from None


def _expires_at(body: Mapping[str, Any]) -> int | None:
    match body.get("exp"):
        case bool():
            return None
        case int(found) | float(found) if abs(found) < _LAST_INSTANT:
            return int(found)
        case _:
            return None


async def _look_up(store: Store, source: Source, body: Mapping[str, Any]) -> bool | None:
    try:
        found = msgspec.convert(body, AccessToken)
    except msgspec.ValidationError:
        return None
    position = _position(store, source, found)
    return None if position is None else store.positions.is_denied(position)


async def _revoke_refresh_token(store: Store, source: Source, text: str, *, now: int) -> dict[str, Any]:
    grant_id = _read_refresh_token(store, source, text)
    ended = await store.grants.end(grant_id, now=now)
    return {"kind": "refresh_token", "grant_id": grant_id, "revoked": True, "was_over_before": not ended}


async def _revoke_access_token(store: Store, source: Source, text: str, *, now: int) -> dict[str, Any]:
    found, position = _read_access_token(store, source, text, now=now)
    denied = await store.positions.deny(position, now=now)
    return {"kind": "access_token", "jti": found.jti, "revoked": True, "was_over_before": not denied}


def _read_refresh_token(store: Store, source: Source, text: str) -> int:
    """The grant that a refresh token names, once its MAC is proven."""
    sealer = Sealer(open_keys(source).read_secrets(), epoch=store.epoch)
    pointer = sealer.read_refresh_token(text)
    if pointer is None:
        raise InvalidToken("the refresh token was not made here, or under a server secret or database that is gone")
    return pointer.grant_id


def _read_access_token(store: Store, source: Source, text: str, *, now: int) -> tuple[AccessToken, int]:
    """The claims and the status position of an access token, once its signature is proven."""
    keyring = Keyring(open_keys(source), max_token_lifetime=source.settings.max_token_lifetime)
    found = claims.read(keyring.open(text, typ=claims.TYPE, now=now))
    position = _position(store, source, found)
    if position is None:
        raise InvalidToken("the token names no status list of this issuer and database")
    return found, position


def _position(store: Store, source: Source, found: AccessToken) -> int | None:
    """The status position of a token whose signature was checked, None where it is of another issuer or database."""
    if found.iss != source.settings.issuer:
        return None
    listed = found.status.status_list
    return status_list.position_of(listed.uri.rpartition("/")[2], listed.idx, epoch=store.epoch)


def _show(decoded: Decoded) -> None:
    """Print for people; foreign characters are escaped, for a token can hold anything."""
    click.echo("header " + json.dumps(decoded.header, indent=2))
    click.echo("claims " + json.dumps(decoded.claims, indent=2))
    click.echo(f"signature  {_words_of_signature(decoded)}")
    click.echo(f"expired    {_words_of_expiry(decoded)}")
    click.echo(f"revoked    {_words_of_revocation(decoded)}")


def _words_of_signature(decoded: Decoded) -> str:
    if decoded.signature_is_valid:
        return f"VALID: made by key {decoded.header['kid']} of the keys folder"
    return "NOT VALID: no key of the keys folder made it; believe nothing of the above"


def _words_of_expiry(decoded: Decoded) -> str:
    if decoded.is_expired is None:
        return "unknown: it has no exp"
    at = iso(decoded.claims["exp"])
    return f"yes, since {at}" if decoded.is_expired else f"no, until {at}"


def _words_of_revocation(decoded: Decoded) -> str:
    if decoded.is_revoked is None:
        return "unknown: it names no status list of this issuer and database, or its signature is not valid"
    return "yes" if decoded.is_revoked else "no"
