"""How long a wrong secret makes its account wait: longer each time, never for good (SECURITY B-10, B-11)."""

from typing import Final

FREE_FAILURES: Final = 5
"""Wrong secrets in a row that cost nothing."""
LONGEST_WAIT_IN: Final = 900
"""No account waits longer than this, in seconds."""
FORGET_IN: Final = 86_400
"""After so many quiet seconds the count begins anew."""
BUCKETS: Final = 1 << 18
"""Accounts are counted in so many buckets: strangers cannot make the table grow without bound."""


def wait_in(failures: int, *, last_at: int, now: int) -> int:
    """Seconds until another secret is looked at; 0 where one may come now. A clock set back never adds to the wait."""
    if failures < FREE_FAILURES or now - last_at >= FORGET_IN:
        return 0
    wait: int = min(2 ** min(failures - FREE_FAILURES, 20), LONGEST_WAIT_IN)
    return max(0, min(last_at, now) + wait - now)
