"""The pictures: the same results give the same bytes, and all that was measured is in them."""

from pathlib import Path

import pytest

from bench import kept
from bench.peers.catalogue import PEERS

plot = pytest.importorskip("bench.plot", reason="matplotlib draws the pictures; it is better not installed here")


class TestThePictures:
    def test_are_the_same_each_time_and_name_their_source(self, tmp_path: Path) -> None:
        drawn: list[list[str]] = []
        for folder in (tmp_path / "once", tmp_path / "again"):
            folder.mkdir()
            plot.draw(kept.read(), folder, source=kept.name())
            drawn.append([path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())])
        assert drawn[0] == drawn[1]
        growth, ratios = drawn[0]
        assert kept.name() in growth
        assert kept.name() in ratios
        assert all(peer.name in ratios for peer in PEERS)
