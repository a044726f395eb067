"""Whose address a request comes from (SECURITY B-10, H-12): of the last one that is no trusted proxy."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from litestar.types import HTTPScope

from jwtauth.settings import Settings

_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9]+(?:\.[0-9]+){3}):[0-9]+", re.ASCII)


class Addresses:
    """Reads addresses as one issuer is told to: X-Forwarded-For counts only from proxies that it names."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = [ip_network(proxy) for proxy in settings.trusted_proxies]
        self._is_hidden = settings.issuer.startswith("https:") and not self._proxies
        """Whether a proxy must stand before us, as we speak no TLS, and we were not told which: all look like it."""

    def of(self, scope: HTTPScope) -> str:
        """The client's address, for counting; of IPv6 the network of 2^64 addresses that one subscriber has.

        Empty, and then nothing is counted, where it cannot be known.
        """
        if self._is_hidden:
            return ""
        return _subscriber(self.source(scope))

    def source(self, scope: HTTPScope) -> str:
        """The very address that a request comes from, of the last one that is no trusted proxy; or empty."""
        client = scope.get("client")
        address = client[0] if client else ""
        if not self._proxies:
            return _one_spelling(address)
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
        return "" if is_proxy else _subscriber(address)

    def _behind_proxies(self, address: str, forwarded: str) -> str:
        address = _one_spelling(address)
        entries = [_one_spelling(entry.strip()) for entry in forwarded.split(",") if entry.strip()]
        while entries and is_within(address, self._proxies):
            address = entries.pop()
        return address


def _one_spelling(entry: str) -> str:
    """An address without a port and in its one spelling; what is none stays as it is."""
    found = _WITH_PORT.fullmatch(entry)
    try:
        address = ip_address((found[1] or found[2]) if found else entry)
    except ValueError:
        return entry
    return str(getattr(address, "ipv4_mapped", None) or address)


@lru_cache(maxsize=4096)
def _subscriber(address: str) -> str:
    found = _one_spelling(address)
    try:
        return str(ip_network((found, 64), strict=False)) if ":" in found else found
    except ValueError:
        return found


def is_within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of these networks; what is none is not."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in networks)
