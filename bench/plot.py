"""`python -m bench.plot`: the pictures of docs/performance.md, from the results that are kept in bench/results.

Grey ink and four colours (close to those of Okabe and Ito) that stand out from white as much as from black, on no
ground; whoever cannot tell the colours apart tells the shapes. The same results give the same bytes, and each picture
names them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from msgspec import Struct

from bench import kept, scale
from bench.kept import Kept
from bench.peers.comparing import Comparison
from bench.report import Row
from bench.rounds import Spread

RATIOS: Final = "ratios.svg"
GROWTH: Final = "growth.svg"
FOLDER: Final = Path(__file__).parents[1] / "docs" / "performance"

INK: Final = "#797979"
"""Contrast 4.4 to white, and as much to a page of #0d1117."""
BLUE: Final = "#1f7fc4"
VERMILION: Final = "#d55e00"
GREEN: Final = "#009e73"
PURPLE: Final = "#b8649a"

STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "jwtauth",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
}


class Look(Struct, frozen=True):
    """How a series looks."""

    marker: str
    colour: str


OURS: Final = Look("o", BLUE)
OUR_SLOWEST: Final = Look("s", VERMILION)
PEERS: Final = {
    "oidc-provider": Look("D", GREEN),
    "aioauth": Look("^", PURPLE),
    "Authlib": Look("s", VERMILION),
    "django-oauth-toolkit": Look("X", INK),
}
SAME_WORK: Final = {
    "W1 client_credentials ES256": "W1 client_credentials",
    "W2 introspect": "W2 introspect",
    "W3 refresh rotation, durable": "W3 refresh rotation",
    "W4 JWKS": "W4 JWKS",
    "W4 discovery": "W4 discovery",
}
"""What the peers were asked, by the name of our row."""


def draw(found: Kept, folder: Path, *, source: str) -> None:
    """Draw both pictures; each names the source of its figures."""
    with matplotlib.rc_context(STYLE):
        for name, figure in ((RATIOS, _ratios(found)), (GROWTH, _growth(found))):
            metadata = {"Date": None, "Creator": None, "Source": source}
            figure.savefig(folder / name, format="svg", transparent=True, metadata=metadata)


def _ratios(found: Kept) -> Figure:
    """Each work on a line of its own: ours with the range of its rounds, and the peers beside it."""
    rows = found.suite.rows
    figure = Figure(figsize=(8.6, 0.42 * len(rows) + 1.5), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        _row(axes, place, row)
    for name, look in PEERS.items():
        _peer(axes, rows, found.peers, name, look)
    axes.set_xscale("log")
    axes.set_xlim(right=max(1.6, *(row.measured.ratio.max * 1.2 for row in rows)))
    axes.xaxis.set_major_locator(FixedLocator([0.003, 0.01, 0.03, 0.1, 0.3, 1]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("requests per second, as a ratio to a bare ASGI application on the same core (logarithmic)")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    figure.legend(loc="outside upper center", ncols=6, handletextpad=0.3, columnspacing=1.3)
    return figure


def _row(axes: Axes, place: int, row: Row) -> None:
    """Ours: the range, the median, and the mark that it has to reach."""
    ratio = row.measured.ratio
    axes.hlines(place, ratio.min, ratio.max, colors=OURS.colour, linewidth=5, alpha=0.35)
    axes.plot(ratio.median, place, OURS.marker, color=OURS.colour, markersize=8, label="" if place else "jwtauth")
    told = f"{ratio.median:.2f}" if ratio.median >= 0.1 else f"{ratio.median:.3f}"
    axes.annotate(told, (1.01, place), xycoords=("axes fraction", "data"), va="center", color=OURS.colour)
    if row.target is not None:
        label = "" if place else "to reach"
        axes.plot(row.target.value, place, "|", color=INK, markersize=17, markeredgewidth=1.8, label=label)


def _peer(axes: Axes, rows: Sequence[Row], peers: Comparison, name: str, look: Look) -> None:
    """One of the others, on the lines of what it was asked too."""
    measured = {row.name: row.measured for found in peers.peers if found.name == name for row in found.rows}
    places = [place for place, row in enumerate(rows) if SAME_WORK.get(row.name) in measured]
    medians = [measured[SAME_WORK[rows[place].name]].ratio.median for place in places]
    axes.plot(medians, places, look.marker, color=look.colour, markersize=6, markeredgewidth=0, label=name)


def _growth(found: Kept) -> Figure:
    """What becomes of latency, size, start and rate as grants and clients become many."""
    figure = Figure(figsize=(8.6, 5.6), layout=ConstrainedLayoutEngine(hspace=0.08, wspace=0.06))
    latency, size, start, rate = figure.subplots(2, 2).flat
    grants, clients = found.scale.grants, found.scale.clients
    many, crowd = [each.grants for each in grants], [each.clients for each in clients]

    _series(latency, many, [each.measured.p50_ms for each in grants], OURS, "p50")
    _series(latency, many, [each.measured.p99_ms for each in grants], OUR_SLOWEST, "p99")
    most = grants[0].measured.p99_ms.median * scale.P99.value
    _limit(latency, many, most, f"{scale.P99.value:g} × the p99 at {many[0]:,}")
    _finish(latency, many, "refresh rotation (W3): latency in ms", "live grants")
    latency.legend(loc="lower right", ncols=2)

    _series(size, many, [_exact(each.bytes_each) for each in grants], OURS, "")
    _limit(size, many, scale.BYTES.value, f"at most {scale.BYTES.value:g}")
    _finish(size, many, "database: bytes per live grant", "live grants")

    _series(start, many, [each.start_in for each in grants], OURS, "")
    most = grants[0].start_in.median * scale.FLAT.value
    _limit(start, many, most, f"{scale.FLAT.value:g} × the start at {many[0]:,}")
    _finish(start, many, "serve: seconds from start to first token", "live grants")

    _series(rate, crowd, [each.measured.ratio for each in clients], OURS, "")
    _finish(rate, crowd, "client_credentials (W1): ratio to the floor", "clients, all asking equally often")
    return figure


def _series(axes: Axes, sizes: Sequence[int], found: Sequence[Spread], look: Look, label: str) -> None:
    """A line through the medians, and the range of each."""
    medians = [each.median for each in found]
    axes.vlines(sizes, [each.min for each in found], [each.max for each in found], colors=look.colour, alpha=0.35, lw=5)
    axes.plot(sizes, medians, color=look.colour, marker=look.marker, label=label)


def _limit(axes: Axes, sizes: Sequence[int], value: float, text: str) -> None:
    axes.axhline(value, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(text, (sizes[0], value), xytext=(7, 3), textcoords="offset points", fontsize=8)


def _finish(axes: Axes, sizes: Sequence[int], title: str, label: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(sizes[0] * 0.7, sizes[-1] * 1.5)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
    axes.grid(axis="y")


def _exact(value: float) -> Spread:
    return Spread(min=value, median=value, max=value)


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=FOLDER,
    help="Where the pictures go; docs/performance unless told.",
)
def main(folder: Path) -> None:
    """Draw the pictures of docs/performance.md. Needs matplotlib, which is better not installed beside the service."""
    folder.mkdir(parents=True, exist_ok=True)
    draw(kept.read(), folder, source=kept.name())


if __name__ == "__main__":
    main()
