"""The wheel: templates inside, and a server that runs from an empty environment."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support import plain
from tests.support.live import free_port, wait_for

TOP = Path(__file__).parents[1]


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pip. What it installs is not compiled: most of it is never imported here."""
    return subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False)


def install(environment: Path, *what: str) -> subprocess.CompletedProcess[str]:
    """Make an empty environment and install something there; pip itself is not in it."""
    venv.create(environment)
    return pip("--python", str(environment / "bin" / "python"), "install", "-q", "--no-compile", *what)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    done = pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(TOP))
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


class TestTheWheel:
    def test_holds_templates_and_no_key(self, wheel: Path) -> None:
        names = zipfile.ZipFile(wheel).namelist()
        assert "jwtauth/web/templates/front.html" in names
        assert "jwtauth/py.typed" in names
        assert not [
            name for name in names if name.endswith((".key.json", ".secret", ".db")) or name.startswith("tests")
        ]

    def test_runs_in_an_empty_environment(self, wheel: Path, tmp_path: Path) -> None:
        done = install(tmp_path / "venv", "-c", str(TOP / "constraints.txt"), f"{wheel}[server]")
        if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
            pytest.skip(f"the package index cannot be reached from here: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr
        port = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("JWTAUTH_", "PYTHON"))}
        command = [str(tmp_path / "venv" / "bin" / "jwtauth"), "dev", "--port", str(port)]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as server:
            try:
                assert wait_for(f"http://127.0.0.1:{port}/readyz", lambda: server.poll() is None)
                page = plain.get(f"http://127.0.0.1:{port}/")
                assert page.status_code == 200
                assert f"<code>http://127.0.0.1:{port}</code>" in page.text
            finally:
                server.terminate()

    def test_says_in_one_line_what_is_missing_without_the_server_extra(self, wheel: Path, tmp_path: Path) -> None:
        done = install(tmp_path / "venv", "--no-deps", str(wheel))
        assert done.returncode == 0, done.stderr
        done = subprocess.run([tmp_path / "venv" / "bin" / "jwtauth"], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [
            "jwtauth: the command line needs the server's packages; run: pip install 'jwtauth[server]'"
        ]
