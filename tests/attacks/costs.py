"""What a request costs the server."""

import os
from pathlib import Path

from tests.web.site import Site


def processor_time(site: Site) -> float:
    """What the server has used so far, in seconds: other programs on the machine do not disturb it."""
    fields = Path(f"/proc/{site.server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
