"""`jwtauth explain`: why a token is accepted or refused, check by check, or what the audit log has of a request."""

import json
import re
import sys
from collections.abc import Iterable
from typing import Any, Final

import click
from msgspec import to_builtins

from jwtauth.cli import lookup
from jwtauth.cli.explaining import pointers, remedies, signed_tokens
from jwtauth.cli.explaining.explained import Explanation, Wanted
from jwtauth.cli.options import json_option
from jwtauth.cli.printing import example, iso, printable, show_json, show_many, show_one
from jwtauth.cli.running import now, open_keys, with_store
from jwtauth.errors import ConfigurationError
from jwtauth.issuer.issuer import Issuer
from jwtauth.keyring import jws
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.sealer import CODE_KIND, REFRESH_TOKEN_KIND
from jwtauth.observe import arrival, audit_chain, sieve
from jwtauth.observe.events import Observers
from jwtauth.settings import Source, load
from jwtauth.store.sqlite.store import SqliteStore

HIDDEN: Final = ("previous", "request_id")
"""What is not told of an entry of the audit log: it is the same in each, or about the file alone."""

_REQUEST_ID: Final = re.compile(f"(?!{REFRESH_TOKEN_KIND}|{CODE_KIND}){arrival.REQUEST_ID}")

_LONGEST: Final = 8 * jws.MAX_TOKEN_LENGTH
"""Bytes of standard input that are read: a whole answer of the token endpoint."""
_SCHEME: Final = re.compile(r"(?:authorization:\s*)?bearer(?:\s+|$)", re.IGNORECASE)


def _read_text(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """The token or id in an argument or, where that is -, in standard input, without what was copied along with it.

    Raises:
        ConfigurationError: there is none.
    """
    sent = sys.stdin.buffer.read(_LONGEST).decode(errors="replace") if value == "-" else value
    text = _SCHEME.sub("", sent.strip(), count=1) if _SCHEME.match(sent.strip()) else sent.strip()
    if text.startswith("{"):
        text = _in_answer(text)
    if not text:
        raise ConfigurationError("nothing was given: name a token or a request id, or send it to -")
    return text


def _in_answer(text: str) -> str:
    """The access token in an answer of the token endpoint.

    Raises:
        ConfigurationError: it has none.
    """
    try:
        found = json.loads(text).get("access_token")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, str):
        raise ConfigurationError("this is JSON without access_token: name the token itself")
    return found.strip()


@click.command(
    context_settings={"ignore_unknown_options": True},  # a request's id may begin with a dash
    epilog=example(
        "jwtauth explain - < token.txt",
        "jwtauth explain - --audience https://reports.example --scope read < token.txt",
        "jwtauth explain vO3mZ0a9Qk2xYb7cLr5W",
    ),
)
@click.argument("text", metavar="TOKEN|REQUEST-ID|-", callback=_read_text)
@click.option("--audience", metavar="URI", help="The resource server that it is sent to: would it accept the token?")
@click.option(
    "--client", "client_id", metavar="CLIENT_ID", help="Who sends a code or refresh token, or asks about one."
)
@click.option("--scope", metavar="SCOPE", help="What an access token has to cover, or a refresh asks for.")
@json_option
@click.pass_context
def explain(
    ctx: click.Context, text: str, audience: str | None, client_id: str | None, scope: str | None, as_json: bool
) -> None:
    """Say why a token is accepted or refused, check by check; exits with 1 if it is refused.

    Nothing is changed, no code or token is used up, and none is ever printed. - reads it from standard input: no
    process list and no history shows it then. What was copied with it may stay: Bearer, or the whole JSON answer of the
    token endpoint. The X-Request-Id of an answer is looked for in the audit log.
    """
    source = load(ctx.obj)
    if _REQUEST_ID.fullmatch(text):
        _show_request(explain_request(source, text), as_json=as_json)
        return

    async def work(store: SqliteStore) -> Explanation:
        wanted = Wanted(
            audience=audience,
            client=None if client_id is None else await lookup.client(store, client_id),
            scope=scope,
        )
        return await _explain(source, store, text, wanted)

    explanation = with_store(source, work)
    _show(explanation, as_json=as_json)
    if explanation.error is not None:
        ctx.exit(1)


def explain_request(source: Source, request_id: str) -> list[dict[str, Any]]:
    """The entries of the audit log that tell of a request, as they were written down.

    Raises:
        ConfigurationError: there is none.
    """
    entries = () if source.audit is None else audit_chain.entries(source.audit)
    found = [entry for entry in entries if entry.get("request_id") == request_id]
    if not found:
        raise ConfigurationError(
            "the audit log has no such request; it may be older than what is kept, of another folder, or no id at all,"
            f" or it was one of more than {sieve.PER_SECOND} refusals in its second ({sieve.LEFT_OUT})"
        )
    return found


async def _explain(source: Source, store: SqliteStore, text: str, wanted: Wanted) -> Explanation:
    folder, instant = open_keys(source), now()
    issuer = Issuer(source.settings, store, folder, observers=Observers())
    try:
        return await _of_text(issuer, folder, text, wanted, now=instant)
    finally:
        issuer.passwords.close()


async def _of_text(issuer: Issuer, folder: KeyFolder, text: str, wanted: Wanted, *, now: int) -> Explanation:
    if text.startswith(REFRESH_TOKEN_KIND):
        return await pointers.of_refresh_token(issuer, text, wanted, now=now)
    if text.startswith(CODE_KIND):
        return await pointers.of_code(issuer, text, wanted, now=now)
    return await signed_tokens.explain(issuer, folder, text, wanted, now=now)


def _show(explanation: Explanation, *, as_json: bool) -> None:
    next_steps = remedies.of_checks((check.check for check in explanation.checks if not check.is_ok), None)
    if as_json:
        show_json({"is_accepted": explanation.error is None, **to_builtins(explanation), "next": next_steps})
        return
    rows = [
        {
            "check": check.check,
            "expected": check.expected,
            "got": check.got,
            "result": "ok" if check.is_ok else "FAILED",
        }
        for check in explanation.checks
    ]
    show_many(rows, ("check", "expected", "got", "result"), as_json=False)
    if explanation.note:
        click.echo(f"note: {explanation.note}")
    if explanation.error is None:
        click.echo(f"this {explanation.kind} is accepted")
    else:
        click.echo(f"this {explanation.kind} is refused, {explanation.error}: {explanation.refusal}")
    _show_next(next_steps)


def _show_request(entries: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show_json(entries)
        return
    for number, entry in enumerate(entries):
        if number:
            click.echo()
        show_one({name: _shown(name, entry[name]) for name in entry if name not in HIDDEN}, as_json=False)
    for entry in entries:
        _show_next(remedies.of_checks([str(entry.get("check"))], entry.get("client_id")))


def _shown(name: str, value: object) -> object:
    return iso(value) if name == "at" and isinstance(value, int) else value


def _show_next(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"next: {printable(line)}")
