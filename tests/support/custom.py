"""Grants of a realm's own, as an operator writes them: the module's `decide`, and what it permits."""

from collections.abc import Mapping

from jwtauth.errors import InvalidGrant
from jwtauth.protocol.custom_grant import Permit
from jwtauth.protocol.records import Client


async def decide(request: Mapping[str, str], client: Client, *, now: int) -> Permit:
    """Let whoever is named in `for` in, with the scope in `permit`; nobody is a machine, `refused` is refused."""
    assert "client_secret" not in request
    if request.get("for") == "refused":
        raise InvalidGrant(f"{client.client_id} is refused at {now}")
    return Permit(username=request.get("for"), scope=request.get("permit"))
