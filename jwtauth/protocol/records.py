"""The plain records that rules decide about: realms, clients, users, grants (RFC 6749 section 1.1, OpenID Connect).

Instants end in `_at` (seconds since the epoch), durations in `_in` (seconds). A record never changes: a change is
`msgspec.structs.replace` and goes through a port of `jwtauth.store`.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class GrantType(StrEnum):
    """What a client may send as grant_type (RFC 6749 section 4)."""

    CLIENT_CREDENTIALS = "client_credentials"
    PASSWORD = "password"
    REFRESH_TOKEN = "refresh_token"


class AuthMethod(StrEnum):
    """How a client authenticates at machines' endpoints (token_endpoint_auth_method, RFC 7591 section 2)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


class SecretKind(StrEnum):
    """How the digest of a client secret was made."""

    GENERATED = "sha256"
    """256 random bits of ours: one SHA-256 is enough, nobody can guess the input."""
    CHOSEN = "argon2id"
    """A human chose it: hashed as slowly as a password."""


class ClientSecret(Struct, frozen=True, kw_only=True):
    """One of at most two secrets that are valid at once; only its digest is kept."""

    kind: SecretKind
    digest: str
    created_at: int
    expires_at: int | None = None

    def is_live(self, now: int) -> bool:
        """Whether it still counts at this instant."""
        return self.expires_at is None or now < self.expires_at


DEFAULT_ACCESS_TOKEN_IN: Final = 3600
"""Life of access tokens in a realm that names none, in seconds."""


class Realm(Struct, frozen=True, kw_only=True):
    """A group of clients with roles, lifetimes, a dialect and an audience of its own."""

    id: int
    name: str
    audience: str
    """What `aud` is when no resource was asked for; no two realms share one (RFC 9068 section 3)."""
    dialect: str = "standard"
    roles: tuple[str, ...] = ()
    """The roles that its users may be given; a user's roles are the `authorities` of tokens."""
    access_token_in: int = DEFAULT_ACCESS_TOKEN_IN
    """Life of an access token."""
    refresh_token_in: int = 2_592_000
    """Life of each refresh token: a grant that is not refreshed for so long ends."""
    grant_in: int = 31_536_000
    """Life of a grant however often it is refreshed; the person then signs in anew."""
    retry_in: int = 30
    """For so long after a rotation the old refresh token, sent again, gets the same successor; 0 is strict."""
    renews_position: bool = False
    """Whether a refresh ends the access token that was issued before it."""
    disabled_at: int | None = None
    is_demo: bool = False


class Client(Struct, frozen=True, kw_only=True):
    """An application that asks for tokens (RFC 6749 section 2)."""

    id: int
    client_id: str
    realm: Realm
    epoch: int = 0
    """Raised whenever its standing changes; a write that began before then does not count."""
    name: str = ""
    auth_method: AuthMethod = AuthMethod.BASIC
    secrets: tuple[ClientSecret, ...] = ()
    grant_types: tuple[str, ...] = (GrantType.CLIENT_CREDENTIALS,)
    scope: tuple[str, ...] = ()
    """Every scope it may ask for."""
    default_scope: tuple[str, ...] = ()
    """What it gets when it asks for none; empty means all of `scope`."""
    resources: tuple[str, ...] = ()
    """Resource indicators it may ask for besides its realm's own audience (RFC 8707)."""
    authorities: tuple[str, ...] = ()
    """Roles that its own tokens (client_credentials) carry."""
    redirect_uris: tuple[str, ...] = ()
    access_token_in: int | None = None
    """Life of its access tokens where it differs from its realm's."""
    refresh_token_is_reusable: bool = False
    """Confidential clients only: refreshing answers with the same refresh token."""
    introspects_realms: tuple[str, ...] = ()
    """Names of other realms whose tokens it may introspect."""
    disabled_at: int | None = None
    is_demo: bool = False

    @property
    def is_public(self) -> bool:
        """Whether it cannot keep a secret (RFC 6749 section 2.1)."""
        return self.auth_method is AuthMethod.NONE


class User(Struct, frozen=True, kw_only=True):
    """A person. `sub` is random and can never equal a client_id; `id` is the integer that tokens carry as `uid`."""

    id: int
    sub: str
    username: str
    password_hash: str | None = None
    epoch: int = 0
    roles: dict[str, tuple[str, ...]] = {}
    """Roles by realm name. A person who is not a key here is no member of that realm."""
    disabled_at: int | None = None
    is_demo: bool = False


class Grant(Struct, frozen=True, kw_only=True):
    """What a person allowed a client, from consent to end: one row, however often it is refreshed."""

    id: int
    client_id: int
    """`Client.id`: the owner."""
    user_id: int
    scope: tuple[str, ...]
    resources: tuple[str, ...] = ()
    position: int
    """The status position that its access tokens name."""
    generation: int = 0
    """The generation of the refresh token that is valid now; each rotation adds one."""
    secret_number: int
    """The server secret under which that refresh token was made."""
    rotated_at: int | None = None
    created_at: int
    expires_at: int
    """After this instant its refresh token is refused."""
    ends_at: int
    """No rotation moves `expires_at` past this instant."""
    ended_at: int | None = None


class NewGrant(Struct, frozen=True, kw_only=True):
    """A grant about to be started, with the epochs that were read before the password was checked."""

    client_id: int
    client_epoch: int
    user_id: int
    user_epoch: int
    scope: tuple[str, ...]
    resources: tuple[str, ...] = ()
    secret_number: int
    expires_at: int
    ends_at: int


class Permission(Struct, frozen=True, kw_only=True):
    """What an access token is about to say: the outcome of every grant's `decide`."""

    client_id: str
    subject: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    authorities: tuple[str, ...]
    lifetime_in: int
    username: str | None = None
    uid: int | None = None


class Block(Struct, frozen=True, kw_only=True):
    """A run of status positions that one client's machine tokens may take until `use_until`."""

    position: int
    size: int
    use_until: int


class Pointer(Struct, frozen=True, kw_only=True):
    """What a refresh token says once its MAC is proven: which grant, which generation."""

    grant_id: int
    generation: int
    secret_number: int
