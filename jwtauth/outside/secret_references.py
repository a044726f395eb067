"""Secrets that are kept elsewhere and read when they are used: `file:/path` or `env:NAME`."""

import os
from pathlib import Path

from jwtauth.outside.http import NoAnswer


def read(reference: str) -> str:
    """The secret that a reference names; empty where the reference is.

    Raises:
        NoAnswer: it cannot be read or is empty, so that nothing can be asked; the message holds the reference only.
    """
    kind, _, name = reference.partition(":")
    match kind:
        case "":
            return ""
        case "file":
            secret = _read_file(name)
        case _:
            secret = os.environ.get(name, "")
    if not secret:
        raise NoAnswer(f"the client secret {reference} cannot be read or is empty")
    return secret


def _read_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        return ""
