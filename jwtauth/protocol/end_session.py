"""RP-initiated logout: who asks, whether the person confirms, where the browser goes (OpenID RP-Initiated Logout).


Only an ID token of ours proves that a client asks, and for whom: without one the person is asked (SECURITY B-15), and
without one nobody is sent anywhere (SECURITY R-06).
"""

from msgspec import Struct

from jwtauth.protocol import parameters, redirect_uris
from jwtauth.protocol.id_token import Hint
from jwtauth.protocol.interaction import Standing
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.records import Client


class SignOut(Struct, frozen=True):
    """End the browser's session, if there is one, and go there, or say that it is done."""

    redirect_to: str | None = None


class Ask(Struct, frozen=True):
    """Ask the person first."""


def client_id_of(sent: Parameters, hint: Hint | None) -> str | None:
    """The client that asks, as far as anything says so; only a hint proves it."""
    return hint.aud if hint is not None else parameters.one(sent, "client_id")


def believed(sent: Parameters, hint: Hint | None) -> Hint | None:
    """The hint, unless the request names another client than it was issued to (section 2)."""
    named = parameters.one(sent, "client_id")
    return None if hint is None or named not in (None, hint.aud) else hint


def decide(sent: Parameters, hint: Hint | None, client: Client | None, standing: Standing | None) -> SignOut | Ask:
    """What a logout request does."""
    redirect_to = _redirect_to(sent, client) if hint is not None and client is not None else None
    if standing is None:
        return SignOut(redirect_to)
    if hint is None or hint.sub != standing.user.sub:
        return Ask()
    return SignOut(redirect_to)


def _redirect_to(sent: Parameters, client: Client) -> str | None:
    uri, state = parameters.one(sent, "post_logout_redirect_uri"), parameters.one(sent, "state")
    if uri is None or not client.is_enabled or uri not in client.post_logout_redirect_uris:
        return None
    return redirect_uris.with_parameters(uri, {} if state is None else {"state": state})
