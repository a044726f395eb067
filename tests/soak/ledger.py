"""What a service has promised: everything that was acknowledged, and what it must never do again."""

from collections import Counter
from threading import Condition
from typing import Final

from tests.web.site import claims_of

PATIENCE_IN: Final = 60.0
"""What takes longer than this, in seconds, will never happen."""


class Ledger:
    """Written by all threads of a load; whatever is in it was in an answer that was read to its end."""

    def __init__(self) -> None:
        self.acknowledged = 0
        """Answers of 200 that issued or revoked something."""
        self.refused = 0
        """Answers of 503 that say when to come again: nothing has happened."""
        self.problems: list[str] = []
        """Answers that no fault excuses."""
        self.successors: dict[str, set[str]] = {}
        """What each refresh token was exchanged for."""
        self.redemptions: Counter[str] = Counter()
        """How often each code was exchanged for tokens."""
        self.places: list[tuple[str, int]] = []
        """The status position of every machine's token."""
        self.revoked: list[str] = []
        """Access tokens that must not work any more."""
        self.ended: list[str] = []
        """Refresh tokens that must not work any more."""
        self._changed = Condition()

    def note_machine(self, access_token: str) -> None:
        """A machine got a token."""
        with self._changed:
            self.places.append(place(access_token))
            self._count()

    def note_person(self) -> None:
        """A person got tokens."""
        with self._changed:
            self._count()

    def note_refresh(self, used: str, successor: str) -> None:
        """A refresh token was exchanged."""
        with self._changed:
            self.successors.setdefault(used, set()).add(successor)
            self._count()

    def note_redemption(self, code: str) -> None:
        """A code was exchanged."""
        with self._changed:
            self.redemptions[code] += 1
            self._count()

    def note_revocation(self, access_token: str, refresh_token: str | None = None) -> None:
        """A token was revoked, or a grant with both of its tokens."""
        with self._changed:
            self.revoked.append(access_token)
            if refresh_token is not None:
                self.ended.append(refresh_token)
            self._count()

    def note_refusal(self) -> None:
        """The service could not do something now."""
        with self._changed:
            self.refused += 1
            self._changed.notify_all()

    def note_problem(self, text: str) -> None:
        """The service said what it must not say."""
        with self._changed:
            self.problems.append(text)
            self._changed.notify_all()

    def wait_for(self, more: int) -> None:
        """Return once so many more answers were acknowledged, or something went wrong."""
        with self._changed:
            wanted = self.acknowledged + more
            assert self._changed.wait_for(lambda: self.acknowledged >= wanted or self.problems, PATIENCE_IN)

    def wait_for_refusals(self, more: int) -> None:
        """Return once so many more requests were refused for now, or something went wrong."""
        with self._changed:
            wanted = self.refused + more
            assert self._changed.wait_for(lambda: self.refused >= wanted or self.problems, PATIENCE_IN)

    def double_issues(self) -> list[str]:
        """Refresh tokens with two successors, codes with two grants, status positions given twice."""
        return [
            *(token for token, found in self.successors.items() if len(found) > 1),
            *(code for code, times in self.redemptions.items() if times > 1),
            *(f"{uri} {idx}" for (uri, idx), times in Counter(self.places).items() if times > 1),
        ]

    def _count(self) -> None:
        self.acknowledged += 1
        self._changed.notify_all()


def place(access_token: str) -> tuple[str, int]:
    """The status list that a token names, and its index there."""
    status = claims_of(access_token)["status"]["status_list"]
    return status["uri"], status["idx"]
