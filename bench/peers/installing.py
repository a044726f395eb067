"""Getting a peer from its registry into a folder of its own, with the ordinary clients, at pinned versions."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.peers.catalogue import Peer

HERE: Final = Path(__file__).parent
WITHIN_IN: Final = 300.0
"""Seconds that one installation may take."""

_DONE: Final = "installed"
_REASON: Final = 160


class NotInstalledError(Exception):
    """A peer cannot be had here; the message is the reason."""


def install(peer: Peer, folder: Path) -> Path:
    """The folder of the programs that start a peer; nothing happens where these versions are installed already.

    Raises:
        NotInstalledError: a client is missing, or failed.
    """
    pins = HERE / peer.packages
    done = folder / _DONE
    work = _npm if pins.suffix == ".json" else _pip
    if not done.exists() or done.read_bytes() != pins.read_bytes():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        work(pins, folder)
        done.write_bytes(pins.read_bytes())
    return _node().parent if work is _npm else folder / "venv" / "bin"


def _pip(pins: Path, folder: Path) -> None:
    """Into an environment of its own, with nothing that the pins do not name."""
    _run([sys.executable, "-m", "venv", "venv"], folder)
    python = folder / "venv" / "bin" / "python"
    _run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", str(pins)], folder)


def _npm(pins: Path, folder: Path) -> None:
    """Without scripts of packages, and without a lock file: that would name the registry."""
    _node()
    npm = shutil.which("npm")
    if npm is None:
        raise NotInstalledError("npm is missing")
    shutil.copy(pins, folder / "package.json")
    _run([npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"], folder)


def _node() -> Path:
    node = shutil.which("node")
    if node is None:
        raise NotInstalledError("node is missing")
    return Path(node)


def _run(command: Sequence[str], folder: Path) -> None:
    """Run a client in the folder; what it says last is the reason of a failure."""
    try:
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN_IN)
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"{Path(command[0]).name} took more than {WITHIN_IN:.0f} s") from None
    if ended.returncode:
        lines = [line.strip() for line in (ended.stdout + ended.stderr).splitlines()]
        problems = [line for line in lines if "error" in line.lower()] or [line for line in lines if line] or ["failed"]
        raise NotInstalledError(problems[0][:_REASON])
