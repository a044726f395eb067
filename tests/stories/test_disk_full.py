"""The disk is full: refusals that say when to come again, and all is well once there is room (SECURITY S-03)."""

import resource
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from click.testing import CliRunner

from jwtauth.cli.commands import root
from tests.support.halting import family
from tests.support.home import PASSWORD, SECRET
from tests.web.site import Site, assert_refused

ROOM: Final = "3m"
PERSON: Final = {"grant_type": "password", "username": "ada", "password": PASSWORD}


class SmallDisk:
    """A file system of its own, of a few megabytes, in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, _: Site) -> None:
        """Take all the room that is left."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4_096))
            except OSError:
                return

    def make_room(self, _: Site) -> None:
        """Give it back."""
        self._filler.unlink()


class SmallFiles:
    """Where no file system may be mounted: no file of the service may become longer than its database's log is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self, site: Site) -> None:
        """Let the log grow no more."""
        self._limit(site, site.home.source.database.with_name("jwtauth.db-wal").stat().st_size)

    def make_room(self, site: Site) -> None:
        """Let it grow again."""
        self._limit(site, resource.RLIM_INFINITY)

    def _limit(self, site: Site, size: int) -> None:
        for pid in family(site.server):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


Disk = SmallDisk | SmallFiles


@contextmanager
def small_disk(path: Path) -> Iterator[SmallDisk]:
    mounted = _run("mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=0700", "tmpfs", str(path))
    if mounted.returncode != 0:
        warnings.warn(f"SKIPPED: a small file system cannot be mounted: {mounted.stderr.strip()}", stacklevel=2)
        pytest.skip("a small file system cannot be mounted")
    try:
        yield SmallDisk(path)
    finally:
        _run("umount", "--lazy", str(path))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        return subprocess.CompletedProcess(command, 1, "", f"there is no {command[0]}")
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture(scope="module", params=[SmallDisk, SmallFiles])
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    path = tmp_path_factory.mktemp("disk")
    with ExitStack() as mounted:
        yield mounted.enter_context(small_disk(path)) if request.param is SmallDisk else SmallFiles(path)


@pytest.fixture(scope="module")
def site(disk: Disk) -> Iterator[Site]:
    site = Site(disk.path / "site")
    site.home.realm(roles=("ROLE_USER",))
    for client_id in ("service", "other"):
        site.home.client(client_id)
    site.home.user("ada")
    with site:
        yield site
    assert "Traceback" not in site.server.log.read_text()


@contextmanager
def full(disk: Disk, site: Site) -> Iterator[None]:
    """While there is no room."""
    disk.fill(site)
    try:
        yield
    finally:
        disk.make_room(site)


def refreshed(site: Site, tokens: dict[str, Any]) -> dict[str, Any]:
    response = site.refresh(tokens["refresh_token"])
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


class TestWhileTheDiskIsFull:
    """Writes are refused, reads go on, nothing acknowledged is lost (S-03)."""

    def test_whatever_has_to_be_written_is_503_and_has_not_happened(self, disk: Disk, site: Site) -> None:
        ada, spare, machine = site.person(), site.person(), site.machine()
        before = site.dump()
        with full(disk, site):
            for response in (
                site.token(PERSON),
                site.refresh(ada["refresh_token"]),
                site.post("/oauth/revoke", {"token": machine}),
                site.post("/oauth/revoke", {"token": spare["refresh_token"]}),
                site.token({"grant_type": "client_credentials"}, auth=("other", SECRET)),
                site.token({**PERSON, "password": "wrong"}),
            ):
                assert_refused(response, 503, "temporarily_unavailable")
                assert int(response.headers["retry-after"]) >= 1
            assert site.is_active(machine), "a revocation that answered 503 has not happened"
        assert site.dump() == before
        assert_works_again(site, ada, spare, machine)

    def test_a_command_says_in_one_line_what_to_do(self, disk: Disk, site: Site) -> None:
        if isinstance(disk, SmallFiles):
            pytest.skip("the disk is full for the service alone")
        with full(disk, site):
            done = CliRunner().invoke(root, ["--folder", str(site.home.path), "user", "disable", "ada"])
        assert done.exit_code == 1
        assert done.stderr.startswith("jwtauth: ")
        assert done.stderr.endswith("SQLITE_FULL; there is no space left where it is: free some, and try again\n")

    def test_what_needs_no_write_is_answered_as_ever(self, disk: Disk, site: Site) -> None:
        ada, machine = site.person(), site.machine()
        with full(disk, site):
            assert site.refresh(ada["refresh_token"]).status_code == 503
            assert site.http.get("/.well-known/jwks.json").json()["keys"]
            assert site.http.get("/healthz").status_code == 200
            uri = site.http.get("/oauth/status").json()["status_lists"][0]
            assert site.http.get(httpx.URL(uri).path).status_code == 200
            for token in (ada["access_token"], machine):
                assert site.is_active(token)
                assert site.http.get("/oauth/tokeninfo", params={"access_token": token}).status_code == 200
            assert site.machine(), "a machine's position was committed long before"
            assert_refused(site.refresh("rt_forged"), 400, "invalid_grant")
        assert refreshed(site, ada)

    def test_nothing_is_lost_where_it_is_killed_and_started_anew(self, disk: Disk, site: Site) -> None:
        ada, gone = refreshed(site, site.person()), site.person()
        assert site.post("/oauth/revoke", {"token": gone["refresh_token"]}).status_code == 200
        with full(disk, site):
            assert site.refresh(ada["refresh_token"]).status_code == 503
            site.server.kill()
        site.server.start()
        assert not site.is_active(gone["access_token"])
        assert_refused(site.refresh(gone["refresh_token"]), 400, "invalid_grant")
        assert site.is_active(ada["access_token"])
        assert refreshed(site, refreshed(site, ada))


def assert_works_again(site: Site, ada: dict[str, Any], spare: dict[str, Any], machine: str) -> None:
    """Every write that was refused now does what it should have done then, once."""
    assert refreshed(site, refreshed(site, ada))
    for token, access_token in ((machine, machine), (spare["refresh_token"], spare["access_token"])):
        assert site.is_active(access_token)
        assert site.post("/oauth/revoke", {"token": token}).status_code == 200
        assert not site.is_active(access_token)
    assert site.token(PERSON).status_code == 200
    assert site.machine(auth=("other", SECRET))
