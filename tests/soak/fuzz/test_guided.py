"""Coverage-guided fuzzing of every target, as long as `--soak` says; seeds and small changes are in test_targets.py."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.fuzz.targets import TARGETS

STARTS_IN = 60
"""Importing and instrumenting, on a machine with other work; in seconds."""


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason='needs atheris: pip install ".[soak]" on Linux')
@pytest.mark.parametrize("name", TARGETS)
def test_nothing_that_reaches_new_code_breaks_a_parser(name: str, scale: int, tmp_path: Path) -> None:
    if scale == 1:
        pytest.skip("coverage-guided fuzzing takes minutes; `just soak` has them")
    command = [sys.executable, "-m", "tests.soak.fuzz", name, "--seconds", str(scale), "--findings", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=scale * 2 + STARTS_IN, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    assert "stat::number_of_executed_units" in done.stderr, done.stderr[-4_000:]
