"""The command `jwtauth` in processes forked from one that has imported everything: a start in a fifth of the time.

A forked process runs what `python -m jwtauth` runs, from `jwtauth.cli.main` on, with its own arguments, environment,
folder and output; it ends as any other, by itself or by a signal. Only what it imported is not its own.
"""

import atexit
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct
from uvicorn import _subprocess

from jwtauth import cli

NOTHING: Final[Mapping[str, str]] = {}
_FORKING: Final = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.support.preloaded"])


class Command(Struct, frozen=True, kw_only=True):
    """What a process is given."""

    arguments: Sequence[str]
    folder: Path
    """Where it works."""
    output: Path
    """The file to which what it prints is added."""
    errors: Path
    """The same for what it prints to stderr."""
    environment: Mapping[str, str] = NOTHING
    """What it finds there beside our own, from which our JWTAUTH_* are taken."""
    is_forked: bool = True
    """False: begin with nothing imported, by `python -m jwtauth`, as an operator does."""
    input: Path = Path(os.devnull)


def start(command: Command) -> ForkServerProcess:
    """Start it; whoever calls ends it."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("JWTAUTH_")}
    process = _FORKING.Process(target=_run, args=(command, {**ours, **command.environment}))
    process.start()
    return process


def run(*arguments: str, folder: Path, text: str = "") -> CompletedProcess[str]:
    """Run `jwtauth` in a folder to its end, as an operator types it; `text` is what it reads."""
    with TemporaryDirectory() as scratch:
        given, output, errors = (Path(scratch) / name for name in ("input", "output", "errors"))
        given.write_text(text, encoding="utf-8")
        process = start(Command(arguments=arguments, folder=folder, input=given, output=output, errors=errors))
        process.join()
        assert process.exitcode is not None
        return CompletedProcess(arguments, process.exitcode, _text_in(output), _text_in(errors))


@atexit.register
def _end_all() -> None:
    """What somebody has not ended must not keep the whole run waiting."""
    for process in multiprocessing.active_children():
        process.terminate()


def _text_in(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _run(command: Command, environment: Mapping[str, str]) -> None:
    """The process: its streams, its folder, its environment, then the command."""
    _connect(command)
    os.chdir(command.folder)
    if not command.is_forked:
        os.execve(sys.executable, [sys.executable, "-m", "jwtauth", *command.arguments], environment)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["jwtauth", *command.arguments]
    _fork_workers()
    cli.main()


def _connect(command: Command) -> None:
    with command.input.open() as given, command.output.open("ab") as output, command.errors.open("ab") as errors:
        for number, file in enumerate((given, output, errors)):
            os.dup2(file.fileno(), number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 (for as long as the process lives)


def _fork_workers() -> None:
    """Let a supervisor fork its workers: as uvicorn starts them, each imports everything once more."""
    vars(_subprocess)["spawn"] = multiprocessing.get_context("fork")
    os.register_at_fork(after_in_child=_forget_signals)


def _forget_signals() -> None:
    """A worker that is told to stop before it listens ends at once, as one does that was started anew."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
