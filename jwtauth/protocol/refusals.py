"""Why something is refused, in full: what the operator may read in the audit log and nobody else is told."""

from jwtauth.errors import Failed
from jwtauth.protocol import permissions, sessions
from jwtauth.protocol.records import Client, Grant, Session, User

FORGED = "made by somebody else, cut short, of another epoch, or under a server secret that is gone"


def of_pointer(parameter: str) -> Failed:
    """A code or refresh token that is none of ours."""
    return Failed(parameter, "one that this service issued", FORGED)


def of_grant(
    parameter: str,
    client: Client,
    grant: Grant | None,
    user: User | None,
    session: Session | None,
    *,
    ends_at: int,
    now: int,
) -> Failed:
    """What is wrong with the grant behind a code or refresh token, looked at in the order of the rules.

    Args:
        parameter: what pointed to it.
        client: for whom it is asked.
        grant: the grant.
        user: its person.
        session: the browser session in which it was given.
        ends_at: when the code or refresh token itself is over.
        now: seconds since the epoch.
    """
    if grant is None:
        return Failed(parameter, "a grant", "none: it never was, or is over and was swept away")
    if grant.ended_at is not None:
        return Failed(parameter, "a grant that is alive", f"grant {grant.id}, which ended at {grant.ended_at}")
    if user is None or not permissions.may_use(client, user):
        return of_person(client, user)
    if grant.client_id != client.id:
        return Failed(parameter, f"a grant of client {client.client_id}", f"grant {grant.id} of another client")
    if now >= ends_at:
        return Failed(parameter, f"to be used before {ends_at}", f"it came at {now}")
    if not sessions.outlives(grant, client, session, now=now):
        return Failed(parameter, "a live browser session, as offline_access was not granted", "a session that is over")
    return Failed(parameter, "one that was issued", "a generation that is not there yet")


def of_person(client: Client, user: User | None, *, password_matches: bool = True) -> Failed:
    """Why a person is not let in."""
    if user is None:
        return Failed("username", "a user of this service", "an unknown one")
    if user.disabled_at is not None:
        return Failed("username", "an enabled user", f"user {user.id}, disabled at {user.disabled_at}")
    if client.realm.name not in user.roles:
        return Failed("username", f"a member of realm {client.realm.name}", f"user {user.id}, who is none")
    assert not password_matches
    return Failed("password", f"the password of user {user.id}", "another")
