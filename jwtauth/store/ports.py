"""What the service asks of its memory. Every method is one atomic step; a write has been committed when it returns.

Any method may raise `Overloaded`: the database stayed locked or could not write; nothing was written.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from jwtauth.protocol.blast_radius import Radius, Selection
from jwtauth.protocol.records import (
    Block,
    Client,
    ClientSecret,
    Consent,
    Grant,
    LogoutNotice,
    NewGrant,
    NewSession,
    Realm,
    Session,
    User,
)


class Versions(Struct, frozen=True):
    """Counters that move when something that is held in memory changed."""

    revocations: int
    directory: int
    """Realms, clients and users."""
    keys: int
    """The keys folder was changed in a way that cannot wait for its next look."""


class Figures(Struct, frozen=True, kw_only=True):
    """How much there is."""

    denied: int
    """Status positions that are denied."""
    grants: int
    """Grants that have neither ended nor expired."""
    size: int
    """Of the database, in bytes."""
    free: int
    """What else has room where it is, in bytes."""


OnCommit = Callable[[int, float, Literal["busy", "failed"] | None], None]
"""Is told of each transaction: how many writes were in it, how many seconds it took, and why it was given up.

It is called by the thread that writes, and must neither wait nor raise.
"""


class Failures(Struct, frozen=True):
    """Wrong secrets counted in one bucket."""

    count: int = 0
    last_at: int = 0


class Ended(Struct, frozen=True, kw_only=True):
    """What an end took with it."""

    sessions: int = 0
    grants: int = 0
    notices: tuple[LogoutNotice, ...] = ()
    """Clients to be told; whoever got them here has `lease_in` seconds to do it before others do."""


class Directory(Protocol):
    """Realms, clients and users, as of the last `Store.refresh`; they come from memory where they were asked before."""

    async def client(self, client_id: str) -> Client | None:
        """The client of that client_id, disabled ones too."""

    async def client_numbered(self, row_id: int) -> Client | None:
        """The client whose `Client.id` that is, disabled ones too."""

    async def has_origin(self, origin: str) -> bool:
        """Whether an enabled client has a redirect URI of this web origin (RFC 6454 section 6.2)."""

    def realms(self) -> Mapping[str, Realm]:
        """All realms by name, disabled ones too. Asks memory first."""

    async def user(self, user_id: int) -> User | None:
        """The user of that id, disabled ones too."""

    async def user_named(self, username: str) -> User | None:
        """The user of that username, disabled ones too."""


class Grants(Protocol):
    """One row per grant, from consent to end."""

    async def get(self, grant_id: int) -> Grant | None:
        """The grant as last committed, ended ones too; None once it was swept away."""

    def of_ids(self, grant_ids: Collection[int]) -> Mapping[int, Grant]:
        """By id, all of these grants that `get` would find, read in one go; at once, as it is asked within a turn."""

    async def start(self, new: NewGrant, *, now: int) -> Grant | None:
        """Insert a grant with a status position of its own, and remember its consent if it has one.

        None, and nothing written, where the user's or the client's epoch has moved or one of them is disabled, where
        its session is over or somebody else's, or where another grant finished its transaction or was given for its
        foreign token: of any number of callers with one transaction, or one foreign token, exactly one wins.
        """

    async def was_exchanged(self, digest: bytes) -> bool:
        """Whether a grant was given for the foreign token of this digest; known until `forget_at`."""

    async def of_transaction(self, transaction: bytes) -> Grant | None:
        """The grant that finished an authorization transaction, ended ones too; known for one day."""

    async def of_position(self, position: int) -> Grant | None:
        """The grant whose newest access token names this status position, ended ones too; None for a machine's."""

    async def of_user(self, user_id: int, *, now: int) -> Sequence[Grant]:
        """A user's newest grants that have neither ended nor expired, a thousand at most; no codes not redeemed yet."""

    async def redeem(self, grant_id: int, *, expires_at: int, now: int) -> Grant | None:
        """Redeem a grant's code: of any number of callers exactly one gets the grant, with its nonce.

        None for everybody else: it was redeemed, the code or the grant expired, or the grant ended. Nonce and
        redirect_uri are cleared in the same write.
        """

    async def rotate(
        self, grant: Grant, *, secret_number: int, expires_at: int, renews_position: bool, now: int
    ) -> int | None:
        """Swap the generation of a grant as read for its successor: of any number of callers with one exactly one wins.

        Returns:
            The status position that the new access token names, or None for everybody who did not win: somebody was
            first, or the grant ended or expired. With `renews_position` the old position is denied in the same write.
        """

    async def end(self, grant_id: int, *, now: int) -> bool:
        """End a grant and deny its position. Of any number of callers exactly one gets True."""

    async def oldest_secret_number(self) -> int | None:
        """The lowest server secret that a live grant still needs, or None where there is no live grant."""


class Sessions(Protocol):
    """People signed in, one row per browser. An ended session takes its grants without `offline_access` along."""

    async def find(self, digest: bytes) -> Session | None:
        """The session whose cookie has this digest, ended ones too."""

    async def holding(self, digest: bytes) -> Session | None:
        """The session whose cookie has this digest, or had it until the person last signed in again; ended ones too.

        An old cookie signs nobody in. It is what a browser still holds whose answer got lost.
        """

    async def get(self, session_id: int) -> Session | None:
        """The session of that id, ended ones too; None once it was swept away."""

    async def of_user(self, user_id: int, *, now: int) -> Sequence[Session]:
        """A user's live sessions, the one used last first, a hundred at most."""

    async def start(
        self, new: NewSession, *, replaces: int | None, lease_in: int, now: int
    ) -> tuple[Session, Ended] | None:
        """Insert a session; in the same write the one that it replaces ends, if it has not ended before.

        None, and nothing written, where the user's epoch has moved or the user is disabled.
        """

    async def renew(
        self,
        session_id: int,
        *,
        digest: bytes,
        user_epoch: int,
        auth_time: int,
        upstream_realm: str | None,
        expires_at: int,
        now: int,
    ) -> Session | None:
        """Give a live session of the same person another cookie after the person proved again who it is.

        From now on it counts as far as the last proof does.

        None, and nothing written, where it has ended, or the user's epoch has moved or the user is disabled.
        """

    async def touch(self, session_id: int, *, expires_at: int, now: int) -> None:
        """Note that a live session was used; `expires_at` only ever moves forward."""

    async def end(self, session_id: int, *, lease_in: int, now: int) -> Ended | None:
        """End a session, also one that expired, and its grants, and note which clients have to be told.

        Those are the clients that got a grant in it, the grant may be gone. Of any number of callers exactly one gets
        what ended; the others None.
        """

    async def end_all(self, user: User, *, now: int) -> Ended:
        """End all of a user's sessions and all grants, with `offline_access` or without; what began before is void.

        The notices are not handed out: they are due at once, for whoever takes them first.
        """


class Consents(Protocol):
    """What people allowed clients."""

    async def get(self, user_id: int, client_id: int) -> Consent | None:
        """What a user allowed a client (`Client.id`)."""

    async def of_user(self, user_id: int) -> Sequence[Consent]:
        """Everything that a user allowed, the newest first."""

    async def withdraw(self, user: User, client_id: int, *, now: int) -> int:
        """Forget what a user allowed a client and end all grants of the two; returns how many.

        What began before is void: a grant that is being started while this runs is not.
        """


class Logouts(Protocol):
    """Clients that have yet to be told that a session ended; they survive restarts."""

    async def take_due(self, *, limit: int, of_one_client: int, lease_in: int, now: int) -> Sequence[LogoutNotice]:
        """Notices that are due, the longest due first. Nobody else gets them within `lease_in` seconds.

        No more than `of_one_client` are of one client, so that one that never answers holds up nobody else's.
        """

    async def retry(self, notice_id: int, *, due_at: int) -> None:
        """Count an attempt in vain; the notice is due again then."""

    async def remove(self, notice_id: int) -> None:
        """The client was told, or will not be told any more."""

    async def next_due_at(self) -> int | None:
        """When the next notice is due; None where there is none."""


class Positions(Protocol):
    """Status positions: handed out once, never again, and denied by bit."""

    async def take_block(self, client: Client, *, size: int, use_until: int, now: int) -> Block | None:
        """A run of positions that nobody else gets, inside one list; None where the client's epoch has moved."""

    async def deny(self, position: int, *, now: int) -> bool:
        """Deny a position and end the grant that holds it, if one does. False where it was denied before."""

    def is_denied(self, position: int) -> bool:
        """Whether a position was denied, as of the last `Store.refresh`. Asks memory only."""

    def denied_in(self, number: int) -> bytes:
        """A list's bits, as of the last `Store.refresh`, as a status list is laid out. Asks memory only."""

    def version_of(self, number: int) -> int:
        """Moves whenever a position of a list was denied, as of the last `Store.refresh`; alike in all workers."""

    def versions(self) -> dict[int, int]:
        """`version_of` every list in which something was denied."""

    async def has_list(self, number: int) -> bool:
        """Whether a token that is alive may name a position in this list, or soon will."""

    async def lists(self) -> Sequence[int]:
        """The numbers of all lists of which that is so."""


class Revocations(Protocol):
    """Many tokens ended at once. What a selection means is `jwtauth.protocol.blast_radius`."""

    async def measure(self, selection: Selection, *, now: int) -> Radius:
        """What `revoke` would end, as of one instant; writes nothing and holds nobody up."""

    async def revoke(self, selection: Selection, *, now: int) -> Radius:
        """End the grants and deny the positions and blocks that match, all of them or, where it fails, none.

        Where the selection names a user or a client, or hits a client's blocks, what began with it before is void: no
        grant that is being started meanwhile comes to be, and machines go on in blocks that are not denied.
        """


class Attempts(Protocol):
    """Wrong secrets, counted in a bounded number of buckets shared by all workers."""

    async def failures(self, bucket: int) -> Failures:
        """What was counted in the bucket."""

    async def record_failure(self, bucket: int, *, now: int, forget_before: int) -> None:
        """Count one more; what was last counted before `forget_before` is forgotten first."""

    async def clear(self, bucket: int) -> None:
        """Forget what was counted in the bucket."""


class LegacyUse(Struct, frozen=True, kw_only=True):
    """How often a client went through a legacy door."""

    client_id: str
    realm: str
    door: str
    """Which one (`jwtauth.protocol.legacy`)."""
    count: int
    first_at: int
    last_at: int


class LegacyUses(Protocol):
    """Uses of legacy doors, counted per client; at most one row per client and door."""

    async def add(self, uses: Mapping[tuple[int, str], int], *, now: int) -> None:
        """Count uses by (`Client.id`, door) since the last call; all of them or, where it fails, none.

        A client that is not there is passed over: a backup from before it was restored.
        """

    async def all(self, realm: str | None = None) -> Sequence[LegacyUse]:
        """What was counted, of one realm or of all, the last used first."""


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
        """Replace username, password hash, profile and roles; returns how many grants ended.

        A new password ends all of the user's sessions and grants, a lost membership the grants of that realm.
        """

    async def change_password(self, user: User, password_hash: str, *, now: int) -> Ended | None:
        """Replace a user's password hash and end all of the user's sessions and grants.

        None, and nothing written, where the user's epoch has moved since it was read or the user is disabled.
        """

    async def rehash_password(self, user: User, password_hash: str) -> bool:
        """Store a better hash of the very same password. Nothing ends, and no epoch moves.

        False, and nothing written, where the stored hash is not the one that `user` has any more.
        """

    async def rehash_secret(self, client: Client, digest: str, better: str) -> bool:
        """Store a better hash of the very same client secret in place of `digest`; nothing ends.

        False, and nothing written, where the client has no such digest any more.
        """

    async def disable_user(self, user: User, *, now: int) -> int:
        """Disable a user, end all of the user's sessions and grants; returns how many grants."""

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
    def sessions(self) -> Sessions:
        """People signed in."""

    @property
    def consents(self) -> Consents:
        """What people allowed clients."""

    @property
    def logouts(self) -> Logouts:
        """Clients that have yet to be told of a logout."""

    @property
    def positions(self) -> Positions:
        """Status positions and the denylist."""

    @property
    def revocations(self) -> Revocations:
        """Many tokens ended at once."""

    @property
    def attempts(self) -> Attempts:
        """Wrong secrets."""

    @property
    def legacy_uses(self) -> LegacyUses:
        """Uses of legacy doors."""

    @property
    def administration(self) -> Administration:
        """What operators change."""

    def refresh(self) -> Versions:
        """Bring what is held in memory up to the last commit of any process. Nearly free when nothing changed."""

    @property
    def waiting(self) -> int:
        """Writes that wait for their turn."""

    async def prove_writable(self, *, now: int) -> None:
        """Commit a write that nobody reads: once this returns, it is on the disk.

        Raises:
            Overloaded: a write would be refused now.
        """

    async def figures(self, *, now: int) -> Figures:
        """How much there is. Reads all of it, in a thread of its own: nobody waits, but it is not free.

        Raises:
            Overloaded: the database could not be read.
        """

    def close(self) -> None:
        """Finish the waiting writes and let go of the files."""
