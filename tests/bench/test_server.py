"""What is read from a server as a process: the memory of its workers, not of who supervises them."""

from pathlib import Path
from typing import Final

import pytest

from bench import server
from bench.server import Server
from bench.wire import Message

LARGE: Final = 100_000_000
"""Bytes that the worker holds."""

SUPERVISOR: Final = f"""
import subprocess, sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
worker = [sys.executable, "-c", "held = b'x' * {LARGE}; print(1, flush=True); input()"]
with subprocess.Popen(worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
    child.stdout.readline()
    HTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux says what a process uses")
class TestAServerWithAWorker:
    def test_is_as_large_as_the_largest_of_its_processes(self, tmp_path: Path) -> None:
        port = server.free_port()
        asked = Message(path="/")
        starting = Server(
            ["-c", SUPERVISOR, str(port)], port=port, log=tmp_path / "log", place=frozenset(), readiness=asked
        )
        with starting as started:
            memory = started.memory()
        assert memory is not None
        assert LARGE < memory < 2 * LARGE
