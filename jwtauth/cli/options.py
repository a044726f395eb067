"""Options that several commands share."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import click

from jwtauth.protocol import scopes

NEVER: Final = "none"
"""How an instant is taken back."""

REFERENCE: Final = "file:PATH|env:NAME"
"""Where a secret is."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Option(Protocol):
    """A decorator that adds an option to a command and leaves its type as it is."""

    def __call__(self, command: Decorated, /) -> Decorated:
        """The command with the option."""


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask whether to go on.")


def several(flag: str, field: str, text: str) -> Option:
    """An option that may be repeated; given once with an empty value it empties the field."""
    return click.option(flag, field, multiple=True, callback=_read_several, help=f"{text} Repeatable.")


def scope(flag: str, field: str, text: str) -> Option:
    """An option with space-separated scope values, which may be repeated."""
    return click.option(flag, field, multiple=True, callback=_read_scope, help=f"{text} Space-separated, repeatable.")


def pairs(flag: str, field: str, metavar: str, text: str) -> Option:
    """An option NAME=VALUE that may be repeated; names not named stay, an empty value removes one."""
    text = f"{text} An empty value removes one; what is not named stays. Repeatable."
    return click.option(flag, field, multiple=True, metavar=metavar, callback=_read_pairs, help=text)


def instant(flag: str, field: str, text: str) -> Option:
    """An option with an ISO date or instant, in UTC unless it says otherwise; 0 where it is taken back."""
    text = f"{text} An ISO date (midnight UTC) or instant; {NEVER} takes it back."
    return click.option(flag, field, metavar="DATE", callback=_read_instant, help=text)


def reference(flag: str, text: str) -> Option:
    """An option that says where a secret is, never the secret: process lists and shell histories show arguments."""
    return click.option(flag, metavar=REFERENCE, callback=_read_reference, help=text)


def together(options: Sequence[Option]) -> Option:
    """One decorator for many options, shown in the order given."""

    def decorate(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """Those settings that were named on the command line."""
    return {name: value for name, value in settings.items() if value is not None}


def required(settings: dict[str, Any]) -> dict[str, Any]:
    """Those settings that were named on the command line, at least one.

    Raises:
        UsageError: there is none.
    """
    named = given(settings)
    if not named:
        raise click.UsageError("nothing to change; name at least one option (see --help)")
    return named


def _read_several(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(value for value in values if value)) if values else None


def _read_scope(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...] | None:
    return scopes.parse(" ".join(values)) if values else None


def _read_pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str] | None:
    pairs = [value.rpartition("=") for value in values]
    if not all(name and equals for name, equals, _ in pairs):
        raise click.BadParameter(f"expected {param.metavar}")
    return {name: value for name, _, value in pairs} if values else None


def _read_instant(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    if value is None or value == NEVER:
        return None if value is None else 0
    try:
        instant = datetime.fromisoformat(value)
        return int((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC).timestamp())
    except (ValueError, OverflowError):  # the latter where no calendar reaches, as answers say it as a date
        raise click.BadParameter(f"expected a date such as 2030-12-31, an instant, or {NEVER}") from None


def _read_reference(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value and not value.startswith(("file:", "env:")):
        raise click.BadParameter(f"expected {REFERENCE}, never the secret itself")
    return value
