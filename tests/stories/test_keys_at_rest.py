"""Keys are encrypted, and changed afterwards, under running workers (docs/keys.md)."""

import json
from pathlib import Path
from typing import Any

import pytest

from jwtauth.keyring.folder import KeyFolder
from jwtauth.verifier import Verifier
from tests.stories.test_rotation import ASKED, kid_of, kids, rotate
from tests.support import forking
from tests.support.live import LiveServer
from tests.web.site import Site

PASSPHRASE = "correct horse"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder whose keys are not encrypted yet, and whose settings name a passphrase."""
    site = Site(tmp_path / "at-rest", workers=2)
    site.home.client("service")
    (site.home.path / "passphrase").write_text(PASSPHRASE)
    with (site.home.path / "jwtauth.toml").open("a") as settings:
        settings.write('keys_passphrase = "file:passphrase"\n')
    return site


def encrypt(site: Site) -> list[str]:
    """`jwtauth keys encrypt`, as an operator types it."""
    found: dict[str, Any] = json.loads(forking.run("keys", "encrypt", "--json", folder=site.home.path).stdout)
    names: list[str] = found["encrypted"]
    return names


class TestEncryptingUnderARunningService:
    def test_disturbs_nobody_and_goes_for_later_keys_too(self, site: Site) -> None:
        with site:
            (old,) = kids(site)[0]
            assert len(encrypt(site)) == 3
            assert kids(site) == [{old}] * ASKED
            new = rotate(site, "--now", "--yes")["kid"]
            assert kids(site) == [{new}] * ASKED
            with Verifier(site.server.url, site.home.realm().audience) as verifier:
                token = site.machine()
                verifier.verify(token)
            assert kid_of(token) == new
            assert "is not encrypted; run `jwtauth keys encrypt`" in site.server.log.read_text()
        assert KeyFolder(site.home.source.keys).unencrypted() == []
        log = site.server.log.read_text()
        assert [word for word in ("keys folder", "Traceback", PASSPHRASE, "PRIVATE") if word in log] == []

    def test_lets_it_start_again(self, site: Site) -> None:
        encrypt(site)
        with LiveServer(site.home.path, workers=2) as server:
            assert "is not encrypted" not in server.log.read_text()
