"""Everything that an endpoint needs to tell its story, put together once per process."""

import asyncio
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import msgspec

from jwtauth.errors import ConfigurationError, InvalidToken, Overloaded
from jwtauth.issuer.access_tokens import AccessTokens
from jwtauth.issuer.legacy_use import LegacyUse
from jwtauth.issuer.machine_positions import MachinePositions
from jwtauth.issuer.proven_clients import ProvenClients
from jwtauth.issuer.status_lists import StatusLists
from jwtauth.issuer.throttle import Throttle
from jwtauth.issuer.together import Lookup, Together
from jwtauth.issuer.upstreams import Upstreams
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.keyring import RELOAD_IN, Keyring
from jwtauth.keyring.sealer import Sealer
from jwtauth.keyring.secrets import check_fingerprints
from jwtauth.observe.events import Event, Observers
from jwtauth.observe.log import LOGGER
from jwtauth.observe.metrics import (
    PASSWORDS_IN_PROGRESS,
    PASSWORDS_REFUSED,
    PASSWORDS_WAITING,
    WRITES_WAITING,
    Metrics,
)
from jwtauth.outside.http import Outside
from jwtauth.passwords import Passwords
from jwtauth.protocol import claims, id_token, status_list
from jwtauth.protocol.claims import StatusList
from jwtauth.protocol.id_token import Hint
from jwtauth.protocol.records import Permission
from jwtauth.settings import Settings
from jwtauth.store.ports import Store

LONGEST_STORY_IN: Final = 60
"""So long a request may take at most until it is given its token, in seconds."""


class Issuer:
    """The service without its HTTP: settings, memory, keys, clock."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        folder: KeyFolder,
        *,
        observers: Observers,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Put the service together.

        Args:
            settings: checked settings.
            store: an open store; `close` closes it.
            folder: the keys folder.
            observers: who is told of every decision.
            metrics: what is counted, if anybody asks.
            clock: seconds since the epoch.

        Raises:
            ConfigurationError: a key or a server secret is missing, unsafe or damaged.
        """
        self.settings = settings
        self.store = store
        self.observers = observers
        self.metrics = Metrics() if metrics is None else metrics
        self.passwords = Passwords(
            memory=settings.argon2_memory,
            passes=settings.argon2_passes,
            threads=settings.password_threads,
            queue=settings.password_queue,
        )
        self.together = Together()
        self.grant_lookup = Lookup(self.together, store.grants.of_ids)
        """Grants by id; those of one turn are read together."""
        self.keyring = Keyring(folder, max_token_lifetime=settings.max_token_lifetime)
        self._folder = folder
        self._clock = clock
        self._keys_version = store.refresh().keys
        self._failed_at = -RELOAD_IN
        self._epoch = store.epoch
        self._restored_at = -1
        self._has_looked = False
        self._are_secrets_readable = True
        self._names = _random_names()
        self.sealer = self._read_secrets()
        self.access_tokens = AccessTokens(settings.issuer, store, self.keyring)
        self.throttle = Throttle(store.attempts)
        self.proven_clients = ProvenClients()
        self.legacy_use = LegacyUse(store.legacy_uses)
        self.outside = Outside()
        self.upstreams = Upstreams(self.outside)
        self.machine_positions = MachinePositions(store.positions)
        self.status_lists = StatusLists(
            settings.issuer,
            store,
            self.keyring,
            algorithm=settings.access_token_algorithm,
            ttl=settings.status_list_ttl,
        )
        self._status_uri = f"{settings.issuer}{status_list.PATH}/"
        self._measure()
        self.keyring.signing_key(settings.access_token_algorithm, now=self.now())

    def now(self) -> int:
        """Seconds since the epoch."""
        return int(self._clock())

    def begin(self) -> int:
        """Bring memory and keys up to date for one request; returns the instant at which the request is judged.

        Requests that one turn of the event loop begins had all arrived before its first one looked, so they share that
        look: what was committed before any of them was sent is seen by all of them. A look is nearly free when nothing
        changed: one pragma.

        It would not hold if a story were begun as soon as its request is read.
        """
        now = self.now()
        if not self._has_looked:
            self._look(now)
            asyncio.get_running_loop().call_soon(self.look_again)
            self._has_looked = True
        return now

    def look_again(self) -> None:
        """Let the next request share no look with those before it: it may have arrived after that look."""
        self._has_looked = False

    def mint(self, permission: Permission, position: int, *, now: int) -> str:
        """The signed access token for a permission, naming a status position (RFC 9068).

        Raises:
            ConfigurationError: it would outlive max_token_lifetime, by which keys and revocations are kept.
            Overloaded: a backup was restored after the request had begun.
        """
        return self._minting(permission, position, now=now)()

    async def mint_together(self, permission: Permission, position: int, *, now: int) -> str:
        """The same, signed in one go with those of other requests."""
        return await self.together.work(self._minting(permission, position, now=now))

    def _minting(self, permission: Permission, position: int, *, now: int) -> Callable[[], str]:
        """The last step of making an access token, which is its signature."""
        if 0 <= self._restored_at - now < LONGEST_STORY_IN:
            raise Overloaded("the database was restored meanwhile; try again")
        if permission.lifetime_in > self.settings.max_token_lifetime:
            raise ConfigurationError(
                f"tokens of client {permission.client_id} live {permission.lifetime_in} s, longer than the setting"
                " max_token_lifetime; lower access_token_in or raise the setting and restart"
            )
        token = claims.make(
            permission,
            issuer=self.settings.issuer,
            status=StatusList(
                idx=status_list.index(position),
                uri=self._status_uri + status_list.list_name(position, epoch=self.store.epoch),
            ),
            jti=self.random_name(),
            now=now,
        )
        key = self.keyring.signing_key(self.settings.access_token_algorithm, now=now)
        return partial(key.sign, _ENCODER.encode(token), typ=claims.TYPE)

    def sign(self, claims: object, *, algorithm: str, typ: str, now: int) -> str:
        """Any other claims, signed as a JWT of another type than access tokens have.

        Raises:
            ConfigurationError: there is no key for the algorithm.
        """
        return self.keyring.signing_key(algorithm, now=now).sign(_ENCODER.encode(claims), typ=typ)

    def id_token_hint(self, hint: str | None, *, now: int) -> Hint | None:
        """What an id_token_hint says, also one that expired; None where it is no ID token of ours (SECURITY Z-15)."""
        if hint is None:
            return None
        try:
            payload = self.keyring.open(hint, typ=id_token.TYPE, now=now)
            return id_token.read_hint(payload, issuer=self.settings.issuer)
        except InvalidToken:
            return None

    def random_name(self) -> str:
        """120 random bits as 20 characters that are safe in URLs."""
        return next(self._names)

    @property
    def are_keys_readable(self) -> bool:
        """Whether keys and server secrets could be read when they were looked at last."""
        return self.keyring.is_readable and self._are_secrets_readable

    def tell(self, event: Event) -> None:
        """Tell every observer."""
        self.observers.tell(event)

    def close(self) -> None:
        """Finish waiting writes and let go of threads and files. Calls to others are closed by who made them."""
        self.passwords.close()
        self.store.close()
        self.observers.close()

    def _measure(self) -> None:
        """Let the metrics ask for what waits."""
        self.metrics.watch(PASSWORDS_WAITING, lambda: self.passwords.waiting)
        self.metrics.watch(PASSWORDS_IN_PROGRESS, lambda: self.passwords.in_progress)
        self.metrics.watch(PASSWORDS_REFUSED, lambda: self.passwords.refused)
        self.metrics.watch(WRITES_WAITING, lambda: self.store.waiting)

    def _look(self, now: int) -> None:
        keys_version = self.store.refresh().keys
        if self.store.epoch != self._epoch:
            self._begin_time_line(now)
        if now == self._restored_at:  # no later request can be told from one that had begun before
            raise Overloaded("the database was restored this second; try again")
        if keys_version != self._keys_version and not 0 <= now - self._failed_at < RELOAD_IN:
            if self._reload_keys():
                self._keys_version = keys_version
            else:
                self._failed_at = now
        if self.keyring.look(now, self._report):
            self._reload_secrets()

    def _begin_time_line(self, now: int) -> None:
        """Go on after a backup was restored: what was sealed, proven or begun before belongs to another time line.

        Raises:
            Overloaded: its server secrets are not there.
        """
        self._restored_at = now
        self.access_tokens.forget()
        if not self._reload_secrets():
            raise Overloaded("the database was restored without the server secrets that it was used with")
        self._epoch = self.store.epoch
        LOGGER.warning("a backup was restored: epoch %d; everything issued before is over", self._epoch)

    def _read_secrets(self) -> Sealer:
        stored = self._folder.read_secrets()
        check_fingerprints(stored, self.store.administration.fingerprints())
        return Sealer(stored, epoch=self.store.epoch)

    def _reload_keys(self) -> bool:
        """Read keys and secrets anew, each even where the other is damaged; whether both could be read."""
        are_secrets_read = self._reload_secrets()
        try:
            self.keyring.reload()
        except ConfigurationError as problem:
            self._report(problem)
            return False
        return are_secrets_read

    def _reload_secrets(self) -> bool:
        try:
            self.sealer = self._read_secrets()
        except ConfigurationError as problem:
            self._are_secrets_readable = False
            self._report(problem)
            return False
        self._are_secrets_readable = True
        return True

    def _report(self, problem: ConfigurationError) -> None:
        LOGGER.error("keys folder: %s; the keys read before stay in use", problem)


def _random_names() -> Iterator[str]:
    """Endless 120-bit random names, 20 characters each; the system is asked for 256 at a time, once costs 8 µs."""
    while True:
        block = urlsafe_b64encode(os.urandom(256 * 15)).decode("ascii")
        yield from (block[start : start + 20] for start in range(0, len(block), 20))


_ENCODER = msgspec.json.Encoder()
