"""The keys that sign and verify at this instant, read from the keys folder and the clock."""

from collections.abc import Callable
from typing import Final

import msgspec

from jwtauth.errors import ConfigurationError, InvalidToken
from jwtauth.keyring import jws, schedule
from jwtauth.keyring.folder import KeyFile, KeyFolder
from jwtauth.keyring.jws import SigningKey
from jwtauth.keyring.schedule import KeyState, PlannedKey

RELOAD_IN: Final = 5
"""How often the folder is looked at for files that changed, in seconds."""


class Keyring:
    """Signing keys by their schedule. Every public method takes `now`; nothing here reads a clock."""

    def __init__(self, folder: KeyFolder, *, max_token_lifetime: int) -> None:
        """Read the folder.

        Raises:
            ConfigurationError: a file is missing, unsafe or damaged.
        """
        self._folder = folder
        self._max_token_lifetime = max_token_lifetime
        self._keys: list[tuple[KeyFile, SigningKey]] = []
        self._stamp: tuple[tuple[str, int, int], ...] = ()
        self._looked_at = 0
        self._valid_from = 0
        self._valid_until = 0
        self.is_readable = True
        """Whether the folder could be read when it was looked at last; where not, the keys read before stay in use."""
        self._signing: dict[str, SigningKey] = {}
        self._verifying: dict[str, SigningKey] = {}
        self.jwks = b""
        """The JWK Set document (RFC 7517 section 5): public parts only."""
        self.version = 0
        """Moves whenever the published keys changed: whoever remembers a verified token must forget it."""
        self.reload()

    def reload(self) -> None:
        """Read the folder anew.

        Raises:
            ConfigurationError: a file is unsafe or damaged; the keys read before stay in use, but for those whose
                files are gone: a lost key must not live on because another file is damaged. Where nothing is left
                it is the folder that is lost, and no key was withdrawn.
        """
        self.is_readable = False
        stamp = self._folder.stamp()
        if self._keys and not stamp:
            raise ConfigurationError(f"{self._folder.path} is gone or empty, as by a volume that is not mounted")
        try:
            self._keys = self._folder.read_keys()
            self._stamp = stamp
            self.is_readable = True
        except ConfigurationError:
            self._keys = [(record, key) for record, key in self._keys if self._folder.has_key(record)]
            raise
        finally:
            self._valid_until = 0

    def look(self, now: int, on_problem: Callable[[ConfigurationError], None]) -> bool:
        """Notice changed files, at most every RELOAD_IN seconds; a damaged file keeps the present keys in use.

        Returns:
            Whether a file in the folder changed, or is back; server.secret may be among them.
        """
        if 0 <= now - self._looked_at < RELOAD_IN:
            return False
        self._looked_at = now
        if self.is_readable and self._folder.stamp() == self._stamp:
            return False
        try:
            self.reload()
        except ConfigurationError as problem:
            on_problem(problem)
        return True

    def signing_key(self, algorithm: str, *, now: int) -> SigningKey:
        """The key that signs with an algorithm at this instant.

        Raises:
            ConfigurationError: there is none.
        """
        self.advance(now)
        key = self._signing.get(algorithm)
        if key is None:
            raise ConfigurationError(f"there is no {algorithm} key; run `jwtauth keys create --algorithm {algorithm}`")
        return key

    def algorithms(self, *, now: int) -> frozenset[str]:
        """The algorithms that there is a signing key for at this instant."""
        self.advance(now)
        return self._algorithms

    def open(self, token: str, *, typ: str, now: int) -> bytes:
        """The payload of a token that a published key signed with this very `typ`.

        Raises:
            InvalidToken: malformed, of another type, or not signed by a published key.
        """
        self.advance(now)
        signed = jws.take_apart(token)
        key = self._verifying.get(signed.header.kid)
        if signed.header.typ != typ or key is None or not key.verifying_key.verify(signed):
            raise InvalidToken("the token was not signed by this issuer for this use")
        return signed.payload

    def plan(self, *, now: int) -> list[PlannedKey]:
        """Every key with its state and dates."""
        return schedule.plan(
            [record.dates() for record, _ in self._keys], now=now, max_token_lifetime=self._max_token_lifetime
        )

    def advance(self, now: int) -> None:
        """Take the keys of this instant into use; nearly free between two instants of the plan."""
        if now < self._valid_until and now >= self._valid_from:
            return
        planned = self.plan(now=now)
        by_kid = {key.kid: key for _, key in self._keys}
        self._signing = {
            entry.dates.algorithm: by_kid[entry.dates.kid] for entry in planned if entry.state is KeyState.SIGNING
        }
        self._algorithms = frozenset(self._signing)
        self._verifying = {
            entry.dates.kid: by_kid[entry.dates.kid] for entry in planned if entry.state is not KeyState.RETIRED
        }
        jwks = msgspec.json.encode({"keys": [key.jwk for key in self._verifying.values()]})
        if jwks != self.jwks:
            self.jwks = jwks
            self.version += 1
        instants = [entry.dates.signs_at for entry in planned]
        instants += [entry.retires_at for entry in planned if entry.retires_at is not None]
        self._valid_from = max((instant for instant in instants if instant <= now), default=0)
        self._valid_until = min((instant for instant in instants if instant > now), default=1 << 62)
