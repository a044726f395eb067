"""`jwtauth serve` refuses to start rather than run unsafely, and says why in one line (SECURITY S-05, S-08, J-17)."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from jwtauth import settings
from jwtauth.cli.commands import root
from jwtauth.cli.dev import CONFIDENTIAL, USERNAME
from jwtauth.errors import ConfigurationError
from jwtauth.issuer import assembly
from jwtauth.store.sqlite import backups
from tests.support.home import SECRET, Home
from tests.support.live import START_WITHIN, LiveServer, free_port

Break = Callable[[Home], object]


def refusal(path: Path, *arguments: str, **environment: str) -> str:
    """The one line on stderr with which the command ends at status 1; it must end by itself."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JWTAUTH_")}
    command = [sys.executable, "-m", "jwtauth", "--folder", str(path), "serve", "--port", str(free_port()), *arguments]
    done = subprocess.run(
        command,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        timeout=START_WITHIN,
        cwd=path,
        check=False,
    )
    assert done.returncode == 1, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("jwtauth: ")
    assert "Traceback" not in done.stderr
    return lines[0]


def key_of(home: Home) -> Path:
    (path,) = home.source.keys.glob("ES256-*.key.json")
    return path


def secret_of(home: Home) -> Path:
    return home.source.keys / "server.secret"


def replace_by_link(path: Path) -> None:
    moved = path.with_suffix(".moved")
    path.rename(moved)
    path.symlink_to(moved)


def replace_secret(home: Home) -> None:
    other = Home(home.path.parent / "other")
    secret_of(home).write_bytes(secret_of(other).read_bytes())


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def renumber(path: Path, number: int) -> None:
    path.write_text(path.read_text().replace('"number": 1', f'"number": {number}'))


def replace_by_backup(home: Home) -> None:
    backups.take(home.source.database, home.path / "one.backup")
    (home.path / "one.backup").replace(home.source.database)


def damage(home: Home) -> None:
    """Leave the file a database, and nothing in it."""
    with home.source.database.open("r+b") as file:
        file.seek(100)
        file.write(bytes(home.source.database.stat().st_size - 100))


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_newer(home: Home) -> None:
    with closing(sqlite3.connect(home.source.database)) as database, database:
        database.execute("INSERT INTO _sqlite_migrations VALUES (99, 'jwtauth', 'm9999_future', '2100-01-01')")


BROKEN: dict[str, tuple[Break, str]] = {
    "no database": (lambda home: home.source.database.unlink(), "does not exist; run `jwtauth init`"),
    "database of nonsense": (lambda home: home.source.database.write_bytes(b"nonsense" * 1000), "database"),
    "database damaged": (damage, "cannot be opened: database disk image is malformed"),
    "database a folder": (lambda home: replace_by_folder(home.source.database), "cannot be opened"),
    "database of a newer version": (make_newer, "was made by a newer version of jwtauth (m9999_future)"),
    "key readable by all": (lambda home: key_of(home).chmod(0o644), "can be read by others (mode 0644)"),
    "key readable by the group": (lambda home: key_of(home).chmod(0o640), "can be read by others"),
    "key a link": (lambda home: replace_by_link(key_of(home)), "symbolic link"),
    "key damaged": (lambda home: key_of(home).write_text("{}"), "damaged"),
    "no key": (lambda home: key_of(home).unlink(), "there is no ES256 key"),
    "no keys folder": (lambda home: home.source.keys.rename(home.path / "elsewhere"), "does not exist"),
    "no secret": (lambda home: secret_of(home).unlink(), "server.secret is missing"),
    "secret readable by all": (lambda home: secret_of(home).chmod(0o604), "can be read by others"),
    "secret a link": (lambda home: replace_by_link(secret_of(home)), "symbolic link"),
    "secret of another service": (replace_secret, "server.secret: number 1 is missing or not the one"),
    "secret damaged": (lambda home: secret_of(home).write_text("{"), "damaged"),
    "secret empty": (lambda home: secret_of(home).write_bytes(b""), "server.secret is damaged"),
    "secret half-written": (lambda home: cut_in_half(secret_of(home)), "server.secret is damaged"),
    "secret of another number": (lambda home: renumber(secret_of(home), 2), "number 1 is missing or not the one"),
    "secret of no number": (lambda home: renumber(secret_of(home), 0), "server.secret is damaged"),
    "backup in the place of the database": (replace_by_backup, "is a backup; move it elsewhere"),
}
IN_A_PROCESS = ("no database", "key readable by all", "no secret", "secret of another service")
ISSUERS = {
    "issuer = 'http://id.example.com'": "setting issuer: http://id.example.com is plain http off loopback",
    "issuer = 'http://localhost.evil.example'": "plain http off loopback",
    "issuer = 'http://localhost:8000'": "plain http off loopback",
}
SETTINGS = {
    "isuer = 'https://id.example'": "setting isuer: is unknown; did you mean issuer?",
    "nonsense = 1": "setting nonsense: is unknown",
    "workers = 'many'": "workers",
    "workers = 0": "setting workers: expected a number above 0",
    "issuer = 'https://id.example.com/'": "setting issuer",
    "issuer = 'https://id.example.com?a=b'": "setting issuer",
    "issuer = 'ftp://id.example.com'": "setting issuer",
    "access_token_algorithm = 'none'": "access_token_algorithm",
    "access_token_algorithm = 'HS256'": "access_token_algorithm",
    "argon2_memory = 1": "setting argon2_memory",
    "issuer = ": "is not TOML",
}


class TestServe:
    @pytest.mark.parametrize("name", IN_A_PROCESS)
    def test_refuses_a_broken_folder_in_one_line(self, home: Home, name: str) -> None:
        break_, words = BROKEN[name]
        break_(home)
        before = sorted(path.name for path in home.path.rglob("*"))
        assert words in refusal(home.path)
        assert sorted(path.name for path in home.path.rglob("*")) == before, "nothing is made in place of what is lost"

    @pytest.mark.parametrize("name", [name for name in BROKEN if name not in IN_A_PROCESS])
    def test_refuses_every_broken_folder(self, home: Home, name: str) -> None:
        break_, words = BROKEN[name]
        break_(home)
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            assembly.open_issuer(home.source)

    def test_refuses_a_broken_folder_with_several_workers_too(self, home: Home) -> None:
        secret_of(home).unlink()
        assert "server.secret is missing" in refusal(home.path, "--workers", "2")

    @pytest.mark.parametrize("line", list(SETTINGS)[:2] + list(ISSUERS)[:1])
    def test_refuses_a_setting_that_cannot_be_in_one_line(self, home: Home, line: str) -> None:
        (home.path / "jwtauth.toml").write_text(line + "\n")
        assert {**SETTINGS, **ISSUERS}[line] in refusal(home.path)

    @pytest.mark.parametrize("line", ISSUERS)
    def test_refuses_every_plain_issuer_off_loopback(self, home: Home, line: str) -> None:
        (home.path / "jwtauth.toml").write_text(line + "\n")
        done = CliRunner().invoke(root, ["--folder", str(home.path), "serve"])
        assert done.exit_code == 1
        assert ISSUERS[line] in done.stderr

    @pytest.mark.parametrize("line", SETTINGS)
    def test_refuses_every_setting_that_cannot_be(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "jwtauth.toml").write_text(line + "\n")
        with pytest.raises(ConfigurationError, match=re.escape(SETTINGS[line])):
            settings.load(tmp_path, {})

    def test_refuses_a_variable_that_it_does_not_know(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="setting isuer: is unknown"):
            settings.load(tmp_path, {"JWTAUTH_ISUER": "https://id.example"})

    @pytest.mark.parametrize("workers", [1, 2])
    def test_refuses_a_port_that_is_taken(self, home: Home, tmp_path: Path, workers: int) -> None:
        with LiveServer(Home(tmp_path / "first").path) as first:
            arguments = [
                sys.executable,
                "-m",
                "jwtauth",
                "--folder",
                str(home.path),
                "serve",
                "--port",
                str(first.port),
                "--workers",
                str(workers),
            ]
            done = subprocess.run(arguments, capture_output=True, text=True, timeout=START_WITHIN, check=False)
        assert done.returncode == 1
        assert f"jwtauth: cannot listen on 127.0.0.1:{first.port}" in done.stderr
        assert "serving" not in done.stderr
        assert "Traceback" not in done.stderr

    def test_refuses_a_demonstration(self, tmp_path: Path) -> None:
        with LiveServer(tmp_path, command="dev"):
            pass
        line = refusal(tmp_path)
        assert CONFIDENTIAL in line
        assert USERNAME in line

    @pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGTERM, 2)])
    def test_stops_in_order_when_told(self, home: Home, number: int, workers: int) -> None:
        with LiveServer(home.path, workers=workers, is_forked=False) as server:
            os.kill(server.pid, number)
            server.stop()
        log = server.log.read_text()
        assert "Application shutdown complete" in log
        assert "Traceback" not in log


class TestDev:
    def test_refuses_a_folder_in_real_use(self, home: Home) -> None:
        home.client("service")
        command = [sys.executable, "-m", "jwtauth", "--folder", str(home.path), "dev", "--port", str(free_port())]
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_WITHIN, check=False)
        assert done.returncode == 1
        assert "is in real use" in done.stderr
        assert SECRET not in done.stderr
