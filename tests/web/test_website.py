"""What is no machines' endpoint: made when the first page is asked for, and counted by its path from the start."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from jwtauth.dialects.registry import DIALECTS
from jwtauth.dialects.spoken import Spoken
from jwtauth.issuer import assembly
from jwtauth.issuer.issuer import Issuer
from jwtauth.web import health, site
from jwtauth.web.people import People
from jwtauth.web.reply import NO_STORE
from tests.support.home import Home

WITHOUT = ("httpx", "litestar", "jinja2", "babel", "rich", "prometheus_client", "opentelemetry", "jwtauth.web.site")
"""What no machine needs to get a token."""


@pytest.fixture(params=["", "/t1"])
def issuer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Issuer]:
    issuer = assembly.open_issuer(Home(tmp_path, issuer=f"http://127.0.0.1:8000{request.param}").source)
    yield issuer
    issuer.close()


class TestTheStart:
    def test_loads_nothing_that_only_pages_and_calls_need(self) -> None:
        program = "import sys, jwtauth.cli.serve; print(*sys.modules)"
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert "jwtauth.web.server" in run.stdout.split()
        assert set(WITHOUT) & set(run.stdout.split()) == set()


class TestPaths:
    def test_are_known_before_the_pages_are_made(self, issuer: Issuer) -> None:
        spoken = Spoken(issuer, DIALECTS)
        made = {route.path for route in site.create(issuer, spoken, DIALECTS).routes}
        assert People(issuer, spoken, DIALECTS).paths == {path for path in made if "{" not in path} | {*health.PROBES}


class TestThoseWhoComeFirst:
    def test_all_get_their_page(self, issuer: Issuer) -> None:
        """At once, and each of them while the pages are being made."""
        website = People(issuer, Spoken(issuer, DIALECTS), DIALECTS)
        path = next(path for path in website.paths if path.endswith("/style.css"))

        async def ask() -> int:
            answers = []

            async def send(message: dict[str, int]) -> None:
                answers.append(message)

            async def receive() -> dict[str, object]:
                return {"type": "http.request", "body": b"", "more_body": False}

            scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": [], "state": {}}
            await website(scope, receive, send)  # type: ignore[arg-type]
            return answers[0]["status"]

        async def ask_at_once() -> list[int]:
            return await asyncio.gather(*(ask() for _ in range(8)))

        assert asyncio.run(ask_at_once()) == [200] * 8


class TestWithoutPages:
    def test_people_get_500_as_machines_do_and_the_log_says_why(
        self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*_: object) -> NoReturn:
            raise ModuleNotFoundError("jinja2 is not here")

        website = People(issuer, Spoken(issuer, DIALECTS), DIALECTS)
        monkeypatch.setattr(website, "_make", broken)
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            raise AssertionError("nothing is read")

        scope: Any = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        asyncio.run(website(scope, receive, send))
        assert sent[0]["status"] == 500
        assert set(NO_STORE) <= set(sent[0]["headers"])
        assert b"jinja2" not in sent[1]["body"]
        assert "jinja2 is not here" in caplog.text
