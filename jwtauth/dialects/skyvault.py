"""SkyVault: the OAuth 2 module of Alfresco Process Services (SEEDS S1 to S11).

Its documentation sends every parameter in the query, by POST, and authenticates by HTTP Basic a client, SkyVaultapp,
that is not the one whose code it redeems. `/secure` is the resource with which it tries its tokens out.
"""

from typing import Final

from msgspec.structs import replace

from jwtauth.dialects import shell, standard
from jwtauth.dialects.dialect import Caller, Dialect, Endpoint, PageRoute, Sample, SampleUser, Text, Where
from jwtauth.endpoints import authorize, token
from jwtauth.endpoints.outcomes import Outcome
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.endpoints.visit import Visit, by_get
from jwtauth.errors import InvalidToken, SwitchedOff
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import bearer, claims, client_auth, legacy, parameters, permissions, redirect_uris
from jwtauth.protocol.records import Client, GrantType, Realm, User

NAME: Final = "skyvault"
_KEPT: Final = "skyvault.json"
"""Where the printed commands keep the answer that later ones read."""

AUTHORIZE: Final = "/authorize"
SECURE: Final = "/secure"
HELLO: Final = "Secure Hello!"
TOKEN_TYPE: Final = "bearer"

_REDEEMED: Final = (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN)
"""What one client redeems for another."""
_FRAGMENT: Final = ("access_token", "state", "token_type", "expires_in")
"""The order in which its documentation prints an implicit answer."""


async def _tokens(issuer: Issuer, request: Request) -> TokenAnswer:
    """The standard answer, whose token_type is in lower case."""
    answer = await token.answer(issuer, await _without_partner(issuer, request))
    return replace(answer, token_type=TOKEN_TYPE)


async def _without_partner(issuer: Issuer, request: Request) -> Request:
    """The request without a client_id that says only for whom the authenticating client redeems.

    It grants nothing: who may redeem a code is decided by the code's own client, whatever is said here.
    """
    sent = request.parameters
    if parameters.one(sent, "grant_type") not in _REDEEMED:
        return request
    owner = await issuer.store.directory.client(parameters.one(sent, "client_id") or "")
    caller = await issuer.store.directory.client(client_auth.named(request.authorization, {}) or "")
    if owner is None or caller is None or not permissions.acts_for(caller, owner):
        return request
    return replace(request, parameters={name: value for name, value in sent.items() if name != "client_id"})


async def _secure(issuer: Issuer, request: Request) -> Text:
    """A greeting for whoever holds a live token of a realm that speaks this dialect.

    Raises:
        MissingToken, InvalidTokenRequest: there is no token, or not in the header.
        InvalidToken: it is not alive, or of a realm that does not speak this dialect.
        SwitchedOff: its realm does not any more.
    """
    now = issuer.begin()
    presented = bearer.presented(request.authorization, request.parameters, request.query)
    found, _ = issuer.access_tokens.open(presented, now=now)
    client = await issuer.store.directory.client(found.client_id)
    if client is None or not client.is_enabled or client.realm.dialect != NAME:
        raise InvalidToken("the token is for another resource")
    claims.check_audience(found, client.realm.audience)
    if legacy.is_over(client.realm, now=now):
        raise SwitchedOff(sunset_at=client.realm.sunset_at)
    return Text(HELLO)


async def _by_get(issuer: Issuer, visit: Visit) -> Outcome:
    """An authorization request by POST goes on by GET: only then do browsers send their cookies, and keep new ones.

    The client that its documentation authenticates here is not asked for: no browser could send that client's secret.
    """
    return by_get(visit, standard.AUTHORIZE.path)


def _carried(sent: dict[str, str], scope: tuple[str, ...]) -> dict[str, str]:
    """An implicit answer as it is printed; what it does not print comes behind."""
    if "access_token" not in sent:
        return sent
    said = {**sent, "token_type": TOKEN_TYPE}
    return {name: said[name] for name in _FRAGMENT if name in said} | said


CALLBACK: Final = "https://client.example.com/cb"
"""Where its examples send a browser back to; that in which they show the answer is http://example.com/cb."""

_REALM: Final = Realm(id=0, name="", audience="")
_SKYVAULT_APP: Final = Client(
    id=0,
    client_id="SkyVaultapp",
    realm=_REALM,
    name="SkyVault",
    grant_types=(
        GrantType.PASSWORD,
        GrantType.AUTHORIZATION_CODE,
        GrantType.REFRESH_TOKEN,
        GrantType.CLIENT_CREDENTIALS,
    ),
    scope=("read", "write"),
    redirect_uris=(CALLBACK,),
    refresh_token_is_reusable=True,
    is_demo=True,
)
_ALFRESCO_APP: Final = Client(
    id=0,
    client_id="alfrescoapp",
    realm=_REALM,
    name="Alfresco Process Services",
    grant_types=_REDEEMED,
    scope=("read", "write"),
    redirect_uris=(CALLBACK, "http://example.com/cb"),
    default_redirect_uri=CALLBACK,
    requires_pkce=False,
    allows_implicit=True,
    refresh_token_is_reusable=True,
    redeemed_by=_SKYVAULT_APP.client_id,
    is_demo=True,
)
_ADMIN: Final = User(id=0, sub="u.skyvault-admin", username="admin", roles={NAME: ()}, is_demo=True)


def _commands(url: str) -> list[tuple[str, str]]:
    """The requests of the documentation; those behind the first one read its answer from skyvault.json."""
    asked = {"client_id": _ALFRESCO_APP.client_id, "state": "xyz", "redirect_uri": CALLBACK}
    code = redirect_uris.with_parameters(f"{url}{AUTHORIZE}", {"response_type": "code", **asked})
    implicit = redirect_uris.with_parameters(f"{url}/{AUTHORIZE}", {"response_type": "token", **asked})
    tokens = f"{url}/oauth/token?"
    redirect_uri = redirect_uris.with_parameters("", {"redirect_uri": CALLBACK}).removeprefix("?")
    return [
        (
            "Password Credentials",
            _post(f"'{tokens}username=admin&password=tiger&grant_type=password'") + f" | tee {_KEPT}",
        ),
        (
            "use the token",
            f"curl -sS -w '\\n' -H 'Authorization: Bearer '{shell.member('access_token', _KEPT)} {url}{SECURE}",
        ),
        (
            "Refresh Token",
            _post(f"'{tokens}grant_type=refresh_token&refresh_token='{shell.member('refresh_token', _KEPT)}"),
        ),
        ("check the token", _post(f"'{url}/oauth/check_token?token='{shell.member('access_token', _KEPT)}")),
        ("Client Credentials", _post(f"'{tokens}grant_type=client_credentials'")),
        (
            "Authorization Code: where a browser is sent that makes this request; nobody is signed in yet",
            _post(f"-o /dev/null -w '%{{redirect_url}}\\n' '{code}'"),
        ),
        (
            "open this in a browser, sign in as admin with the password tiger, and find code=... in the address bar",
            code,
        ),
        (
            "put the code in place of PASTE-THE-CODE-HERE within a minute",
            _post(f"'{tokens}grant_type=authorization_code&{redirect_uri}&code='PASTE-THE-CODE-HERE"),
        ),
        ("Implicit: open this in the same browser, and find access_token=... in the address bar", implicit),
        (
            "external_token is refused here: there is no other server to ask. docs/migrating/skyvault.md names the two"
            " commands that make it work for a realm and a client of yours",
            _post(
                f"'{tokens}grant_type=external_token&username=admin&password=tiger&access_token=OF-THE-OTHER-SERVER'"
            ),
        ),
    ]


def _post(arguments: str) -> str:
    return f"curl -sS -w '\\n' -X POST -u SkyVaultapp:secret {arguments}"


DIALECT: Final = Dialect(
    name=NAME,
    summary="the OAuth 2 module of Alfresco Process Services as SkyVault speaks it",
    endpoints=(
        replace(standard.TOKEN, parameters=Where.EITHER, story=_tokens),
        replace(standard.CHECK_TOKEN, parameters=Where.EITHER),
        Endpoint(
            path=SECURE,
            methods=("GET",),
            story=_secure,
            caller=Caller.TOKEN_HOLDER,
            summary="A greeting for whoever holds a live token, to try tokens out with",
        ),
    ),
    pages=(PageRoute(path=AUTHORIZE, get=authorize.answer, post=_by_get, aliases=(f"/{AUTHORIZE}",)),),
    realm={
        "access_token_in": 3_600,
        "access_token_in_by": {GrantType.PASSWORD.value: 1_800, GrantType.EXTERNAL_TOKEN.value: 1_800},
        "allows_http_redirect_uris": True,
    },
    client={"refresh_token_is_reusable": True},
    carries=_carried,
    redirect_status=302,
    sample=Sample(
        clients=((_SKYVAULT_APP, "secret"), (_ALFRESCO_APP, None)),
        users=(SampleUser(user=_ADMIN, password="tiger"),),
        commands=_commands,
    ),
)
