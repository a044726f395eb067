"""`jwtauth user`: the people who sign in, their passwords, profiles, realms and roles."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import click
from msgspec.structs import replace

from jwtauth.cli import claims, lookup, prompts, views
from jwtauth.cli.options import given, json_option, several, together
from jwtauth.cli.printing import example, show_many, show_one
from jwtauth.cli.reporting import audited
from jwtauth.cli.running import now, with_store
from jwtauth.issuer import throttle
from jwtauth.issuer.throttle import Throttle
from jwtauth.observe.events import Event
from jwtauth.protocol import registration
from jwtauth.protocol.password import MAX_PASSWORD_BYTES
from jwtauth.protocol.profile import Profile
from jwtauth.protocol.records import User
from jwtauth.settings import Settings, load
from jwtauth.store.ports import Ended, Store

Role = tuple[str, str]
Memberships = dict[str, tuple[str, ...]]

_COLUMNS = ("username", "id", "sub", "roles", "has_password", "disabled_at")
_MAX_ID = 2**53 - 1  # JSON numbers are exact up to here


def _read_roles(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Role, ...]:
    pairs = [value.partition(":") for value in values]
    for realm, colon, role in pairs:
        if not (realm and colon and role):
            raise click.BadParameter("expected REALM:ROLE")
    return tuple((realm, role) for realm, _, role in pairs)


_joining = together(
    [
        several("--realm", "realms", "A realm to be a member of, without a role."),
        click.option(
            "--role",
            "roles",
            multiple=True,
            metavar="REALM:ROLE",
            callback=_read_roles,
            help="A role in a realm, and membership of it. Repeatable.",
        ),
    ]
)
_leaving = together(
    [
        several("--leave-realm", "left", "A realm to be no member of any more; the grants there end."),
        click.option(
            "--remove-role",
            "removed",
            multiple=True,
            metavar="REALM:ROLE",
            callback=_read_roles,
            help="A role to take away; the membership stays. Repeatable.",
        ),
    ]
)
_password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
_no_password = click.option("--no-password", is_flag=True, help="No password: nobody can sign in with one.")


@click.group(epilog=example("jwtauth user create alice --realm default"))
def user() -> None:
    """Users: the people who sign in."""


@user.command(
    epilog=example(
        "jwtauth user create alice --realm default --role portal:editor",
        "jwtauth user create bob --realm default --password-stdin < password.txt",
        "jwtauth user create carol --realm default --claim name='Carol Shaw' --claim email=carol@example.com",
    )
)
@click.argument("username")
@click.option("--id", "user_id", type=click.IntRange(1, _MAX_ID), help="The integer that tokens carry as uid.")
@_joining
@claims.claim_option
@_password_stdin
@_no_password
@json_option
@click.pass_obj
def create(folder: Path, /, username: str, user_id: int | None, as_json: bool, **settings: Any) -> None:
    """Make a user; the password is asked for unless it comes from standard input."""
    source, instant = load(folder), now()
    roles = _join({}, settings["realms"] or (), settings["roles"])
    must_ask = not settings["password_stdin"] and not settings["no_password"]
    new = User(
        id=user_id or 0,
        sub=registration.SUBJECT_PREFIX + token_urlsafe(16),
        username=username,
        roles=roles,
        profile=claims.apply(Profile(), settings["claims"]),
        updated_at=instant,
    )

    async def check(store: Store) -> None:
        registration.check_user(new, await store.administration.realms())

    with_store(source, check)  # before a person types a password in vain
    secret = _password(source.settings, **_only_password(settings), ask=must_ask)
    complete = replace(new, **secret)
    created = with_store(source, lambda store: store.administration.create_user(complete, now=instant))
    show_one(views.of_user(created), as_json=as_json)


@user.command(epilog=example("jwtauth user show alice"))
@click.argument("username")
@json_option
@click.pass_obj
def show(folder: Path, username: str, as_json: bool) -> None:
    """Show a user with profile, realms and roles, never the password."""
    found = with_store(load(folder), lambda store: lookup.user(store, username))
    show_one(views.of_user(found), as_json=as_json)


@user.command("list", epilog=example("jwtauth user list --realm default --json"))
@click.option("--realm", help="Only members of this realm.")
@json_option
@click.pass_obj
def list_(folder: Path, realm: str | None, as_json: bool) -> None:
    """List users."""
    users = with_store(load(folder), lambda store: store.administration.users(realm))
    show_many([views.of_user(found) for found in users], _COLUMNS, as_json=as_json)


@user.command(
    epilog=example(
        "jwtauth user change alice --role portal:editor --remove-role portal:reader",
        "jwtauth user change alice --claim email=alice@example.com --claim email_verified=true --claim nickname=",
        "jwtauth user change alice --password-prompt",
    )
)
@click.argument("username")
@click.option("--username", "new_name", help="The new username.")
@_joining
@_leaving
@claims.claim_option
@click.option("--password-prompt", "ask", is_flag=True, help="Ask for a new password; all grants end.")
@_password_stdin
@_no_password
@json_option
@click.pass_obj
def change(folder: Path, /, username: str, new_name: str | None, ask: bool, as_json: bool, **settings: Any) -> None:
    """Change a user; what is not named stays. A new password ends all grants, a lost membership those of that realm."""
    source, instant = load(folder), now()
    if not (new_name or ask or any(settings.values())):
        raise click.UsageError("nothing to change; name at least one option (see --help)")
    wanted = given({"username": new_name}) | _password(source.settings, **_only_password(settings), ask=ask)

    async def work(store: Store) -> tuple[User, int]:
        known = await lookup.user(store, username)
        roles = _leave(known.roles, settings["left"] or (), settings["removed"])
        changed = replace(
            known,
            roles=_join(roles, settings["realms"] or (), settings["roles"]),
            profile=claims.apply(known.profile, settings["claims"]),
            **wanted,
        )
        if _claims_of(changed) != _claims_of(known):
            changed = replace(changed, updated_at=instant)
        registration.check_user(changed, await store.administration.realms())
        return changed, await store.administration.change_user(changed, now=instant)

    changed, ended = with_store(source, work)
    show_one({**views.of_user(changed), "grants_ended": ended}, as_json=as_json)


@user.command(epilog=example("jwtauth user disable alice"))
@click.argument("username")
@json_option
@click.pass_obj
def disable(folder: Path, username: str, as_json: bool) -> None:
    """Refuse everything to a user and end all grants."""

    async def work(store: Store) -> int:
        return await store.administration.disable_user(await lookup.user(store, username), now=now())

    show_one({"username": username, "grants_ended": with_store(load(folder), work)}, as_json=as_json)


@user.command(epilog=example("jwtauth user enable alice"))
@click.argument("username")
@json_option
@click.pass_obj
def enable(folder: Path, username: str, as_json: bool) -> None:
    """Let a disabled user sign in again; what was ended stays ended."""

    async def work(store: Store) -> None:
        await store.administration.enable_user(await lookup.user(store, username), now=now())

    with_store(load(folder), work)
    show_one({"username": username, "enabled": True}, as_json=as_json)


@user.command(epilog=example("jwtauth user unlock alice"))
@click.argument("username")
@json_option
@click.pass_obj
def unlock(folder: Path, username: str, as_json: bool) -> None:
    """Forget a user's wrong passwords, so that the next one is looked at without waiting."""
    source, instant = load(folder), now()

    async def work(store: Store) -> User:
        found = await lookup.user(store, username)
        await Throttle(store.attempts).forgive(throttle.of_user(found.username))
        return found

    with audited(source) as book:
        person = with_store(source, work)
        book.write(Event(name="user.unlocked", at=instant, uid=person.id, reason="by an operator"))
    show_one({"username": username, "unlocked": True}, as_json=as_json)


@user.command("sign-out", epilog=example("jwtauth user sign-out alice"))
@click.argument("username")
@json_option
@click.pass_obj
def sign_out(folder: Path, username: str, as_json: bool) -> None:
    """End all browser sessions and all grants of a user, who may sign in again at once."""

    source, instant = load(folder), now()

    async def work(store: Store) -> tuple[User, Ended]:
        found = await lookup.user(store, username)
        return found, await store.sessions.end_all(found, now=instant)

    with audited(source) as book:
        person, ended = with_store(source, work)
        book.write(Event(name="session.ended", at=instant, uid=person.id, reason="everywhere, by an operator"))
    show_one({"username": username, "sessions_ended": ended.sessions, "grants_ended": ended.grants}, as_json=as_json)


def _claims_of(user: User) -> tuple[str, Profile]:
    """What clients read at userinfo, where preferred_username is the username."""
    return user.username, user.profile


def _join(known: Mapping[str, tuple[str, ...]], realms: Iterable[str], roles: Iterable[Role]) -> Memberships:
    joined = {**known, **{realm: known.get(realm, ()) for realm in realms}}
    for realm, role in roles:
        joined[realm] = tuple(dict.fromkeys((*joined.get(realm, ()), role)))
    return joined


def _leave(known: Mapping[str, tuple[str, ...]], realms: Iterable[str], roles: Iterable[Role]) -> Memberships:
    gone, left = set(roles), set(realms)
    return {
        realm: tuple(role for role in held if (realm, role) not in gone)
        for realm, held in known.items()
        if realm not in left
    }


def _only_password(settings: dict[str, Any]) -> dict[str, bool]:
    return {"from_stdin": settings["password_stdin"], "none": settings["no_password"]}


def _password(settings: Settings, *, from_stdin: bool, none: bool, ask: bool) -> dict[str, str | None]:
    """The member to replace: the hash of a password that was asked for or sent, none, or nothing to replace."""
    if from_stdin + none + ask > 1:
        raise click.UsageError("name one of --password-prompt, --password-stdin and --no-password")
    if none:
        return {"password_hash": None}
    if from_stdin:
        password = prompts.from_stdin("password", max_bytes=MAX_PASSWORD_BYTES)
        return {"password_hash": prompts.hashed(settings, password)}
    if ask:
        return {"password_hash": prompts.hashed(settings, prompts.asked("password", max_bytes=MAX_PASSWORD_BYTES))}
    return {}
