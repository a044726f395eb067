"""The results that are kept in this repository, and that docs/performance.md tells: one file of each kind."""

from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.peers.comparing import Comparison
from bench.report import Report
from bench.scale import Growth

FOLDER: Final = Path(__file__).parent / "results"
SUITE: Final = "suite.json"
SCALE: Final = "scale.json"
PEERS: Final = "peers.json"


class Kept(Struct, frozen=True, kw_only=True):
    """What `just bench`, `just bench-scale` and `just bench-peers` found."""

    suite: Report
    scale: Growth
    peers: Comparison


def read(folder: Path = FOLDER) -> Kept:
    """The results of a folder.

    Raises:
        OSError: a file is missing.
        msgspec.ValidationError: a file is not of this version of the suite.
    """
    return Kept(
        suite=msgspec.json.decode((folder / SUITE).read_bytes(), type=Report),
        scale=msgspec.json.decode((folder / SCALE).read_bytes(), type=Growth),
        peers=msgspec.json.decode((folder / PEERS).read_bytes(), type=Comparison),
    )


def name(folder: Path = FOLDER) -> str:
    """What a picture names as its source: a digest of what is told, however the files are laid out."""
    return f"sha256:{sha256(msgspec.json.encode(read(folder), order='deterministic')).hexdigest()}"
