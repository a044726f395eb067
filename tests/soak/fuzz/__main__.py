"""`python -m tests.soak.fuzz TARGET --seconds N`: coverage-guided fuzzing of one target with atheris (libFuzzer).

Ends with status 0 where nothing was found. A finding ends it at once: its traceback is printed, and the input stands in
a file `crash-*`, which becomes a seed of the target.
"""

import argparse
import gc
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FunctionType

import atheris

from tests.soak.fuzz.target import Target, check
from tests.soak.fuzz.targets import TARGETS

HANGS_IN = 20
"""An input that takes so many seconds by the clock on the wall is a hang; `check` measures processor time itself."""

MEMORY = 1_024
"""The process is ended as a finding where it needs more, in MiB."""

INSTRUMENTED = ("jwtauth.", "urllib.", "json.", "ipaddress", "http.cookies", "base64", "litestar.datastructures")


def main() -> None:
    """Fuzz one target for a while."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="a folder that keeps the inputs which reached something new")
    parser.add_argument("--findings", type=Path, default=Path.cwd(), help="a folder for inputs that break the target")
    given = parser.parse_args()
    with TemporaryDirectory() as scratch:
        corpus = given.corpus or Path(scratch)
        for folder in (corpus, given.findings):
            folder.mkdir(parents=True, exist_ok=True)
        _fuzz(TARGETS[given.target], corpus, given.findings, seconds=given.seconds)


def _fuzz(target: Target, corpus: Path, findings: Path, *, seconds: int) -> None:
    """Never returns: libFuzzer ends the process."""
    for number, seed in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = {
        "max_total_time": seconds,
        "max_len": target.max_length,
        "timeout": HANGS_IN,
        "rss_limit_mb": MEMORY,
        "print_final_stats": 1,
        "artifact_prefix": f"{findings}/",
    }
    _instrument()
    atheris.Setup([sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)], _run(target))
    atheris.Fuzz()


def _instrument() -> None:
    """Let coverage be seen in our code and in the parsers of the standard library that it leans on; all would take a
    minute."""
    functions = [found for found in gc.get_objects() if isinstance(found, FunctionType)]
    for function in functions:
        if function.__module__ and function.__module__.startswith(INSTRUMENTED):
            atheris.instrument_func(function)


def _run(target: Target) -> object:
    def run(data: bytes) -> None:
        check(target, data)

    return run


if __name__ == "__main__":
    main()
