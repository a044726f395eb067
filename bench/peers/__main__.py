"""`python -m bench.peers`: compare, and print the table."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from bench import report
from bench.peers import table
from bench.peers.catalogue import OURS, PEERS
from bench.peers.comparing import Comparing
from bench.rounds import Schedule


@click.command()
@click.option("--quick", is_flag=True, help="Measure for 1 second at a time instead of 3; figures are rougher.")
@click.option("--rounds", type=click.IntRange(min=1, max=4), default=3, show_default=True, help="Rounds of each work.")
@click.option(
    "--peer",
    "names",
    multiple=True,
    type=click.Choice([peer.name for peer in (OURS, *PEERS)]),
    help="Only this server; may be repeated. All unless told.",
)
@click.option(
    "--scratch",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where peers are installed and stay; the disk matters. A temporary folder unless told.",
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the results to this file."
)
def main(quick: bool, rounds: int, names: tuple[str, ...], scratch: Path | None, json_file: Path | None) -> None:
    """Hold the servers that users would otherwise pick against the floor; about 4 minutes with --quick, 10 without."""
    schedule = Schedule(rounds=rounds, seconds=1.0 if quick else 3.0)
    with ExitStack() as running:
        runs = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="jwtauth-peers-", dir=_made(scratch))))
        compared = Comparing((scratch or runs / "installed").resolve(), runs, schedule, running=running).run(names)
    click.echo(table.text(compared))
    if json_file is not None:
        report.write(compared, json_file)


def _made(folder: Path | None) -> Path | None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
