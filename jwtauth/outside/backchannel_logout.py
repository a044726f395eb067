"""A logout token posted to a client (OpenID Connect Back-Channel Logout 1.0 sections 2.5 and 2.8)."""

from typing import Final

from msgspec import Struct

from jwtauth.outside.http import NoAnswer, Outside

ANSWER_IN: Final = 5
"""For how long a client may take to answer, in seconds; a person may be waiting for it."""


class Delivered(Struct, frozen=True):
    """The client has ended its session."""


class Failed(Struct, frozen=True):
    """Whether the client has ended its session is not known; it may be told again."""

    reason: str


async def send(outside: Outside, uri: str, logout_token: str) -> Delivered | Failed:
    """Post a logout token and see what became of it.

    Only the status counts, so nobody waits for a body. 400 stands for a token that the client found wrong and for a
    logout that did not work there (section 2.8), a 404 for a route that a deployment has yet to bring: all may pass.
    """
    try:
        answer = await outside.post_form(uri, {"logout_token": logout_token}, within=ANSWER_IN, longest=0)
    except NoAnswer as problem:
        return Failed(str(problem))
    if not 200 <= answer.status < 300:
        return Failed(f"the client answered {answer.status}")
    return Delivered()
