"""The option `--claim`: standard claims about a person as NAME=VALUE (OpenID Connect Core 1.0 section 5.1)."""

from collections.abc import Iterable
from typing import Any, Final

import click
import msgspec

from jwtauth.protocol.profile import Address, Profile

Claim = tuple[str, str | bool]
"""The name, of an address member behind `address.`, and the value; empty removes the claim."""

_PREFIX: Final = "address."
_TRUTHS: Final = {"true": True, "false": False}
_BOOLEANS: Final = frozenset({"email_verified", "phone_number_verified"})
_TEXTS: Final = (
    *(name for name in Profile.__struct_fields__ if name not in {*_BOOLEANS, "address"}),
    *(_PREFIX + name for name in Address.__struct_fields__),
)


def _read(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[Claim, ...]:
    return tuple(_claim(*value.partition("=")) for value in values)


def _claim(name: str, equals: str, value: str) -> Claim:
    if not equals:
        raise click.BadParameter("expected NAME=VALUE")
    if name in _BOOLEANS and value:
        if value not in _TRUTHS:
            raise click.BadParameter(f"{name}: expected true or false")
        return name, _TRUTHS[value]
    if name not in _TEXTS and name not in _BOOLEANS:
        raise click.BadParameter(f"there is no claim {name}; known are {', '.join((*_TEXTS, *sorted(_BOOLEANS)))}")
    return name, value


claim_option = click.option(
    "--claim",
    "claims",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_read,
    help="What is known of the person: name, email, address.locality...; an empty value removes it. Repeatable.",
)


def apply(profile: Profile, claims: Iterable[Claim]) -> Profile:
    """The profile with these claims; what is not named stays."""
    members: dict[str, Any] = msgspec.to_builtins(profile)
    address: dict[str, Any] = members.pop("address", {})
    for name, value in claims:
        part, member = (address, name.removeprefix(_PREFIX)) if name.startswith(_PREFIX) else (members, name)
        part.pop(member, None)
        if value != "":
            part[member] = value
    return msgspec.convert({**members, "address": address} if address else members, Profile)
