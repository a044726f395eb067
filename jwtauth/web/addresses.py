"""Whose address a request comes from (SECURITY B-10, H-12): of the last one that is no trusted proxy."""

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from jwtauth.settings import Settings
from jwtauth.web.types import HTTPScope

_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9]+(?:\.[0-9]+){3}):[0-9]+", re.ASCII)


MAX_LENGTH: Final = 64
"""No address is longer, in characters, whatever a header says."""


class Addresses:
    """Reads addresses as one issuer is told to: X-Forwarded-For counts only from proxies that it names."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = tuple(ip_network(proxy) for proxy in settings.trusted_proxies)
        self._is_hidden = settings.issuer.startswith("https:") and not self._proxies
        """Whether a proxy must stand before us, as we speak no TLS, and we were not told which: all look like it."""

    def of(self, scope: HTTPScope) -> str:
        """The client's address, for counting; of IPv6 the network of 2^64 addresses that one subscriber has.

        Empty, and then nothing is counted, where it cannot be known.
        """
        if self._is_hidden:
            return ""
        client = scope.get("client")
        if client is not None and not self._proxies:
            return _of_peer(client[0])
        return _subscriber(self.source(scope))

    def source(self, scope: HTTPScope) -> str:
        """The very address that a request comes from, of the last one that is no trusted proxy; or empty."""
        client = scope.get("client")
        address = _one_spelling(client[0]) if client else ""
        if not self._proxies:
            return address
        sent = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return self._behind_proxies(address, ",".join(sent))

    def is_from_proxy(self, scope: HTTPScope) -> bool:
        """Whether a trusted proxy hands the request on."""
        client = scope.get("client")
        return bool(self._proxies) and client is not None and is_within(_one_spelling(client[0]), self._proxies)

    def of_peer(self, address: str) -> str:
        """Whose connections are counted together, by the address that one comes from.

        Empty, and then nothing is counted, where it is a proxy: a trusted one, or one that must be there.
        """
        is_proxy = self._is_hidden or is_within(_one_spelling(address), self._proxies)
        return "" if is_proxy else _of_peer(address)

    def _behind_proxies(self, address: str, forwarded: str) -> str:
        entries = [entry.strip() for entry in forwarded.split(",") if entry.strip()]
        while entries and is_within(address, self._proxies):
            address = _one_spelling(entries.pop())
        return address


def _one_spelling(entry: str) -> str:
    """An address without a port and in its one spelling; what is none stays as it is."""
    return _spelt(entry) if len(entry) <= MAX_LENGTH else entry


@lru_cache(maxsize=4096)
def _spelt(entry: str) -> str:
    found = _WITH_PORT.fullmatch(entry)
    try:
        address = ip_address((found[1] or found[2]) if found else entry)
    except ValueError:
        return entry
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(maxsize=4096)
def _of_peer(address: str) -> str:
    """Whose the address is that a connection comes from: asked by every request."""
    return _subscriber(_one_spelling(address))


def _subscriber(address: str) -> str:
    """Whose an address is; `address` in its one spelling."""
    return _network(address) if ":" in address and len(address) <= MAX_LENGTH else address


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    try:
        return str(ip_network((address, 64), strict=False))
    except ValueError:
        return address


def is_within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether an address is in one of these networks; what is none is not."""
    return len(address) <= MAX_LENGTH and _is_within(address, networks)


@lru_cache(maxsize=4096)
def _is_within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
