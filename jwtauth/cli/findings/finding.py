"""A finding: one thing that somebody should look at, how bad it is, and what changes it."""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct

from jwtauth.errors import ConfigurationError

SET_THE_CLOCKS: Final = "let both follow a time server: timedatectl set-ntp true"
"""The remedy where two clocks differ."""


class Severity(StrEnum):
    """How bad it is, the worst first."""

    ERROR = "error"
    """`jwtauth serve` does not start; of a running service, that clients fail or are not safe."""
    WARNING = "warning"
    """`jwtauth serve` says so when it starts; of a running service, that it works worse than it could."""
    ADVICE = "advice"
    """Safe only as long as somebody knows why it is so; `jwtauth doctor` alone says it."""


class Finding(Struct, frozen=True):
    """One thing that somebody should look at."""

    severity: Severity
    what: str
    remedy: str
    """The command or the setting that changes it."""

    @property
    def text(self) -> str:
        """All of it in one line."""
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


def of_problem(problem: ConfigurationError) -> Finding:
    """A refusal as a finding."""
    what, _, remedy = str(problem).partition("; ")
    return Finding(Severity.ERROR, what, remedy)


def require_startable(found: Iterable[Finding]) -> list[str]:
    """Let an installation pass in which nothing is wrong; returns what to warn of.

    Raises:
        ConfigurationError: something is; the message has the remedy.
    """
    known = list(found)
    for finding in known:
        if finding.severity is Severity.ERROR:
            raise ConfigurationError(finding.text)
    return [finding.text for finding in known if finding.severity is Severity.WARNING]


def told(rule: Callable[..., Iterable[Finding]], *facts: object) -> Iterator[Finding]:
    """What a rule finds; what keeps it from looking is a finding too."""
    try:
        yield from rule(*facts)
    except ConfigurationError as problem:
        yield of_problem(problem)
