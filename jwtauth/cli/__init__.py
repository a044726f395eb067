"""The command line: what operators type. Each command loads the settings, asks one port or the keys folder, and prints.

A file here is a command, or what commands share; what a command needs several files for is a package.
What may be registered is decided in `jwtauth.protocol.registration`; how keys live is known to `jwtauth.keyring`.
"""

import importlib
import importlib.util
import sys
from typing import Final

NEEDED: Final = ("click", "sqlite_utils", "argon2", "litestar")
"""Packages of the extra `server` without which no command works."""

MISSING: Final = "jwtauth: the command line needs the server's packages; run: pip install 'jwtauth[server]'"


def main() -> None:
    """Run the command line, or say in one line that its packages are not installed."""
    if _missing():
        sys.stderr.write(MISSING + "\n")
        sys.exit(2)
    importlib.import_module("jwtauth.cli.commands").root.main(prog_name="jwtauth")


def _missing() -> list[str]:
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]
