"""What the service asks of its memory. Every method is one atomic step; a write has been committed when it returns.

Any method may raise `Overloaded`: the database stayed locked or could not write; nothing was written.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from jwtauth.protocol.records import Block, Client, ClientSecret, Grant, NewGrant, Realm, User


class Versions(Struct, frozen=True):
    """Counters that move when something that is held in memory changed."""

    revocations: int
    directory: int
    """Realms, clients and users."""
    keys: int
    """The keys folder was changed in a way that cannot wait for its next look."""


class Failures(Struct, frozen=True):
    """Wrong secrets counted in one bucket."""

    count: int = 0
    last_at: int = 0


class Directory(Protocol):
    """Realms, clients and users, as of the last `Store.refresh`; they come from memory where they were asked before."""

    async def client(self, client_id: str) -> Client | None:
        """The client of that client_id, disabled ones too."""

    async def user(self, user_id: int) -> User | None:
        """The user of that id, disabled ones too."""

    async def user_named(self, username: str) -> User | None:
        """The user of that username, disabled ones too."""


class Grants(Protocol):
    """One row per grant, from consent to end."""

    async def get(self, grant_id: int) -> Grant | None:
        """The grant as last committed, ended ones too; None once it was swept away."""

    async def start(self, new: NewGrant, *, now: int) -> Grant | None:
        """Insert a grant with a status position of its own.

        None, and nothing written, where the user's or the client's epoch has moved or one of them is disabled.
        """

    async def rotate(
        self, grant_id: int, generation: int, *, secret_number: int, expires_at: int, renews_position: bool, now: int
    ) -> int | None:
        """Swap `generation` for its successor: of any number of callers with one generation exactly one wins.

        Returns:
            The status position that the new access token names, or None for everybody who did not win: somebody was
            first, or the grant ended or expired. With `renews_position` the old position is denied in the same write.
        """

    async def end(self, grant_id: int, *, now: int) -> bool:
        """End a grant and deny its position. Of any number of callers exactly one gets True."""

    async def oldest_secret_number(self) -> int | None:
        """The lowest server secret that a live grant still needs, or None where there is no live grant."""


class Positions(Protocol):
    """Status positions: handed out once, never again, and denied by bit."""

    async def take_block(self, client: Client, *, size: int, use_until: int, now: int) -> Block | None:
        """A run of positions that nobody else gets, inside one list; None where the client's epoch has moved."""

    async def deny(self, position: int, *, now: int) -> bool:
        """Deny a position and end the grant that holds it, if one does. False where it was denied before."""

    def is_denied(self, position: int) -> bool:
        """Whether a position was denied, as of the last `Store.refresh`. Asks memory only."""


class Attempts(Protocol):
    """Wrong secrets, counted in a bounded number of buckets shared by all workers."""

    async def failures(self, bucket: int) -> Failures:
        """What was counted in the bucket."""

    async def record_failure(self, bucket: int, *, now: int, forget_before: int) -> None:
        """Count one more; what was last counted before `forget_before` is forgotten first."""

    async def clear(self, bucket: int) -> None:
        """Forget what was counted in the bucket."""


class Administration(Protocol):
    """What operators change. Each call is one transaction that every worker notices at its next request."""

    async def realms(self) -> Sequence[Realm]:
        """All realms by name."""

    async def clients(self, realm: str | None = None) -> Sequence[Client]:
        """All clients by client_id, of one realm or of all."""

    async def users(self, realm: str | None = None) -> Sequence[User]:
        """All users by username, the members of one realm or all."""

    async def create_realm(self, realm: Realm, *, now: int) -> Realm:
        """Insert a realm; its `id` is given here.

        Raises:
            ConfigurationError: the name or the audience is taken.
        """

    async def change_realm(self, realm: Realm, *, now: int) -> None:
        """Replace a realm's settings.

        Raises:
            ConfigurationError: it does not exist, or the audience is taken.
        """

    async def disable_realm(self, realm: Realm, *, now: int) -> int:
        """Disable a realm, end its grants and deny its clients' blocks; returns how many grants ended."""

    async def enable_realm(self, realm: Realm, *, now: int) -> None:
        """Let a disabled realm work again; what was ended stays ended."""

    async def create_client(self, client: Client, *, now: int) -> Client:
        """Insert a client; its `id` is given here.

        Raises:
            ConfigurationError: the client_id is taken or is some user's sub.
        """

    async def change_client(self, client: Client, *, now: int) -> None:
        """Replace a client's settings; its grants live on."""

    async def disable_client(self, client: Client, *, now: int) -> int:
        """Disable a client, end its grants and deny its blocks; returns how many grants ended."""

    async def enable_client(self, client: Client, *, now: int) -> None:
        """Let a disabled client work again; what was ended stays ended."""

    async def replace_secrets(self, client: Client, secrets: tuple[ClientSecret, ...], *, now: int) -> None:
        """Store a client's secrets; at most two."""

    async def create_user(self, user: User, *, now: int) -> User:
        """Insert a user; its `id` is given here unless it is above 0.

        Raises:
            ConfigurationError: the username or the id is taken, or the sub is some client_id.
        """

    async def change_user(self, user: User, *, now: int) -> int:
        """Replace username, password hash and roles; returns how many grants ended.

        A new password ends all of the user's grants, a lost membership those of that realm.
        """

    async def disable_user(self, user: User, *, now: int) -> int:
        """Disable a user and end all of the user's grants; returns how many."""

    async def enable_user(self, user: User, *, now: int) -> None:
        """Let a disabled user sign in again; what was ended stays ended."""

    async def announce_keys(self) -> None:
        """Make every worker read the keys folder at its next request."""

    def fingerprints(self) -> dict[int, str]:
        """Fingerprints of the server secrets by number."""

    async def remember_secret(self, number: int, fingerprint: str) -> None:
        """Store a server secret's fingerprint."""

    async def forget_secrets(self, numbers: Sequence[int]) -> None:
        """Drop the fingerprints of server secrets that are gone."""


class Store(Protocol):
    """Everything that is remembered."""

    @property
    def epoch(self) -> int:
        """Raised when a backup is restored; part of every refresh token's MAC and of every status list's name."""

    @property
    def directory(self) -> Directory:
        """Realms, clients and users."""

    @property
    def grants(self) -> Grants:
        """Grants."""

    @property
    def positions(self) -> Positions:
        """Status positions and the denylist."""

    @property
    def attempts(self) -> Attempts:
        """Wrong secrets."""

    @property
    def administration(self) -> Administration:
        """What operators change."""

    def refresh(self) -> Versions:
        """Bring what is held in memory up to the last commit of any process. Nearly free when nothing changed."""

    def close(self) -> None:
        """Finish the waiting writes and let go of the files."""
