"""Reading what must never be an argument: process lists and shell histories show arguments (SECURITY S-09)."""

import getpass
import sys
import warnings

import click

from jwtauth.cli.commands import UNANSWERED, Refused
from jwtauth.errors import ConfigurationError
from jwtauth.passwords import Passwords
from jwtauth.settings import Settings


class NoTerminal(Refused):
    """There is nobody to ask: a usage error, in one line."""

    exit_code = 2


def from_stdin(name: str, *, max_bytes: int) -> str:
    """The first line of standard input.

    Raises:
        ConfigurationError: it is empty, too long, no UTF-8, or has a control character.
    """
    line = sys.stdin.buffer.readline(max_bytes + 3).rstrip(b"\r\n")
    return _checked(name, line.decode(errors="surrogateescape"), max_bytes)


def asked(name: str, *, max_bytes: int) -> str:
    """What a person types twice without seeing it.

    Raises:
        ConfigurationError: it is empty, too long, or has a control character.
        NoTerminal: there is no terminal to ask at.
        Refused: it was not answered.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # it would be shown as it is typed
            typed = click.prompt(name, hide_input=True, confirmation_prompt=True, err=True)
    except getpass.GetPassWarning:
        raise NoTerminal(
            f"{name}: there is no terminal to ask at; type it at one, or send it with --{name}-stdin"
        ) from None
    except click.Abort:
        raise Refused(UNANSWERED) from None
    return _checked(name, typed, max_bytes)


def hashed(settings: Settings, secret: str) -> str:
    """The argon2id hash of what a human chose, as costly as the settings say."""
    passwords = Passwords(memory=settings.argon2_memory, passes=settings.argon2_passes, threads=1, queue=0)
    try:
        return passwords.hash(secret)
    finally:
        passwords.close()


def _checked(name: str, secret: str, max_bytes: int) -> str:
    if not secret:
        raise ConfigurationError(f"{name}: is empty; send one line")
    if len(secret.encode(errors="surrogateescape")) > max_bytes:
        raise ConfigurationError(f"{name}: is longer than {max_bytes} bytes; it would never be accepted")
    if not secret.isprintable():
        raise ConfigurationError(f"{name}: has a character that cannot be typed, or is not UTF-8")
    return secret
