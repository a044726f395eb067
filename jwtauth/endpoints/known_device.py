"""Browsers with which a person has signed in before: strangers who guess cannot make them wait (SECURITY B-11)."""

import msgspec
from msgspec import Struct

from jwtauth.endpoints.visit import Visit, opened
from jwtauth.issuer import throttle
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol.records import User


class Device(Struct, frozen=True, kw_only=True):
    """What the sealed cookie says; only signing in ever earns one."""

    id: str
    sub: str


def account(issuer: Issuer, visit: Visit, username: str, user: User | None) -> str:
    """The name under which wrong passwords are counted: those of a known device under one of its own."""
    device = opened(issuer, visit.device, _DECODER)
    if device is None or user is None or device.sub != user.sub:
        return throttle.of_user(username)
    return f"{throttle.of_user(username)} device {device.id}"


def cookie(issuer: Issuer, visit: Visit, user: User, *, now: int) -> str | None:
    """The cookie for a browser with which a person has just signed in; None where it has it already."""
    device = opened(issuer, visit.device, _DECODER)
    if device is not None and device.sub == user.sub:
        return None
    return issuer.sealer.seal(msgspec.msgpack.encode(Device(id=issuer.random_name(), sub=user.sub)), now=now)


_DECODER = msgspec.msgpack.Decoder(Device)
