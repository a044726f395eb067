"""Thousands of connections at once: who finds room is served, who does not hears so (SECURITY D-08)."""

import json
import resource
import socket
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.support import waiting
from tests.support.home import SECRET, Home
from tests.support.live import LiveServer
from tests.web.site import FORM, basic

wait_until = partial(waiting.wait_until, within=30, every=0.02)

ATTEMPTED: Final = 5_000
"""Connections in a long run; an ordinary one has a tenth of them for each `scale`."""

SHARE: Final = 0.8
"""Of them that find room."""

READY: Final = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
INTROSPECTION: Final = (
    f"POST /oauth/introspect HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {basic('service', SECRET)}\r\n"
    f"Content-Type: {FORM}\r\nContent-Length: 7\r\n\r\ntoken=a"
).encode()


class TestConnections:
    def test_d_08_in_thousands_are_served_or_told_to_come_again(self, scale: int, tmp_path: Path) -> None:
        attempted = min(ATTEMPTED, ATTEMPTED // 10 * scale)
        most = int(attempted * SHARE)
        allow_files(attempted + 200)
        home = Home(tmp_path / "home", max_connections=most, max_connections_per_address=0)
        home.client("service")
        with LiveServer(home.path) as server, ExitStack() as stack:
            before = open_files(server.pid)
            established = [stack.enter_context(connected(server)) for _ in range(most)]
            assert statuses(established, READY) == {200: most}
            for connection in established:
                connection.sendall(INTROSPECTION[:-1])  # at work: none of these makes room
            refused = [stack.enter_context(connected(server)) for _ in range(attempted - most)]
            assert statuses(refused) == {503: attempted - most}
            first = established[:1]
            assert [statuses(first, request) for request in (INTROSPECTION[-1:], READY)] == [{200: 1}, {200: 1}]
            assert statuses(established[1:], INTROSPECTION[-1:]) == {200: most - 1}
            stack.close()
            wait_until(lambda: open_files(server.pid) <= before)
            with connected(server) as newcomer:
                assert statuses([newcomer], READY) == {200: 1}
        assert "Traceback" not in server.log.read_text()


def connected(server: LiveServer) -> socket.socket:
    """One more connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def statuses(connections: list[socket.socket], request: bytes = b"") -> dict[int, int]:
    """How many of these connections are answered by which status, all of them asking before any is listened to."""
    for connection in connections:
        connection.sendall(request)
    found: dict[int, int] = {}
    for connection in connections:
        status = answer(connection)
        found[status] = found.get(status, 0) + 1
    return found


def answer(connection: socket.socket) -> int:
    """The status of one answer, read to its end."""
    with connection.makefile("rb") as file:
        status = int(file.readline().split()[1])
        lines = iter(lambda: file.readline().rstrip(), b"")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        body = file.read(int(fields[b"content-length"]))
    if status == 503:
        assert fields[b"retry-after"] == b"1"
        assert json.loads(body)["error"] == "temporarily_unavailable"
    return status


def allow_files(needed: int) -> None:
    """Let this process open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        if hard < needed:
            pytest.skip(f"the system lets a process open {hard} files; this needs {needed}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def open_files(pid: int) -> int:
    """How many file descriptors a process has."""
    folder = Path(f"/proc/{pid}/fd")
    if not folder.exists():
        pytest.skip("the system does not say which files a process has open")
    return len(list(folder.iterdir()))
