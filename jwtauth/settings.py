"""Every setting with its unit: read once from `jwtauth.toml` and `JWTAUTH_*`, checked once, then frozen."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from jwtauth.errors import ConfigurationError

FILE_NAME: Final = "jwtauth.toml"
PREFIX: Final = "JWTAUTH_"
FOLDER_VARIABLE: Final = "JWTAUTH_FOLDER"
"""Names the folder of the settings file; it is no setting itself."""
METRICS_VARIABLE: Final = "JWTAUTH_METRICS_FOLDER"
"""Names the folder in which workers tell each other their numbers; their supervisor makes it. No setting either."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may decide. Durations are seconds, sizes are bytes unless the text says otherwise."""

    issuer: str = "http://127.0.0.1:8000"
    """The issuer identifier (RFC 8414 section 2), without trailing slash; every URL that the server hands out begins
    with it, whatever the Host header says. Unless told, http://127.0.0.1 with the setting port. Changing it makes all
    tokens issued before foreign."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 8000
    """The port to listen on."""
    workers: int = 1
    """Worker processes; one per core that you can spare."""
    database: str = "jwtauth.db"
    """The SQLite file, relative to the folder of the settings file."""
    keys: str = "keys"
    """The folder of signing keys and server.secret, relative to the folder of the settings file."""
    keys_passphrase: str = ""
    """Where the passphrase is that the files in it are encrypted with: `file:/path` or `env:NAME`, never itself. Files
    that are there already are encrypted by `jwtauth keys encrypt`."""
    default_realm: str = "default"
    """The realm of requests that name none, as a visit to the sign-in page or a token request without a client: what
    they are told is in its dialect."""
    allow_default_keys: tuple[str, ...] = ()
    """Names of realms whose clients may keep a secret that stands in a manual, although the issuer is not on loopback.
    From the environment separated by commas."""
    max_token_lifetime: int = 86_400
    """No access token lives longer, in seconds; retired keys and revocations are kept by it. Do not lower it while
    longer-lived tokens are alive."""
    jwks_max_age: int = 300
    """For how long verifiers may cache the JWKS, in seconds; a rotated key signs only after that time."""
    status_list_ttl: int = 15
    """For how long verifiers use a status list before they ask again, in seconds: so long a revocation may take to
    reach them. Less means more requests."""
    access_token_algorithm: Literal["ES256", "RS256", "PS256", "EdDSA"] = "ES256"
    """What signs access tokens; a key for it must exist (`jwtauth keys create`)."""
    argon2_memory: int = 19_456
    """Memory of one password hash, in KiB; more makes a stolen database slower to guess and a login slower."""
    argon2_passes: int = 2
    """Passes over that memory."""
    password_threads: int = 2
    """Password hashes that are computed at once in one worker."""
    password_queue: int = 32
    """Password hashes that may wait in one worker; one more is answered 503 with Retry-After."""
    session_idle_in: int = 86_400
    """A browser session that is not used for so long is over, in seconds; the person then signs in anew."""
    session_in: int = 2_592_000
    """However busy, a browser session is over after so long, in seconds."""
    transaction_in: int = 1_800
    """For how long a sign-in page may stay open, in seconds; after that it begins anew."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, with a port if it is in the URL, under which the service is reached beside the issuer's own and the
    address that it listens on; requests for any other are answered 421. From the environment separated by commas."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses, or networks such as 10.0.0.0/8, of proxies whose X-Forwarded-For is believed; from the environment
    separated by commas. Name only machines of your own: whoever is named here may claim any address."""
    max_body: int = 65_536
    """Longest request body that is read, in bytes; a longer one is answered 413."""
    body_timeout: int = 10
    """For how long a request's body may take to arrive, in seconds; a slower one is answered 408."""
    max_connections: int = 4_096
    """Connections that one worker holds; one more takes the place of the one that is idle longest, or is answered 503
    where none is."""
    max_connections_per_address: int = 512
    """Connections of one address to one worker; one more is answered 503. 0: no bound. Trusted proxies have none, and
    nobody has where the issuer is https and no proxy is named."""
    log_format: Literal["human", "json"] = "human"
    """How log lines look."""
    audit: str = "audit"
    """The folder of the audit log, relative to the folder of the settings file; an empty name means none."""
    audit_keep_in: int = 0
    """For how long audit files are kept, in seconds: where a new file begins, those are removed whose newest line is
    older. 0: for ever."""
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Addresses, or networks, from which `/metrics` may be read; others are answered 404, and so is whoever comes
    through a proxy that is not in trusted_proxies. From the environment separated by commas."""
    tracing: bool = False
    """Whether each request becomes a span of OpenTelemetry, which the variables OTEL_* say where to send; needs
    jwtauth[otel]."""
    drain_in: int = 0
    """For how long requests are still taken after SIGTERM, in seconds, while `/readyz` says 503: so long a load
    balancer may need to go elsewhere."""
    explain_errors: bool = False
    """Whether error pages tell an application's developer the exact mismatch; `jwtauth dev` turns it on. They then show
    visitors what is registered for a client."""

    @property
    def is_loopback(self) -> bool:
        """Whether the issuer is a literal loopback address, where http is acceptable."""
        return _is_loopback(self.issuer)


_LONGEST_TRANSACTION_IN: Final = 86_400
"""For so long the store remembers that a transaction was finished."""

_REFERENCE: Final = re.compile("(file|env):.+")
"""How a setting says where a secret is."""

_LISTS: Final = frozenset({"allow_default_keys", "allowed_hosts", "metrics_from", "trusted_proxies"})
"""Settings that the environment separates by commas."""


class Source(Struct, frozen=True, kw_only=True):
    """Settings together with the folder that their relative paths start from."""

    settings: Settings
    folder: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / self.settings.database

    @property
    def keys(self) -> Path:
        """The keys folder."""
        return self.folder / self.settings.keys

    @property
    def audit(self) -> Path | None:
        """The folder of the audit log; None where there is none."""
        return self.folder / self.settings.audit if self.settings.audit else None

    def keys_passphrase(self) -> bytes | None:
        """The passphrase of the keys folder, read afresh; None where it has none.

        Raises:
            ConfigurationError: the setting names a file or variable that is not there or empty.
        """
        reference = self.settings.keys_passphrase
        if not reference:
            return None
        kind, _, name = reference.partition(":")
        passphrase = self._read_file(name) if kind == "file" else os.fsencode(os.environ.get(name, ""))
        _require(passphrase != b"", f"keys_passphrase: {reference} is missing or empty; put the passphrase there")
        return passphrase

    def _read_file(self, name: str) -> bytes:
        """What a file holds, without the end of its last line."""
        try:
            return (self.folder / name).read_bytes().rstrip(b"\r\n")
        except FileNotFoundError:
            return b""
        except OSError as problem:
            raise ConfigurationError(
                f"setting keys_passphrase: file:{name} cannot be read: {problem.strerror}"
            ) from None


def load(folder: Path, environ: Mapping[str, str] | None = None, **overrides: Any) -> Source:
    """The settings of a folder: defaults, then `jwtauth.toml`, then `JWTAUTH_*`, then `overrides` (None is skipped).

    Raises:
        ConfigurationError: a key is unknown or a value is wrong; the message names it and what was expected.
    """
    values: dict[str, Any] = {}
    folder = folder.absolute()
    path = folder / FILE_NAME
    if path.exists():
        values.update(_read_toml(path))
    values.update(_read_environment(os.environ if environ is None else environ))
    values.update({name: value for name, value in overrides.items() if value is not None})
    for name in values:
        if name not in Settings.__struct_fields__:
            raise ConfigurationError(_unknown(name))
    values.setdefault("issuer", f"http://127.0.0.1:{values.get('port', Settings().port)}")
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as problem:
        raise ConfigurationError(f"settings: {problem}") from None
    _check(settings)
    return Source(settings=settings, folder=folder)


def to_environment(settings: Settings) -> dict[str, str]:
    """The settings as `JWTAUTH_*` variables, so that worker processes see what their parent decided."""
    return {
        PREFIX + name.upper(): ",".join(value) if name in _LISTS else str(value)
        for name, value in msgspec.structs.asdict(settings).items()
    }


_ABOVE_0: Final = (
    "status_list_ttl",
    "workers",
    "max_token_lifetime",
    "jwks_max_age",
    "argon2_passes",
    "password_threads",
    "session_idle_in",
    "session_in",
    "transaction_in",
    "max_body",
    "body_timeout",
    "max_connections",
)


def _check(settings: Settings) -> None:
    """Refuse values that contradict each other or cannot work."""
    _require(
        _is_issuer(settings.issuer), "issuer: expected https://host[/path] without query, fragment or trailing slash"
    )
    for name in _ABOVE_0:
        _require(getattr(settings, name) > 0, f"{name}: expected a number above 0")
    _require(
        settings.keys_passphrase == "" or _REFERENCE.fullmatch(settings.keys_passphrase) is not None,
        "keys_passphrase: expected file:/path or env:NAME, never the passphrase itself",
    )
    _require(0 <= settings.port <= 65_535, "port: expected 0 to 65535")
    _require(settings.argon2_memory >= 8_192, "argon2_memory: expected at least 8192 KiB")
    _require(settings.password_queue >= 0, "password_queue: expected 0 or more")
    _require(settings.max_connections_per_address >= 0, "max_connections_per_address: expected 0 or more")
    _require(
        settings.session_idle_in <= settings.session_in,
        f"session_idle_in: expected at most session_in, which is {settings.session_in}",
    )
    _require(
        settings.transaction_in <= _LONGEST_TRANSACTION_IN,
        f"transaction_in: expected at most {_LONGEST_TRANSACTION_IN}",
    )
    _require(settings.audit_keep_in >= 0, "audit_keep_in: expected 0 or more")
    _require(settings.drain_in >= 0, "drain_in: expected 0 or more")
    for name in ("trusted_proxies", "metrics_from"):
        for network in getattr(settings, name):
            _require(
                _is_network(network), f"{name}: {network!r} is neither an address nor a network such as 10.0.0.0/8"
            )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigurationError(f"setting {message}")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{path}: is not TOML: {problem}") from None
    except OSError as problem:
        raise ConfigurationError(f"{path}: cannot be read: {problem.strerror}") from None


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in environ.items():
        if name.startswith(PREFIX) and name not in (FOLDER_VARIABLE, METRICS_VARIABLE):
            setting = name.removeprefix(PREFIX).lower()
            found[setting] = _split(value) if setting in _LISTS else value
    return found


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.__struct_fields__, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(Settings.__struct_fields__)}"
    return f"setting {name}: is unknown{hint}"


def _is_issuer(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_clean = not (parts.query or parts.fragment or parts.username) and not url.endswith("/")
    return parts.scheme in ("http", "https") and bool(parts.netloc) and is_clean


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
