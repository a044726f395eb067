"""The command `jwtauth`: its subcommands, imported when they are used, and how an expected error ends."""

import gc
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import click
from msgspec import Struct

from jwtauth.errors import ConfigurationError, OAuthError
from jwtauth.settings import FOLDER_VARIABLE


class LazyCommand(Struct, frozen=True):
    """A subcommand that is not imported before somebody runs it."""

    target: str
    """module:attribute."""
    help: str
    """What the list of commands says of it."""


COMMANDS: Final = {
    "dev": LazyCommand("jwtauth.cli.dev:dev", "Start a complete demonstration on this machine."),
    "init": LazyCommand("jwtauth.cli.init:init", "Make keys, server.secret, database and the built-in realm."),
    "serve": LazyCommand("jwtauth.cli.serve:serve", "Start the service."),
    "realm": LazyCommand("jwtauth.cli.realm:realm", "Realms: groups of clients with roles and lifetimes."),
    "client": LazyCommand("jwtauth.cli.client:client", "Clients: the applications that ask for tokens."),
    "user": LazyCommand("jwtauth.cli.user:user", "Users: the people who sign in."),
    "import": LazyCommand("jwtauth.cli.import_:import_", "Move users and clients of another system in."),
    "token": LazyCommand("jwtauth.cli.token:token", "Look into tokens and revoke them."),
    "revoke": LazyCommand("jwtauth.cli.revoke:revoke", "Revoke many tokens at once, counted before."),
    "keys": LazyCommand("jwtauth.cli.keys:keys", "Signing keys and server secrets."),
    "backup": LazyCommand("jwtauth.cli.backup:backup", "Copy the database while the service runs."),
    "restore": LazyCommand("jwtauth.cli.restore:restore", "Put a backup back and end what was issued before."),
    "audit": LazyCommand("jwtauth.cli.audit:audit", "Read the audit log, and see whether somebody touched it."),
    "stats": LazyCommand("jwtauth.cli.stats:stats", "Count what is registered, and what of it is still in use."),
    "doctor": LazyCommand(
        "jwtauth.cli.doctor:doctor", "Say what is wrong or risky here or at a URL, and what to change."
    ),
    "explain": LazyCommand("jwtauth.cli.explain:explain", "Say why a token or a request is refused."),
}


def _imported(name: str) -> ModuleType:
    """A module, read without looking for garbage: it makes hundreds of thousands of objects that all stay, and to look
    at them again and again is a fifth of the time."""
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.enable()


class Refused(click.ClickException):
    """An expected error: one line, no traceback."""

    def show(self, file: Any = None) -> None:
        """Print `jwtauth: <what is wrong; what to do>` to stderr."""
        click.echo(f"jwtauth: {' '.join(self.message.split())}", err=True, file=file)


UNANSWERED: Final = "the question was not answered; nothing was changed"

_REMEDIES: Final = {
    "SQLITE_FULL": "there is no space left where it is: free some, and try again",
    "SQLITE_BUSY": "another process holds the database: try again, and if it goes on, end that process",
}
"""What to do where the database says no, by its word for it."""


def _told(problem: Exception) -> str:
    """What is wrong, and what to do."""
    text = str(problem)
    remedy = next((remedy for word, remedy in _REMEDIES.items() if word in text), None)
    return text if remedy is None else f"{text}; {remedy}"


class Commands(click.Group):
    """A group whose subcommands cost nothing until they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which one needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].target.partition(":")
        command = getattr(_imported(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `jwtauth --help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.help) for name, lazy in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; what an operator can mend becomes one line."""
        try:
            return super().invoke(ctx)
        except (ConfigurationError, OAuthError) as problem:
            raise Refused(_told(problem)) from None
        except click.Abort as problem:
            if problem.__context__ is not None:  # broken off behind the question, on its line
                click.echo(err=True)
            raise Refused(UNANSWERED) from None
        except OSError as problem:
            if problem.filename is None:
                raise
            raise Refused(
                f"{problem.filename} cannot be used: {problem.strerror}; check what it is and its owner"
            ) from None


@click.group(cls=Commands, epilog="\b\nExample:\n  jwtauth init\n  jwtauth client create portal --scope 'read write'")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    envvar=FOLDER_VARIABLE,
    show_envvar=True,
    help="The folder of jwtauth.toml; the current one unless told.",
)
@click.version_option(package_name="jwtauth")
@click.pass_context
def root(ctx: click.Context, folder: Path) -> None:
    """Token service for OAuth 2.x and OpenID Connect: JWT access tokens that verify offline and can be revoked."""
    ctx.obj = folder
