"""Waiting for what another thread or process will bring about, and no longer than one has patience."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], object], *, within: float, every: float = 0.01) -> None:
    """Return once it is so; at the deadline it is a failure.

    Args:
        is_so: asked again and again.
        within: patience, in seconds.
        every: the pause between two looks, in seconds.
    """
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(every)
