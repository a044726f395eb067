"""Instants as people type them: ISO 8601, or how long before now."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import click

_AGO: Final = re.compile("([0-9]{1,9})([smhd])(?: ago)?", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_EXPECTED: Final = "expected an instant such as 2026-01-31T12:00:00Z, a duration before now such as 2h, or now"


def read(text: str, present: datetime, *, zone: tzinfo | None = None) -> int:
    """The instant in seconds since the epoch; one that names no zone is of `zone`.

    Raises:
        BadParameter: it is none, or needs a zone.
    """
    ago = _AGO.fullmatch("0s" if text == "now" else text)
    try:
        found = present - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise click.BadParameter(_EXPECTED) from None
    if found.tzinfo is None and zone is None:
        raise click.BadParameter(f"{_EXPECTED}; an instant needs its zone, Z or an offset")
    return int((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp())


def read_since(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """An option's value: as `read` takes it, in UTC unless it says otherwise, or seconds since the epoch."""
    if value is None or re.fullmatch("[0-9]{1,12}", value, re.ASCII):
        return None if value is None else int(value)
    return read(value, datetime.now(UTC), zone=UTC)
