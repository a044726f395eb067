"""A relay in front of the issuer that counts the requests for each path."""

import re
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread
from typing import Final, Self

from tests.support.live import free_port

_REQUEST: Final = re.compile(rb"(?:^|\r\n\r\n)[A-Z]+ (\S+) HTTP/1\.1\r\n")


class Relay:
    """Passes bytes on, from its own port to another of this machine."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.target = 0
        """The port that it passes on to."""
        self._seen: Counter[str] = Counter()
        self._lock = Lock()
        self._open: list[socket.socket] = []
        self._threads: list[Thread] = []

    @property
    def seen(self) -> Counter[str]:
        """How often each path was asked for until now."""
        with self._lock:
            return self._seen.copy()

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._start(self._accept)
        return self

    def __exit__(self, *problem: object) -> None:
        for connection in [self._listening, *self._open]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                inner, _ = self._listening.accept()
                outer = socket.create_connection(("127.0.0.1", self.target))
                self._open += [inner, outer]
                self._start(self._pass_on, inner, outer, True)
                self._start(self._pass_on, outer, inner, False)

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_counted: bool) -> None:
        with suppress(OSError):
            while chunk := source.recv(65_536):
                if is_counted:
                    self._count(chunk)
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _count(self, chunk: bytes) -> None:
        with self._lock:
            self._seen.update(path.decode("ascii") for path in _REQUEST.findall(chunk))

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
