"""The examples as somebody starts them: by the one command that they name, on ports of the test's own."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
from msgspec import Struct

from tests.support import forking, plain
from tests.support.live import free_port, wait_for

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
STOPS_WITHIN: Final = 60
PORTS: Final = ("8001", "8080", "9000")
"""Those in examples/nginx: of nginx, the application and the proxy."""


class Example(Struct, frozen=True):
    """A resource server that runs."""

    url: str
    is_published: bool = True
    """Whether it tells clients which issuer it trusts (RFC 9728)."""

    def get(self, path: str, token: str | None = None) -> httpx.Response:
        """Ask it as a client does."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        return plain.get(f"{self.url}{path}", headers=headers, timeout=20)

    def eventually(self, status: int, path: str, token: str | None, *, within: float) -> httpx.Response:
        """The first answer of this status."""
        deadline = time.monotonic() + within
        while (answer := self.get(path, token)).status_code != status:
            assert time.monotonic() < deadline, f"{answer.status_code} instead of {status}: {answer.text}"
            time.sleep(0.02)
        return answer


@contextmanager
def fastapi(folder: Path, environment: Mapping[str, str]) -> Iterator[Example]:
    """examples/fastapi_resource_server.py."""
    port = str(free_port())
    command = ["uvicorn", "--app-dir", str(EXAMPLES), "fastapi_resource_server:app", "--port", port]
    with _running([sys.executable, "-m", *command], folder, port, environment) as url:
        yield Example(url)


@contextmanager
def flask(folder: Path, environment: Mapping[str, str]) -> Iterator[Example]:
    """examples/flask_resource_server.py."""
    port = str(free_port())
    command = ["flask", "--app", str(EXAMPLES / "flask_resource_server"), "run", "--port", port]
    with _running([sys.executable, "-m", *command], folder, port, environment) as url:
        yield Example(url)


@contextmanager
def secure_resource(folder: Path, environment: Mapping[str, str]) -> Iterator[Example]:
    """examples/secure_resource.py."""
    port = str(free_port())
    command = ["flask", "--app", str(EXAMPLES / "secure_resource"), "run", "--port", port]
    with _running([sys.executable, "-m", *command], folder, port, environment) as url:
        yield Example(url)


@contextmanager
def aioauth_walk(folder: Path, port: int, environment: Mapping[str, str]) -> Iterator[str]:
    """examples/aioauth_walk.py, on the port to which its client's redirect URI leads."""
    command = ["flask", "--app", str(EXAMPLES / "aioauth_walk"), "run", "--port", str(port)]
    with _running([sys.executable, "-m", *command], folder, str(port), environment, ready="/") as url:
        yield url


@contextmanager
def nginx(folder: Path, environment: Mapping[str, str]) -> Iterator[Example]:
    """examples/nginx, a copy of it with other ports."""
    ports = dict(zip(PORTS, (str(free_port()) for _ in PORTS), strict=True))
    for original in (EXAMPLES / "nginx").iterdir():
        text = original.read_text(encoding="utf-8")
        for port, free in ports.items():
            text = text.replace(port, free)
        (folder / original.name).write_text(text, encoding="utf-8")
    with _running(["sh", str(folder / "start.sh")], folder, ports["8001"], environment) as url:
        yield Example(url, is_published=False)


@contextmanager
def infraviewer(folder: Path, environment: Mapping[str, str]) -> Iterator[Example]:
    """examples/infraviewer."""
    port = str(free_port())
    command = ["flask", "--app", str(EXAMPLES / "infraviewer" / "app"), "run", "--port", port]
    with _running([sys.executable, "-m", *command], folder, port, environment, ready="/") as url:
        yield Example(url)


@contextmanager
def swagger_ui(folder: Path, port: int, environment: Mapping[str, str]) -> Iterator[Example]:
    """examples/swagger_ui, on the port to which its client's redirect URI leads."""
    command = ["flask", "--app", str(EXAMPLES / "swagger_ui" / "app"), "run", "--port", str(port)]
    with _running([sys.executable, "-m", *command], folder, str(port), environment, ready="/") as url:
        yield Example(url)


def command_line(folder: Path, *arguments: str) -> None:
    """Run `jwtauth` as an operator does in this folder; it must succeed."""
    done = forking.run(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr


def has_nginx() -> bool:
    """Whether nginx is on this machine; Debian has it where only root looks."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is not None


@contextmanager
def _running(
    command: Sequence[str], folder: Path, port: str, environment: Mapping[str, str], *, ready: str = "/healthz"
) -> Iterator[str]:
    """Start it, wait until it answers, and stop it by its process id."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    url = f"http://127.0.0.1:{port}"
    log = folder / "example.log"
    with log.open("wb") as output:
        known = {**os.environ, "PATH": path, "RESOURCE": url, "TMPDIR": str(folder), **environment}
        process = subprocess.Popen(command, stdout=output, stderr=output, env=known, cwd=folder)
    try:
        assert wait_for(f"{url}{ready}", lambda: process.poll() is None), log.read_text()
        yield url
    finally:
        process.terminate()
        try:
            process.wait(STOPS_WITHIN)
        finally:
            process.kill()
            process.wait()
