"""The onesait platform: Spring Security OAuth 2.x with endpoints of its own (SEEDS O1 to O8).

Sources: the platform's manual, its public repository (its TokenController, TokenUtil, ExtendedTokenEnhancer,
UserInfoController and integration test), and the wire formats of Spring Security OAuth 2.x.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from msgspec import UNSET, Struct, UnsetType, to_builtins
from msgspec.structs import asdict, replace

from jwtauth.dialects import shell
from jwtauth.dialects.dialect import Caller, Dialect, Endpoint, Field, PageRoute, Refusal, Sample, SampleUser, Where
from jwtauth.endpoints import authenticate, authorize, check_token, revoke, sign_in, token, userinfo
from jwtauth.endpoints.outcomes import ConsentPage, GoOn, Outcome
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.visit import Visit, by_get
from jwtauth.errors import (
    ConfigurationError,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    InvalidToken,
    MissingToken,
    OAuthError,
    SwitchedOff,
    UnauthorizedClient,
    UnsupportedGrantType,
    WrongMethod,
)
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import refusal
from jwtauth.protocol import bearer, claims, client_auth, legacy, parameters
from jwtauth.protocol.check_token import CheckedToken
from jwtauth.protocol.claims import AccessToken
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.profile import Profile
from jwtauth.protocol.records import ApplicationType, Client, GrantType, Pointer, Realm, User
from jwtauth.protocol.userinfo import OPENID

NAME: Final = "onesait"
PREFIX: Final = "/oauth-server"
"""Under which path the platform's gateway had the whole server."""

CONFIRM: Final = f"{PREFIX}/oauth/confirm_access"
PLATFORM: Final = "/openplatform-oauth"
DEFAULT_KEY: Final = "onesaitplatform"
GRANT_TYPES: Final = (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN, GrantType.PASSWORD)
SCOPE: Final = (OPENID, "authorization_code")
ECHOED: Final = ("grant_type", "username", "scope", "clientId", "client_id")
"""Request parameters that an answer repeats; nothing that is or could be a secret."""

_KEY: Final = re.compile(r"[a-zA-Z0-9_]{5,50}", re.ASCII)


def check_key(key: str) -> None:
    """Let a realm's KEY pass that the platform's form would have taken.

    Raises:
        ConfigurationError: it would not; the message does not have the key.
    """
    if not _KEY.fullmatch(key):
        raise ConfigurationError("key: expected 5 to 50 letters, digits and underscores, as on the platform")


# --- What the answers consist of -------------------------------------------------------------------------------------


class Tokens(Struct, frozen=True, kw_only=True, rename={"client_id": "clientId", "grant_type": "grantType"}):
    """Spring's answer with what the platform adds, in the order in which they write it."""

    access_token: str
    token_type: str = "bearer"
    refresh_token: str | UnsetType = UNSET
    expires_in: int
    """Seconds that remain."""
    scope: str | UnsetType = UNSET
    id_token: str | UnsetType = UNSET
    name: str
    principal: str
    parameters: dict[str, str]
    client_id: str
    grant_type: str | UnsetType = UNSET
    authorities: tuple[str, ...]
    """The person's roles in the realm."""
    apps: dict[str, tuple[str, ...]]
    """The person's roles in the realms below it."""
    jti: str


class Checked(CheckedToken, frozen=True, kw_only=True, rename={"own_client_id": "clientId", "grant_type": "grantType"}):
    """Spring's answer about a live token, with what the platform adds to its tokens."""

    name: str
    principal: str
    own_client_id: str
    grant_type: str | UnsetType = UNSET


class PlatformChecked(Struct, frozen=True, kw_only=True):
    """The platform's own answer about a live token: the client that asks stands for token and scope."""

    scope: tuple[str, ...]
    name: str
    user_name: str
    principal: str
    jti: str
    exp: int
    grant_type: str | UnsetType = UNSET
    client_id: str
    aud: tuple[str, ...]
    authorities: tuple[str, ...]


class Info(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the platform says of a token to whoever holds it."""

    token: str
    expiration_timestamp: int
    """Milliseconds since the epoch."""
    expiration_formatted: str
    authorities: tuple[str, ...]
    oauth_info: Tokens


class NoInfo(Struct, frozen=True):
    """What it says of every other token."""

    token: str = "-1"


class Person(Struct, frozen=True, kw_only=True):
    """What the platform tells of a person; what is not known is null."""

    mail: str | None
    username: str
    sub: str
    """The username, by which the platform's applications know people."""
    name: str
    role: str | None
    """The first of the roles in the realm: the platform had one."""
    userid: str
    extra_fields: None = None


class Revoked(Struct, frozen=True):
    """The token does not live any more."""

    access_token: str
    state: str = "invalid_token"


class Denied(Struct, frozen=True):
    """A refusal that the platform sent with the status of success."""

    error: str
    error_description: str


class Held(Struct, frozen=True, kw_only=True):
    """An access token with everything that is told about it."""

    text: str
    claims: AccessToken
    owner: Client
    user: User | None
    apps: dict[str, tuple[str, ...]]

    @property
    def name(self) -> str:
        """Whose token it is: a person's username, a machine's client_id."""
        return self.claims.username if isinstance(self.claims.username, str) else self.claims.client_id


async def _held(issuer: Issuer, text: str, *, now: int) -> Held:
    """A live token of a realm that speaks the dialect.

    Raises:
        InvalidToken: not alive, or of a realm that never had these paths.
        SwitchedOff: its realm had them.
    """
    claims, _ = issuer.access_tokens.open(text, now=now)
    held = await _described(issuer, text, claims)
    if not held.owner.is_enabled or held.owner.realm.dialect != NAME:
        raise InvalidToken("the token is of a realm that has no such path")
    if legacy.is_over(held.owner.realm, now=now):
        raise SwitchedOff(sunset_at=held.owner.realm.sunset_at)
    return held


async def _described(issuer: Issuer, text: str, claims: AccessToken) -> Held:
    directory = issuer.store.directory
    owner = await directory.client(claims.client_id)
    if owner is None:
        raise InvalidToken("the token is of a client that is gone")
    user = await directory.user(claims.uid) if isinstance(claims.uid, int) else None
    return Held(text=text, claims=claims, owner=owner, user=user, apps=_apps(directory.realms(), owner.realm, user))


def _apps(realms: Mapping[str, Realm], realm: Realm, user: User | None) -> dict[str, tuple[str, ...]]:
    """The person's roles in the realms right below this one."""
    below = [name for name, child in sorted(realms.items()) if child.parent == realm.name]
    return {name: user.roles[name] for name in below if user is not None and name in user.roles}


def _tokens(
    held: Held,
    sent: dict[str, str],
    *,
    refresh_token: str | UnsetType = UNSET,
    id_token: str | UnsetType = UNSET,
    now: int,
) -> Tokens:
    claims = held.claims
    return Tokens(
        access_token=held.text,
        refresh_token=refresh_token,
        expires_in=max(0, claims.exp - now),
        scope=claims.scope or UNSET,
        id_token=id_token,
        name=held.name,
        principal=held.name,
        parameters=sent,
        client_id=claims.client_id,
        grant_type=claims.grant_type,
        authorities=claims.authorities,
        apps=held.apps,
        jti=claims.jti,
    )


def _info(held: Held, *, refresh_token: str | UnsetType = UNSET, now: int) -> Info:
    """Of the request that a token was issued for nobody knows more than the token says itself."""
    claims = held.claims
    said = {"grant_type": claims.grant_type, "username": claims.username, "scope": claims.scope or UNSET}
    sent = {name: value for name, value in said.items() if isinstance(value, str)} | {"client_id": claims.client_id}
    return Info(
        token=held.text,
        expiration_timestamp=claims.exp * 1000,
        expiration_formatted=datetime.fromtimestamp(claims.exp, UTC).strftime("%Y-%m-%dT%H:%M:%S.000%z"),
        authorities=claims.authorities,
        oauth_info=_tokens(held, sent, refresh_token=refresh_token, now=now),
    )


def _person(user: User, claims: AccessToken) -> Person:
    profile = user.profile
    return Person(
        mail=profile.email if isinstance(profile.email, str) else None,
        username=user.username,
        sub=user.username,
        name=profile.name if isinstance(profile.name, str) else user.username,
        role=next(iter(claims.authorities), None),
        userid=f"({user.username})",
    )


# --- Stories ---------------------------------------------------------------------------------------------------------


async def issue(issuer: Issuer, request: Request) -> Tokens:
    """The standard's tokens, for a request that may call its client `clientId`."""
    answer = await token.answer(issuer, request)
    now = issuer.now()
    claims, _ = issuer.access_tokens.read(answer.access_token, now=now)
    held = await _described(issuer, answer.access_token, claims)
    sent = {name: value for name, value in request.parameters.items() if name in ECHOED and isinstance(value, str)}
    return _tokens(held, sent, refresh_token=answer.refresh_token, id_token=answer.id_token, now=claims.iat)


async def check(issuer: Issuer, request: Request) -> Checked:
    """Spring's answer, with the members that the platform's tokens had besides."""
    checked = await check_token.answer(issuer, request)
    name = _name(checked)
    return Checked(
        **asdict(checked),
        name=name,
        principal=name,
        own_client_id=checked.client_id,
        grant_type=_grant_type(issuer, request),
    )


async def platform_check(issuer: Issuer, request: Request) -> PlatformChecked:
    """The platform's own answer: it says the client that asks where others say the token's."""
    checked = await check_token.answer(issuer, request)
    caller = client_auth.named(request.authorization, request.parameters)
    assert caller is not None  # nobody else gets this far
    name = _name(checked)
    return PlatformChecked(
        scope=(caller,),
        name=name,
        user_name=name,
        principal=name,
        jti=checked.jti,
        exp=checked.exp,
        grant_type=_grant_type(issuer, request),
        client_id=caller,
        aud=checked.aud,
        authorities=checked.authorities,
    )


def _name(checked: CheckedToken) -> str:
    return checked.user_name if isinstance(checked.user_name, str) else checked.client_id


def _grant_type(issuer: Issuer, request: Request) -> str | UnsetType:
    claims, _ = issuer.access_tokens.read(_sent_token(request), now=issuer.now())
    return claims.grant_type


async def platform_revoke(issuer: Issuer, request: Request) -> Revoked | Denied:
    """Revoke a token, and say whether there was one to revoke."""
    now = issuer.begin()
    client = await authenticate.client(issuer, request, now=now)
    text = parameters.required(request.parameters, "token", expected="the token to revoke")
    if await revoke.revoke(issuer, text, client, now=now):
        return Revoked(text)
    return Denied("invalid_token", text)


async def token_info(issuer: Issuer, request: Request) -> Info | NoInfo:
    """What a token says, to whoever sends it; a token in the Authorization header has to be alive as well.

    Raises:
        InvalidToken: the one in the header is not.
    """
    now = issuer.begin()
    if bearer.in_header(request.authorization) is not None:
        await _held(issuer, bearer.presented(request.authorization, {}, request.query), now=now)
    try:
        held = await _held(issuer, _sent_token(request), now=now)
    except InvalidToken:
        return NoInfo()
    return _info(held, now=now)


async def renew(issuer: Issuer, request: Request) -> Info | NoInfo:
    """A new token for an old one of the client that proves itself: whoever stole the old one gets nothing for it.

    It is a refresh of the token's grant, by the refresh token that is valid now and that nobody has to send. Of two at
    the same moment the second uses one that was used, as with any refresh: then the grant ends.
    """
    try:
        return await _renewed(issuer, request)
    except InvalidClient as error:
        issuer.tell(refusal("request.refused", error, at=issuer.now(), endpoint="/renewToken"))
        return NoInfo()
    except (InvalidGrant, InvalidScope, InvalidTarget, InvalidToken, UnauthorizedClient):
        return NoInfo()


async def _renewed(issuer: Issuer, request: Request) -> Info:
    now = issuer.begin()
    caller = await authenticate.client(issuer, replace(request, parameters={}), now=now)
    held = await _held(issuer, _sent_token(request), now=now)
    if held.owner.id != caller.id:
        raise InvalidToken("the token is another client's")
    _, position = issuer.access_tokens.read(held.text, now=now)
    grant = await issuer.store.grants.of_position(position)
    if grant is None or grant.client_id != caller.id:
        raise InvalidToken("the token has no grant")
    number = issuer.sealer.current_number  # the grant's own may have been withdrawn, and nobody keeps this token
    pointer = Pointer(grant_id=grant.id, generation=grant.generation, secret_number=number)
    refresh: Parameters = {
        "grant_type": GrantType.REFRESH_TOKEN.value,
        "refresh_token": issuer.sealer.refresh_token(pointer),
        "scope": held.claims.scope,
        "resource": tuple(audience for audience in held.claims.audiences if audience in grant.resources),
    }
    answer = await token.answer(issuer, replace(request, parameters=refresh))
    now = issuer.now()
    return _info(await _held(issuer, answer.access_token, now=now), refresh_token=answer.refresh_token, now=now)


async def who(issuer: Issuer, request: Request) -> dict[str, object]:
    """What a token says, and of its person what the scope `openid` allows to tell.

    Raises:
        InvalidToken: there is none, it is not alive, or it is for another resource.
    """
    now = issuer.begin()
    held = await _held(issuer, bearer.presented(request.authorization, request.parameters, request.query), now=now)
    claims.check_audience(held.claims, held.owner.realm.audience)
    said: dict[str, object] = to_builtins(_info(held, now=now).oauth_info)
    if held.user is None or OPENID not in held.claims.scope.split():
        return said
    return {**to_builtins(_person(held.user, held.claims)), **said}


async def user_info(issuer: Issuer, request: Request) -> Person:
    """Who signed in, under the platform's names; who may know is decided by the standard."""
    await userinfo.answer(issuer, request)
    now = issuer.now()
    held = await _held(issuer, bearer.presented(request.authorization, request.parameters, request.query), now=now)
    assert held.user is not None  # the standard has looked
    return _person(held.user, held.claims)


def _heard(request: Request) -> Request:
    """The request with `client_id` under its own name.

    Raises:
        InvalidRequest: it names two clients.
    """
    sent = request.parameters
    client_id = sent.get("clientId")
    if client_id is None:
        return request
    if sent.get("client_id", client_id) != client_id:
        raise InvalidRequest("clientId: differs from client_id")
    return replace(request, parameters={**sent, "client_id": client_id})


def _sent_token(request: Request) -> str:
    return parameters.one(request.parameters, "token") or ""


# --- Refusals --------------------------------------------------------------------------------------------------------


MISMATCH: Final = "Given client ID does not match authenticated client"
NOBODY: Final = "Full authentication is required to access this resource"

Said = tuple[int, str, str]
"""Status, error and description."""


def refuse(error: OAuthError, status: int, request: Request) -> Refusal:
    """As Spring says it."""
    return _refusal(*_spring(error, status, request))


def refuse_grant(error: OAuthError, status: int, request: Request) -> Refusal:
    """As Spring's token endpoint says it."""
    return _refusal(*(_of_grant(error, status, request) or _spring(error, status, request)))


def refuse_dead_token(error: OAuthError, status: int, request: Request) -> Refusal:
    """As Spring's check_token says it: a token that is not alive is a bad request."""
    return refuse(error, 400 if isinstance(error, InvalidToken) else status, request)


def refuse_with_success(error: OAuthError, status: int, request: Request) -> Refusal:
    """As the platform's own endpoints say it: a wrong client and a dead token have the status of success, and the token
    that was sent stands in the answer. Who does not even say who it is gets 401."""
    text = parameters.one({**request.query, **request.parameters}, "token") or ""
    match error:
        case InvalidClient() if request.authorization:
            return _refusal(200, "access_denied", text)
        case InvalidToken():
            return _refusal(200, error.code, f"Invalid access token: {text}")
        case _:
            return refuse(error, status, request)


def _refusal(status: int, code: str, text: str) -> Refusal:
    """A 401 says the same in its challenge."""
    challenge = f'Bearer error="{code}", error_description="{text}"' if status == 401 else None
    return Refusal(status=status, body={"error": code, "error_description": text}, challenge=challenge)


def _spring(error: OAuthError, status: int, request: Request) -> Said:
    match error:
        case WrongMethod():
            return status, "method_not_allowed", "Request method not supported"
        case InvalidClient() if _names_client(request):
            return status, error.code, "Bad client credentials"
        case InvalidClient():
            return status, "unauthorized", NOBODY
        case MissingToken():
            return status, "unauthorized", NOBODY
        case _:
            return status, error.code, str(error)


def _of_grant(error: OAuthError, status: int, request: Request) -> Said | None:
    """What is particular to a grant type. Which of several things was wrong with a password or a refresh token is not
    told apart (SECURITY B-08): it is always the description that fits most of them."""
    grant_type = parameters.one(request.parameters, "grant_type")
    match error:
        case SwitchedOff() | WrongMethod():
            return None
        case InvalidRequest() if _names_another(request):
            return 401, InvalidClient.code, MISMATCH
        case InvalidRequest() if grant_type is None and _names_client(request) and not request.query:
            return status, error.code, "Missing grant type"
        case UnsupportedGrantType() if grant_type == "implicit":
            return status, InvalidGrant.code, "Implicit grant type not supported from token endpoint"
        case UnsupportedGrantType():
            return status, error.code, str(UnsupportedGrantType(f"Unsupported grant type: {grant_type}"))
        case _ if grant_type == GrantType.PASSWORD:
            return _of_password(error, status, request)
        case _ if grant_type == GrantType.REFRESH_TOKEN:
            return _of_refresh(error, status, request)
        case _:
            return None


def _of_password(error: OAuthError, status: int, request: Request) -> Said | None:
    """An empty password counts as absent, and is as wrong as any other."""
    is_missing = isinstance(error, InvalidRequest) and "password" not in request.parameters
    if is_missing or isinstance(error, InvalidGrant):
        return status, InvalidGrant.code, "Password incorrect"
    return None


def _of_refresh(error: OAuthError, status: int, request: Request) -> Said | None:
    match error:
        case InvalidGrant():
            return status, error.code, f"Invalid refresh token: {parameters.one(request.parameters, 'refresh_token')}"
        case InvalidScope():
            asked = str(InvalidScope(parameters.one(request.parameters, "scope") or "")).split()
            description = f"Unable to narrow the scope of the client authentication to [{', '.join(asked)}]"
            return status, error.code, description
        case _:
            return None


def _names_client(request: Request) -> bool:
    """Whether a request tries to say who its client is."""
    return bool(request.authorization) or "client_secret" in request.parameters


def _names_another(request: Request) -> bool:
    """Whether the form names another client than the Authorization header does."""
    client_id = client_auth.named(request.authorization, {})
    return client_id is not None and any(
        request.parameters.get(name, client_id) != client_id for name in ("client_id", "clientId")
    )


# --- Pages -----------------------------------------------------------------------------------------------------------


async def begin(issuer: Issuer, visit: Visit) -> Outcome:
    """An authorization request; or the answer to the approval page, which Spring's forms send to the same path."""
    if visit.field("user_oauth_approval"):
        return await sign_in.consent(issuer, _decided(visit))
    if visit.form:
        return by_get(visit, f"{PREFIX}/oauth/authorize")
    return await authorize.answer(issuer, visit)


async def show(issuer: Issuer, visit: Visit) -> Outcome:
    """Where a transaction goes on; the approval page has a path of its own."""
    outcome = await sign_in.show(issuer, visit)
    if not isinstance(outcome.then, ConsentPage):
        return outcome
    query = urlencode({"transaction": visit.asked("transaction")})
    return replace(outcome, then=GoOn(path=f"{CONFIRM}?{query}"))


async def to_login(issuer: Issuer, visit: Visit) -> Outcome:
    """Bookmarks of the old sign-in page."""
    return by_get(visit, "/login")


async def to_logout(issuer: Issuer, visit: Visit) -> Outcome:
    """The old sign-out link."""
    return by_get(visit, "/oauth/logout")


def _decided(visit: Visit) -> Visit:
    """The form with the decision under the name that ours has; whatever is not `true` is a no, as with Spring."""
    decision = "allow" if visit.field("user_oauth_approval") == "true" else "deny"
    rest = tuple(pair for pair in visit.form if pair[0] != "decision")
    return replace(visit, form=(*rest, ("decision", decision)))


PAGES: Final = (
    PageRoute(path=f"{PREFIX}/oauth/authorize", get=begin, post=begin),
    PageRoute(path=CONFIRM, get=sign_in.show),
    PageRoute(path="/login", get=show, post=sign_in.sign_in),
    PageRoute(path=f"{PREFIX}/login", get=to_login),
    PageRoute(path=f"{PREFIX}/logout", get=to_logout),
)


# --- Routes ----------------------------------------------------------------------------------------------------------


_TOKEN_FIELD: Final = Field("token", "the token, in the query or in the form", is_required=True)

TOKEN: Final = Endpoint(
    path=f"{PREFIX}/oauth/token",
    hears=_heard,
    story=issue,
    gives=(Tokens,),
    refuses=refuse_grant,
    summary="Obtain tokens, in the form of the onesait platform",
    fields=(
        Field("grant_type", "password, refresh_token or authorization_code", is_required=True),
        Field("username", "grant_type password only"),
        Field("password", "grant_type password only"),
        Field("clientId", "the same as in HTTP Basic; client_id means the same"),
        Field("scope", "scope values separated by spaces"),
        Field("refresh_token", "grant_type refresh_token only"),
        Field("code", "grant_type authorization_code only"),
        Field("redirect_uri", "grant_type authorization_code only: as in the authorization request"),
    ),
)

CHECK_TOKEN: Final = Endpoint(
    path=f"{PREFIX}/oauth/check_token",
    methods=("GET", "POST"),
    story=check,
    gives=(Checked,),
    parameters=Where.EITHER,
    refuses=refuse_dead_token,
    summary="Ask about a token, in the form of Spring Security OAuth 2.x",
    fields=(_TOKEN_FIELD,),
)


def _platform_endpoints(prefix: str) -> tuple[Endpoint, ...]:
    """The platform's own endpoints below a prefix: with its gateway's, and without."""
    check_path, info_path = f"{prefix}{PLATFORM}/check_token", f"{prefix}{PLATFORM}/tokenInfo"
    return (
        Endpoint(
            path=check_path,
            story=platform_check,
            gives=(PlatformChecked,),
            parameters=Where.EITHER,
            refuses=refuse_with_success,
            summary="Ask about a token, in the form of the onesait platform",
            fields=(_TOKEN_FIELD,),
        ),
        Endpoint(
            path=f"{prefix}{PLATFORM}/revoke_token",
            story=platform_revoke,
            gives=(Revoked, Denied),
            parameters=Where.EITHER,
            refuses=refuse_with_success,
            summary="Revoke a token, in the form of the onesait platform",
            fields=(_TOKEN_FIELD,),
        ),
        Endpoint(
            path=info_path,
            story=token_info,
            gives=(Info, NoInfo),
            parameters=Where.RAW,
            caller=Caller.TOKEN_HOLDER,
            refuses=refuse,
            summary="What a token says, for its holder; the body is the token",
        ),
        _renewal(f"{prefix}{PLATFORM}/renewToken"),
    )


def _renewal(path: str) -> Endpoint:
    return Endpoint(
        path=path,
        story=renew,
        gives=(Info, NoInfo),
        parameters=Where.RAW,
        refuses=refuse,
        summary="A new token for an old one of the same client; the body is the old one",
    )


def _people_endpoints(prefix: str) -> tuple[Endpoint, ...]:
    user_path, info_path = f"{prefix}/user", f"{prefix}/oidc/userinfo"
    return (
        Endpoint(
            path=user_path,
            methods=("GET", "POST"),
            story=who,
            caller=Caller.TOKEN_HOLDER,
            refuses=refuse,
            summary="Who the token's person is, with what the token says",
        ),
        Endpoint(
            path=info_path,
            methods=("GET", "POST"),
            story=user_info,
            gives=(Person,),
            caller=Caller.TOKEN_HOLDER,
            refuses=refuse,
            summary="Who signed in, under the names of the onesait platform",
        ),
    )


ENDPOINTS: Final = (
    TOKEN,
    CHECK_TOKEN,
    *_platform_endpoints(PREFIX),
    *_platform_endpoints(""),
    _renewal("/renewToken"),
    *_people_endpoints(PREFIX),
    *_people_endpoints(""),
)


# --- Sample ----------------------------------------------------------------------------------------------------------


CLIENT_ID: Final = "onesait-demo"
USERNAME: Final = "demo"
PASSWORD: Final = "demo1234"
ROLES: Final = ("ROLE_USER", "ROLE_ADMIN")


def commands(url: str) -> list[tuple[str, str]]:
    """The requests of the platform's manual, as one-line commands for any POSIX shell, zsh or fish."""
    form = "-H 'Content-Type: application/x-www-form-urlencoded'"
    curl = f"curl -sS -w '\\n' -u {CLIENT_ID}:{DEFAULT_KEY} {form}"
    server, platform = f"{url}{PREFIX}", f"{url}{PREFIX}{PLATFORM}"
    return [
        (
            "get tokens for a person",
            f"{curl} -d grant_type=password -d username={USERNAME} -d password={PASSWORD} -d clientId={CLIENT_ID}"
            f" -d scope=openid {server}/oauth/token | tee demo.json",
        ),
        ("check the token", f"{curl} -d token={shell.member('access_token')} {server}/oauth/check_token"),
        (
            "the same in the platform's own form",
            f"{curl} -d token={shell.member('access_token')} {platform}/check_token",
        ),
        ("read what it says", f"curl -sS -w '\\n' -d {shell.member('access_token')} {platform}/tokenInfo"),
        (
            "read who signed in",
            f"curl -sS -w '\\n' -H 'Authorization: Bearer '{shell.member('access_token')} {server}/oidc/userinfo",
        ),
        (
            "refresh: the old tokens are over",
            f"{curl} -d grant_type=refresh_token -d refresh_token={shell.member('refresh_token')} {server}/oauth/token"
            " | tee refreshed.json",
        ),
        (
            "revoke the new token",
            f"{curl} -X POST '{platform}/revoke_token?token='{shell.member('access_token', 'refreshed.json')}",
        ),
        (
            "check it again",
            f"{curl} -d token={shell.member('access_token', 'refreshed.json')} {platform}/check_token",
        ),
    ]


SAMPLE: Final = Sample(
    roles=ROLES,
    clients=(
        (
            Client(
                id=0,
                client_id=CLIENT_ID,
                realm=Realm(id=0, name="", audience=""),
                grant_types=GRANT_TYPES,
                scope=SCOPE,
                redirect_uris=("http://127.0.0.1/callback",),
                application_type=ApplicationType.NATIVE,
                requires_pkce=False,
                is_demo=True,
            ),
            DEFAULT_KEY,
        ),
    ),
    users=(
        SampleUser(
            user=User(
                id=0,
                sub="u.demo",
                username=USERNAME,
                roles={NAME: ROLES},
                profile=Profile(name="Demo User", email="demo@example.com"),
                is_demo=True,
            ),
            password=PASSWORD,
        ),
    ),
    commands=commands,
)

DIALECT: Final = Dialect(
    name=NAME,
    summary="Spring Security OAuth 2.x as the onesait platform speaks it",
    endpoints=ENDPOINTS,
    pages=PAGES,
    realm={"access_token_in": 43_200, "retry_in": 0, "renews_position": True, "names_grant_type": True},
    client={"grant_types": GRANT_TYPES, "scope": SCOPE, "requires_pkce": False},
    default_key=DEFAULT_KEY,
    check_key=check_key,
    templates={ConsentPage: "onesait/confirm_access.html"},
    sample=SAMPLE,
)
