"""Remembering no more than so much."""

from typing import Final, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SHARE: Final = 16
"""One of so many goes where there is no room: one at a time, each would be looked for behind the places of all those
that went before it, which costs more than most of what is remembered saves."""


class Bounded(dict[K, V]):
    """A dictionary that forgets what it learned first when it is full.

    Threads may share it: `list` copies its keys in one step, and an entry that another thread has just dropped is no
    error. Where several learn at once there may be a few entries more until the next one is learned.
    """

    def __init__(self, most: int) -> None:
        """Hold so many at most."""
        super().__init__()
        self._most = most

    def learn(self, key: K, value: V) -> V:
        """Remember a value, and return it."""
        if len(self) >= self._most and key not in self:
            surplus = len(self) - self._most + max(1, self._most // SHARE)
            for oldest in list(self)[:surplus]:
                self.pop(oldest, None)
        self[key] = value
        return value
