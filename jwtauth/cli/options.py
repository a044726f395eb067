"""Options that several commands share."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import click

from jwtauth.protocol import scopes

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
