"""How long a wrong secret makes its account wait: longer each time, never for good (SECURITY B-10, B-11)."""

from typing import Final

from msgspec import Struct

from jwtauth.protocol.claims import LEEWAY_IN


class Patience(Struct, frozen=True, kw_only=True):
    """How much is forgiven."""

    free: int
    """Wrong secrets in a row that cost nothing."""
    longest_wait_in: int
    """Nobody waits longer than this, in seconds."""
    forget_in: int
    """After so many quiet seconds the count begins anew."""


ACCOUNT: Final = Patience(free=5, longest_wait_in=900, forget_in=86_400)
"""Towards one account, wherever the guesses come from."""

ADDRESS: Final = Patience(free=100, longest_wait_in=30, forget_in=900)
"""Towards one client address, whichever accounts are tried: many people may share it, so nobody waits long."""

BUCKETS: Final = 1 << 18
"""Accounts and addresses are counted in so many buckets: strangers cannot make the table grow without bound."""


def wait_in(failures: int, patience: Patience = ACCOUNT, *, last_at: int, now: int) -> int:
    """Seconds until another secret is looked at; 0 where one may come now.

    A clock set back never adds to the wait. Where it was set back further than two clocks may differ, nobody can tell
    how long ago the last one came, and waiting would not end before the clock is there again: one may come now.
    """
    if failures < patience.free or now - last_at >= patience.forget_in or last_at - now > LEEWAY_IN:
        return 0
    wait: int = min(2 ** min(failures - patience.free, 20), patience.longest_wait_in)
    return max(0, min(last_at, now) + wait - now)
