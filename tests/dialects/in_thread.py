"""The application in a thread of this process, over real HTTP: with dialects that no installation has."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

import uvicorn

from jwtauth import settings
from jwtauth.dialects.dialect import Dialect
from jwtauth.dialects.registry import DIALECTS
from jwtauth.issuer import assembly
from jwtauth.web import app
from tests.support.home import Home
from tests.support.live import free_port

PATIENCE_IN: Final = 60.0
"""For so many seconds a server may take to start or to stop."""


class _Server(uvicorn.Server):
    """Opens the issuer in its own thread, where the database is used."""

    def __init__(self, home: Home, dialects: Mapping[str, Dialect], port: int) -> None:
        super().__init__(uvicorn.Config(self._application, factory=True, port=port, **_OPTIONS))
        self.url = f"http://127.0.0.1:{port}"
        self._home, self._dialects, self._port = home, dialects, port

    def _application(self) -> object:
        source = settings.load(self._home.path, {}, port=self._port)
        return app.create(assembly.open_issuer(source), dialects=self._dialects)


@contextmanager
def serving(home: Home, dialects: Mapping[str, Dialect] = DIALECTS) -> Iterator[str]:
    """The URL under which the folder is served in these dialects."""
    server = _Server(home, dialects, free_port())
    thread = Thread(target=server.run)
    thread.start()
    try:
        _wait_for(server, thread)
        yield server.url
    finally:
        server.should_exit = True
        thread.join(PATIENCE_IN)
    assert not thread.is_alive()


def _wait_for(server: _Server, thread: Thread) -> None:
    for _ in range(int(PATIENCE_IN / _STEP_IN)):
        if server.started or not thread.is_alive():
            break
        thread.join(_STEP_IN)
    assert server.started, "the server did not start"


_STEP_IN: Final = 0.02
_OPTIONS: Final[dict[str, Any]] = {
    "host": "127.0.0.1",
    "lifespan": "on",
    "ws": "none",
    "access_log": False,
    "log_config": None,
}
