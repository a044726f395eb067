"""Options that the suite and the growth measurements share."""

from pathlib import Path

import click

folder_option = click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where databases are made meanwhile; the disk matters. The temporary folder of the system unless told.",
)
json_option = click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the results to this file, e.g. bench/results/today.json.",
)
