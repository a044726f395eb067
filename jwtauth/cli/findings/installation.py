"""What can be said of a folder and its machine before the database is opened: settings, files, limits, clock."""

import os
import resource
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from jwtauth.cli.findings.finding import SET_THE_CLOCKS, Finding, Severity
from jwtauth.cli.running import now
from jwtauth.observe import audit_chain
from jwtauth.protocol.claims import LEEWAY_IN
from jwtauth.settings import FILE_NAME, Source
from jwtauth.store.sqlite.connection import BESIDE

OTHER_FILES: Final = 512
"""Open files that a worker wants beside those of its connections; a test compares it with what `web` says."""

LITTLE_ROOM: Final = 64 * 1024 * 1024
"""With so many free bytes on its disk a service should be looked after; a million grants are 110 MB."""


def of_settings(source: Source) -> Iterator[Finding]:
    """What can be said before the database is opened."""
    if urlsplit(source.settings.issuer).scheme != "https" and not source.settings.is_loopback:
        yield Finding(
            Severity.ERROR,
            f"setting issuer: {source.settings.issuer} is plain http off loopback, tokens would travel in the clear",
            "put a TLS proxy in front and set an https issuer",
        )
    if not source.settings.trusted_proxies and source.settings.issuer.startswith("https:"):
        yield Finding(
            Severity.WARNING,
            "trusted_proxies is empty: wrong passwords are counted per account only, not per client address, as"
            " everybody comes through your TLS proxy",
            "name its address there",
        )
    if source.audit is None:
        yield Finding(
            Severity.ADVICE,
            'setting audit: it is "", so nobody can tell afterwards who decided what',
            'name a folder there, e.g. audit = "audit"',
        )
    yield from _modes(source)


def of_machine(source: Source) -> Iterator[Finding]:
    """What the machine grants and tells, which `serve` finds out by itself or would be in the way of."""
    yield from _connections(source)
    yield from _room(source)
    yield from _clock(source)


def _modes(source: Source) -> Iterator[Finding]:
    """Who else of this machine may read or change what the service lives by; each key file is looked at when read."""
    for path in _database_files(source):
        if path.stat().st_mode & 0o077:
            what = f"{path} can be read by others: it holds hashes of passwords"
            yield Finding(Severity.WARNING, what, f"run: chmod 600 {shlex.quote(str(path))}")
    if source.keys.is_dir() and source.keys.stat().st_mode & 0o077:
        what = f"{source.keys} can be looked into by others: it holds the signing keys"
        yield Finding(Severity.WARNING, what, f"run: chmod 700 {shlex.quote(str(source.keys))}")
    for path in _audit_files(source):
        if path.stat().st_mode & 0o077:
            what = f"{path} can be read by others: it says who signed in when, and from where"
            mode = "700" if path.is_dir() else "600"
            yield Finding(Severity.WARNING, what, f"run: chmod {mode} {shlex.quote(str(path))}")
    for path in (source.folder, source.folder / FILE_NAME):
        if path.exists() and path.stat().st_mode & 0o002:
            what = f"{path} can be changed by everybody: whoever does decides which keys and database count"
            yield Finding(Severity.WARNING, what, f"run: chmod o-w {shlex.quote(str(path))}")


def _connections(source: Source) -> Iterator[Finding]:
    """Connections are open files; a worker lets itself have as many as the system allows it at most."""
    wanted = source.settings.max_connections + OTHER_FILES
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most >= wanted:
        return
    yield Finding(
        Severity.WARNING,
        f"setting max_connections: {source.settings.max_connections} connections need {wanted} open files, and what is"
        f" started from here may have {most}",
        f"run: ulimit -Hn {wanted} (in a systemd unit: LimitNOFILE={wanted}), or lower the setting",
    )


def _room(source: Source) -> Iterator[Finding]:
    """What is left where the service writes; without any it refuses whatever has to be written."""
    folders = {path.stat().st_dev: path for path in (source.audit, source.database.parent) if path and path.is_dir()}
    for path in folders.values():
        disk = os.statvfs(path)
        free = disk.f_bavail * disk.f_frsize
        if free < LITTLE_ROOM:
            yield Finding(
                Severity.WARNING,
                f"the disk of {path} has {free // 2**20} MiB left: without any, nobody signs in, refreshes or revokes",
                f"make room; see how much there is with: df -h {shlex.quote(str(path))}",
            )


def _clock(source: Source) -> Iterator[Finding]:
    """A clock that was set back: what was written then is in the future now, and so are tokens."""
    ahead = max((int(path.stat().st_mtime) for path in _database_files(source)), default=0) - now()
    if ahead > LEEWAY_IN:
        yield Finding(
            Severity.WARNING,
            f"the database was last written {ahead} s from now: this clock was set back, or that of its disk is ahead",
            SET_THE_CLOCKS,
        )


def _audit_files(source: Source) -> list[Path]:
    """The folder of the audit log, and its files."""
    if source.audit is None or not source.audit.is_dir():
        return []
    return [source.audit, *audit_chain.files(source.audit)]


def _database_files(source: Source) -> list[Path]:
    """The database and what SQLite keeps beside it."""
    beside = (source.database.with_name(source.database.name + ending) for ending in BESIDE)
    return [path for path in (source.database, *beside) if path.exists()]
