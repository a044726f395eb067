"""docs/performance.md tells what bench/results has, to the last figure."""

import re
from typing import Final

import pytest
from msgspec.structs import replace

from bench import document, kept, scale
from bench.peers.catalogue import OURS, PEERS

TEXT: Final = document.DOCUMENT.read_text(encoding="utf-8")
FOUND: Final = kept.read()
PICTURES: Final = re.findall(r"\]\((performance/\w+\.svg)\)", TEXT)


class TestTheDocument:
    def test_tells_what_was_measured(self) -> None:
        assert document.filled(TEXT, FOUND) == TEXT, "run `just bench-document`"

    @pytest.mark.parametrize("name", document.SECTIONS)
    def test_has_no_figure_that_stays_when_it_is_changed_by_hand(self, name: str) -> None:
        before, mark, after = TEXT.partition(f"<!-- bench: {name} -->\n")
        assert mark, "the document does not tell it"
        changed = before + mark + re.sub(r"[0-8]", lambda digit: str(int(digit[0]) + 1), after, count=1)
        assert changed != TEXT
        assert document.filled(changed, FOUND) == TEXT

    def test_changes_with_the_results(self) -> None:
        row = FOUND.suite.rows[0]
        faster = replace(row.measured.ratio, median=row.measured.ratio.median + 0.001)
        rows = (replace(row, measured=replace(row.measured, ratio=faster)), *FOUND.suite.rows[1:])
        assert document.filled(TEXT, replace(FOUND, suite=replace(FOUND.suite, rows=rows))) != TEXT

    def test_leaves_alone_what_people_wrote(self) -> None:
        text = "23 <!-- no bench: works -->\n24 µs\n"
        assert document.filled(text, FOUND) == text

    def test_cannot_ask_for_what_nobody_tells(self) -> None:
        with pytest.raises(LookupError):
            document.filled("<!-- bench: moods -->\n<!-- bench: end -->", FOUND)

    @pytest.mark.parametrize("path", PICTURES)
    def test_shows_pictures_of_the_same_results(self, path: str) -> None:
        picture = (document.DOCUMENT.parent / path).read_text(encoding="utf-8")
        assert kept.name() in picture, "run `just bench-document`"

    def test_shows_two_pictures(self) -> None:
        assert len(PICTURES) == 2


class TestTheResults:
    """What is kept is the outcome of whole runs."""

    def test_have_every_peer_and_no_problem(self) -> None:
        assert [found.name for found in FOUND.peers.peers] == [peer.name for peer in (OURS, *PEERS)]
        assert [found.problem for found in FOUND.peers.peers if found.problem] == []

    def test_have_every_size(self) -> None:
        assert tuple(size.grants for size in FOUND.scale.grants) == scale.GRANTS
        assert tuple(size.clients for size in FOUND.scale.clients) == scale.CLIENTS

    def test_have_two_workers(self) -> None:
        assert FOUND.suite.two_workers
