"""`python -m bench.document`: write the figures of docs/performance.md anew, tables and pictures, from bench/results.

A table stands between `<!-- bench: NAME -->` and `<!-- bench: end -->`; everything else of the document is written by
people and left alone. The pictures are drawn by `bench.plot` in a process of its own: matplotlib brings numpy along,
which sqlite-utils loads wherever it finds it, so that service and bench are better off without. Where matplotlib is
not installed, it is fetched into a folder that is gone afterwards.
"""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

from bench import kept, report, scale
from bench.kept import Kept
from bench.peers import table
from bench.report import Lines, Machine
from bench.rounds import Spread

TOP: Final = Path(__file__).parents[1]
DOCUMENT: Final = TOP / "docs" / "performance.md"

_SECTION: Final = re.compile(r"(<!-- bench: ([a-z-]+) -->\n).*?(<!-- bench: end -->)", re.DOTALL)


def filled(text: str, found: Kept) -> str:
    """The document with these results.

    Raises:
        LookupError: it asks for something that is not told here.
    """
    return _SECTION.sub(lambda section: f"{section[1]}{SECTIONS[section[2]](found)}\n{section[3]}", text)


def _measured(found: Kept) -> str:
    """Where, when, how long, and what the run itself noted."""
    suite = found.suite
    floor = _floor([row.measured.reference_rate for row in suite.rows])
    lasted = f"{suite.rounds} rounds of {suite.seconds:g} s each, floor {report.between(floor, ',.0f')} requests/s"
    return "\n".join((f"{_machine(suite.machine)}; {lasted}.", *_notes(suite.warnings)))


def _works(found: Kept) -> str:
    return _table(report.ratios(found.suite.rows, reference="floor"))


def _two_workers(found: Kept) -> str:
    rows = found.suite.two_workers
    return _table(report.ratios(rows, reference="one worker")) if rows else "Not measured: that needs more cores."


def _figures(found: Kept) -> str:
    return _table(report.figures(found.suite.figures))


def _growth(found: Kept) -> str:
    grown = found.scale
    return "\n".join(
        (
            f"{_machine(grown.machine)}; {grown.rounds} rounds of {grown.seconds:g} s each.",
            *_notes(grown.warnings),
            "",
            _table(scale.grant_lines(grown.grants)),
            "",
            _table(scale.client_lines(grown.clients)),
            "",
            _table(report.figures(grown.figures)),
        )
    )


def _compared(found: Kept) -> str:
    return _table(table.overview(found.peers))


def _peers(found: Kept) -> str:
    compared = found.peers
    return "\n".join(
        (
            f"{_machine(compared.machine)}; {compared.rounds} rounds of {compared.seconds:g} s each.",
            *_notes(compared.warnings),
            "",
            _table(table.ratios(compared)),
            "",
            "The same by computing time alone:",
            "",
            _table(table.cpu_ratios(compared)),
            "",
            "What is unequal:",
            "",
            *(f"- {each.name}: {'; '.join((each.storage, *each.remarks))}" for each in compared.peers),
        )
    )


SECTIONS: Final[Mapping[str, Callable[[Kept], str]]] = {
    "compared": _compared,
    "measured": _measured,
    "works": _works,
    "two-workers": _two_workers,
    "figures": _figures,
    "growth": _growth,
    "peers": _peers,
}
"""What the document may ask for."""


def _machine(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return (
        f"Measured on {machine.date} on {machine.cores} cores of {machine.processor}, {machine.system},"
        f" Python {machine.python}, {versions}"
    )


def _notes(warnings: Sequence[str]) -> list[str]:
    """What the run says against its own figures."""
    return ["", *(f"- Noted by the run: {warning}." for warning in warnings)] if warnings else []


def _floor(rates: Sequence[Spread]) -> Spread:
    """The floor over all works."""
    medians = sorted(rate.median for rate in rates)
    least, most = min(rate.min for rate in rates), max(rate.max for rate in rates)
    return Spread(min=least, median=medians[len(medians) // 2], max=most)


def _table(lines: Lines) -> str:
    """Lines of cells, in Markdown; a column without any cell is left out."""
    columns = [column for column in zip(*lines, strict=True) if any(column)]
    heads, *rest = zip(*columns, strict=True)
    ruler = ("---", *("---:" for _ in heads[1:]))
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, ruler, *rest))


def _draw(scratch: Path) -> None:
    """Draw the pictures, with what is installed or with what the extra `bench` names.

    Raises:
        subprocess.CalledProcessError: it cannot be had, or failed.
    """
    paths = [] if find_spec("matplotlib") else [str(_install(scratch))]
    known = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *([known] if known else [])])}
    subprocess.run([sys.executable, "-m", "bench.plot"], cwd=TOP, env=environment, check=True)


def _install(folder: Path) -> Path:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["optional-dependencies"]["bench"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
    subprocess.run([*pip, "--constraint", str(TOP / "constraints.txt"), *wanted], check=True)
    return folder


@click.command()
def main() -> None:
    """Write the tables of docs/performance.md anew, and draw its pictures, from the results in bench/results."""
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(filled(text, kept.read()), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="jwtauth-bench-") as scratch:
        _draw(Path(scratch))


if __name__ == "__main__":
    main()
