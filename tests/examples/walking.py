"""examples/aioauth_walk.py beside `jwtauth dev --dialect aioauth`, its client registered as its first lines say."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from tests.examples import programs
from tests.support import forking
from tests.support.live import LiveServer, free_port

PORT: Final = "8001"
"""The one in the example."""


class Walk(Struct, frozen=True):
    """The example and its issuer, both running."""

    issuer: str
    url: str
    client_secret: str

    @property
    def redirect_uri(self) -> str:
        """Where people come back to."""
        return f"{self.url}/redirect"


@contextmanager
def walking(folder: Path) -> Iterator[Walk]:
    """The example, for as long as it is walked through."""
    issuing, walking = folder / "issuer", folder / "walk"
    walking.mkdir(parents=True)
    issuing.mkdir()
    port = free_port()
    with LiveServer(issuing, command="dev", options=("--dialect", "aioauth")) as issuer:
        secret = register(issuing, port)
        environment = {
            "ISSUER": issuer.url,
            "CLIENT_SECRET": secret,
            "REDIRECT_URI": f"http://127.0.0.1:{port}/redirect",
        }
        with programs.aioauth_walk(walking, port, environment) as url:
            yield Walk(issuer.url, url, secret)


def register(folder: Path, port: int) -> str:
    """Run the command of the example, with this port instead of its own; returns the secret that it prints."""
    text = (programs.EXAMPLES / "aioauth_walk.py").read_text(encoding="utf-8")
    (command,) = re.findall(r"^ +jwtauth (client create .+)$", text, re.MULTILINE)
    done = forking.run(*shlex.split(command.replace(PORT, str(port))), folder=folder)
    done.check_returncode()
    (secret,) = re.findall(r"^client_secret +(\S+)$", done.stdout, re.MULTILINE)
    return str(secret)
