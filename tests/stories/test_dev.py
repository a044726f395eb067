"""`jwtauth dev` in an empty folder, and its commands pasted into every shell that is here."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.live import LiveServer

SHELLS = ("sh", "bash", "dash", "zsh", "fish")
PURPOSES = ("get a token for a person", "check it", "refresh it", "revoke it", "check it again")


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A demonstration in a folder that was empty."""
    began = time.monotonic()
    with LiveServer(tmp_path_factory.mktemp("demo"), command="dev") as server:
        while "# check it again\ncurl" not in server.log.read_text():
            assert time.monotonic() - began < 20, server.log.read_text()
        print(f"jwtauth dev: first token {time.monotonic() - began:.2f} s after its start")
        yield server


@pytest.fixture
def commands(dev: LiveServer) -> list[tuple[str, str]]:
    """What it printed, as (purpose, command)."""
    return re.findall(r"^# (.+)\n(curl .+)$", dev.log.read_text(), re.MULTILINE)


class TestDev:
    def test_prints_a_token_and_five_commands_in_order(self, dev: LiveServer, commands: list[tuple[str, str]]) -> None:
        assert tuple(purpose for purpose, _ in commands) == PURPOSES
        assert re.search(r"^ey[\w-]+\.ey[\w-]+\.[\w-]{86}$", dev.log.read_text(), re.MULTILINE)

    @pytest.mark.parametrize("shell", SHELLS)
    def test_prints_commands_that_work_when_pasted(
        self, commands: list[tuple[str, str]], tmp_path: Path, shell: str
    ) -> None:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed: its users' commands go untested here")
        answers = [paste(shell, command, tmp_path) for _, command in commands]
        granted, checked, refreshed = (json.loads(answer) for answer in answers[:3])
        assert json.loads((tmp_path / "demo.json").read_text()) == granted
        assert checked["active"] is True
        assert checked["username"] == "demo"
        assert refreshed["refresh_token"] != granted["refresh_token"]
        assert answers[3].split() == ["HTTP", "200"]
        assert json.loads(answers[4]) == {"active": False}

    def test_prints_commands_that_work_again_after_they_were_tried(
        self, commands: list[tuple[str, str]], tmp_path: Path
    ) -> None:
        for _ in range(2):
            answers = [paste("sh", command, tmp_path) for _, command in commands]
            assert json.loads(answers[1])["active"] is True
            assert json.loads(answers[4]) == {"active": False}

    def test_listens_on_loopback_only_and_leaves_private_files(self, dev: LiveServer) -> None:
        for path in [*dev.path.glob("keys/*"), dev.path / "jwtauth.db"]:
            assert path.stat().st_mode & 0o077 == 0, path

    def test_starts_again_in_the_same_folder(self, tmp_path: Path) -> None:
        for _ in range(2):
            with LiveServer(tmp_path, command="dev"):
                pass
        assert "Traceback" not in (tmp_path / "server.log").read_text()


def paste(shell: str, command: str, folder: Path) -> str:
    """What the shell prints for a line that somebody pasted; without the person's own start-up files."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [shell],
        input=command + "\n",
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_this_python_runs_the_command_that_people_type() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jwtauth", "dev", "--help"], capture_output=True, text=True, check=True
    )
    assert "--port" in done.stdout
