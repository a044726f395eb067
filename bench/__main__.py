"""`python -m bench`: run the suite and print its tables."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from bench import report
from bench.load import LoadFailed
from bench.options import folder_option, json_option
from bench.rounds import Schedule
from bench.suite import Suite


@click.command()
@click.option("--quick", is_flag=True, help="Measure for 1 second at a time; figures are rougher.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Rounds of each workload.")
@folder_option
@json_option
def main(quick: bool, rounds: int, folder: Path | None, json_file: Path | None) -> None:
    """Measure the token service against the floor, in ratios; about 4 minutes with --quick, 10 without."""
    schedule = Schedule(rounds=rounds, seconds=1.0 if quick else 5.0)
    with tempfile.TemporaryDirectory(dir=folder, prefix="jwtauth-bench-") as path, ExitStack() as running:
        try:
            found = Suite(Path(path), schedule, is_long=not quick, running=running).run()
        except LoadFailed as problem:
            raise click.ClickException(str(problem)) from None
    if json_file is not None:
        report.write(found, json_file)


if __name__ == "__main__":
    main()
