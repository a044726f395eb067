"""Fixtures that every test may use: a folder of an operator, and live servers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support import leaks
from tests.support.home import Home
from tests.support.live import LiveServer

TESTS: Final = Path(__file__).parent
DEAREST: Final = ("browser", "stories", "test_wheel.py", "examples", "soak", "attacks", "cli", "web", "dialects")
"""What takes longest begins first: a file runs on one worker, and at the end nobody should wait for a long one."""


leaks.listen()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--soak N`: long runs (`just soak`)."""
    parser.addoption("--soak", type=int, default=1, metavar="N", help="do the work of tests/soak N times over")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of DEAREST before the others."""
    items.sort(key=lambda item: _place(item.path.relative_to(TESTS).parts[0]))


def _place(name: str) -> int:
    return DEAREST.index(name) if name in DEAREST else len(DEAREST)


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> int:
    """How many times the work of an ordinary run a test of tests/soak does."""
    return int(request.config.getoption("--soak"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An initialised folder of the test's own."""
    return Home(tmp_path / "home")


@pytest.fixture
def serve() -> Iterator[Callable[..., LiveServer]]:
    """Start live servers on homes; all are stopped at the end of the test."""
    with ExitStack() as running:

        def start(home: Home, **options: Any) -> LiveServer:
            return running.enter_context(LiveServer(home.path, **options))

        yield start
