"""The plain records that rules decide about: realms, clients, users, grants (RFC 6749 section 1.1, OpenID Connect).

Instants end in `_at` (seconds since the epoch), durations in `_in` (seconds). A record never changes: a change is
`msgspec.structs.replace` and goes through a port of `jwtauth.store`.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from jwtauth.protocol.profile import Profile
from jwtauth.protocol.upstream import Upstream


class GrantType(StrEnum):
    """What a client may send as grant_type (RFC 6749 section 4)."""

    AUTHORIZATION_CODE = "authorization_code"
    CLIENT_CREDENTIALS = "client_credentials"
    EXTERNAL_TOKEN = "external_token"
    """Not registered anywhere: the token of another server, exchanged for one of ours."""
    PASSWORD = "password"
    REFRESH_TOKEN = "refresh_token"


class AuthMethod(StrEnum):
    """How a client authenticates at machines' endpoints (token_endpoint_auth_method, RFC 7591 section 2)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


class ApplicationType(StrEnum):
    """What kind of application a client is (OpenID Connect Dynamic Client Registration 1.0 section 2)."""

    WEB = "web"
    NATIVE = "native"
    """Runs on people's devices: its loopback redirect URIs may use any port (RFC 8252 section 7.3)."""


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
    access_token_in_by: dict[str, int] = {}
    """The same for a grant type where it differs: `password`, `authorization_code`, `external_token` and so on."""
    refresh_token_in: int = 2_592_000
    """Life of each refresh token: a grant that is not refreshed for so long ends."""
    grant_in: int = 31_536_000
    """Life of a grant however often it is refreshed; the person then signs in anew."""
    retry_in: int = 30
    """For so long after a rotation the old refresh token, sent again, gets the same successor; 0 is strict."""
    renews_position: bool = False
    """Whether a refresh ends the access token that was issued before it."""
    names_grant_type: bool = False
    """Whether its access tokens say by which grant they came to be, in the claim `grant_type`."""
    allows_http_redirect_uris: bool = False
    """Whether redirect URIs of its clients may be http off loopback; only for clients that cannot move yet."""
    parent: str | None = None
    """The realm whose tokens its clients may ask about, seeing their own realm's roles instead."""
    upstream: Upstream | None = None
    """Another authorization server whose tokens and sign-ins it accepts."""
    custom_grants: dict[str, str] = {}
    """Modules of grants of its own, by grant_type (`jwtauth.endpoints.custom_grant`)."""
    sunset_at: int | None = None
    """From this instant on its legacy doors are closed: no dialect, no legacy grant, nothing without a secret, no
    implicit grant, no reusable refresh tokens (`jwtauth.protocol.legacy`)."""
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
    default_redirect_uri: str | None = None
    """Which of several an answer goes to where the request names none; a single one needs no mention."""
    application_type: ApplicationType = ApplicationType.WEB
    requires_pkce: bool = True
    """Confidential clients only may do without, and should then always send a nonce (RFC 9700 section 2.1.1)."""
    asks_consent: bool = True
    """Whether people are asked before it gets tokens; off for your own applications. A client whose identity nothing
    proves is asked for each time all the same (SECURITY B-12)."""
    allows_implicit: bool = False
    """Whether it may ask for response_type token; only old clients that cannot move yet (RFC 9700 section 2.1.2)."""
    id_token_algorithm: str = "RS256"
    """What signs its ID tokens; a key for it must exist."""
    post_logout_redirect_uris: tuple[str, ...] = ()
    """Where a browser may be sent after logout, compared exactly (OpenID Connect RP-Initiated Logout 1.0)."""
    backchannel_logout_uri: str | None = None
    """Where logout tokens are sent (OpenID Connect Back-Channel Logout 1.0)."""
    access_token_in: int | None = None
    """Life of its access tokens where it differs from its realm's."""
    refresh_token_is_reusable: bool = False
    """Confidential clients only: refreshing answers with the same refresh token."""
    secretless_grants: tuple[str, ...] = ()
    """Grants for which it need not send its secret; only for old clients that never did."""
    redeemed_by: str | None = None
    """The client_id of the one client of its realm that redeems its codes and refresh tokens, with its own secret."""
    introspects_realms: tuple[str, ...] = ()
    """Names of other realms whose tokens it may introspect."""
    disabled_at: int | None = None
    is_demo: bool = False

    @property
    def is_enabled(self) -> bool:
        """Whether neither it nor its realm was disabled."""
        return self.disabled_at is None and self.realm.disabled_at is None

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
    profile: Profile = Profile()
    """Standard claims about the person."""
    updated_at: int = 0
    """When the profile last changed."""
    disabled_at: int | None = None
    is_demo: bool = False


class RequestedClaims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Claims asked for by name, beside those that scopes stand for (OpenID Connect Core 1.0 section 5.5)."""

    id_token: tuple[str, ...] = ()
    userinfo: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether any is asked for."""
        return bool(self.id_token or self.userinfo)


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
    grant_type: str | None = None
    """By which grant it began, where that was neither a password nor a sign-in here."""
    session_id: int | None = None
    """The browser session in which it was given; without `offline_access` it ends with it."""
    auth_time: int | None = None
    """When the person proved who it is, where that was in a browser."""
    claims: RequestedClaims = RequestedClaims()
    code_challenge: str | None = None
    """Kept after redemption: who replays a code must know the verifier to end the grant."""
    code_expires_at: int | None = None
    """None where the grant did not begin with a code."""
    redeemed_at: int | None = None
    redirect_uri: str | None = None
    """As sent in the authorization request, if it was; cleared at redemption."""
    nonce: str | None = None
    """Cleared at redemption."""


class Consent(Struct, frozen=True, kw_only=True):
    """What a person has allowed a client, remembered until it is withdrawn."""

    user_id: int
    client_id: int
    """`Client.id`."""
    scope: tuple[str, ...]
    claims: RequestedClaims = RequestedClaims()
    resources: tuple[str, ...] = ()
    granted_at: int


class Exchanged(Struct, frozen=True, kw_only=True):
    """A token of another server that is exchanged for a grant here, which happens once."""

    digest: bytes
    forget_at: int
    """When it cannot be replayed any more, as it is over."""


class NewGrant(Struct, frozen=True, kw_only=True):
    """A grant about to be started, with the epochs that were read before the password or session was checked."""

    client_id: int
    client_epoch: int
    user_id: int
    user_epoch: int
    scope: tuple[str, ...]
    resources: tuple[str, ...] = ()
    secret_number: int
    expires_at: int
    ends_at: int
    grant_type: str | None = None
    session_id: int | None = None
    auth_time: int | None = None
    claims: RequestedClaims = RequestedClaims()
    code_challenge: str | None = None
    code_expires_at: int | None = None
    redirect_uri: str | None = None
    nonce: str | None = None
    transaction: bytes | None = None
    """Digest of the authorization transaction that this grant finishes: a second grant for it is not started."""
    consent: Consent | None = None
    """To be remembered in the same write."""
    exchanged: Exchanged | None = None
    """The foreign token that it is given for: a second grant for it is not started."""


class Session(Struct, frozen=True, kw_only=True):
    """A person signed in with one browser (OpenID Connect Session Management)."""

    id: int
    sid: str
    """Its public name in ID tokens and logout tokens; never what the cookie holds."""
    user_id: int
    auth_time: int
    """When the person last proved who it is."""
    created_at: int
    seen_at: int
    expires_at: int
    """Idle until then it is over."""
    ends_at: int
    """However busy, then it is over."""
    ended_at: int | None = None
    user_agent: str = ""
    upstream_realm: str | None = None
    """The realm whose upstream said who this is, for which alone it counts; None where a password was right here."""

    def is_live(self, now: int) -> bool:
        """Whether it still counts at this instant."""
        return self.ended_at is None and now < min(self.expires_at, self.ends_at)


class NewSession(Struct, frozen=True, kw_only=True):
    """A session about to be started, with the epoch that was read before the password was checked."""

    digest: bytes
    """SHA-256 of what the cookie holds."""
    sid: str
    user_id: int
    user_epoch: int
    auth_time: int
    expires_at: int
    ends_at: int
    user_agent: str = ""
    upstream_realm: str | None = None


class LogoutNotice(Struct, frozen=True, kw_only=True):
    """A client has yet to be told that a session ended (OpenID Connect Back-Channel Logout 1.0)."""

    id: int
    client_id: int
    """`Client.id`."""
    sub: str
    sid: str
    attempts: int
    created_at: int


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
    grant_type: str | None = None
    """By which grant it came to be, where its realm wants that said."""
    userinfo_claims: tuple[str, ...] = ()
    """Claims asked for by name at userinfo, beside those of the scope."""


class Block(Struct, frozen=True, kw_only=True):
    """A run of status positions that one client's machine tokens may take until `use_until`."""

    position: int
    size: int
    use_until: int


class Pointer(Struct, frozen=True, kw_only=True):
    """What a code or refresh token says once its MAC is proven: which grant, which generation."""

    grant_id: int
    generation: int
    secret_number: int
