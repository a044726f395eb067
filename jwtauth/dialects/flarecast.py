"""FLARECAST's workflow manager: flask-oauthlib 0.9.3 with its parameters in the query (SEEDS F1 to F13).

What its clients send stands in FLARECAST's documentation: token requests with everything in the query, tokeninfo as
Google and Amazon had it, and a member `version` in every token answer. The confirmation form, the way to the error page
and the messages are those of flask-oauthlib (`flask_oauthlib/provider/oauth2.py`).
"""

from typing import Final

from msgspec import to_builtins
from msgspec.structs import replace

from jwtauth.dialects import shell, standard
from jwtauth.dialects.dialect import Dialect, PageRoute, Refusal, Sample, SampleUser, Where
from jwtauth.endpoints import authorize, sign_in, token
from jwtauth.endpoints.outcomes import ConsentPage, ErrorPage, Fault, Outcome
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.visit import Visit
from jwtauth.errors import ExpiredToken, InvalidRequest, InvalidToken, OAuthError
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import legacy, redirect_uris
from jwtauth.protocol.records import ApplicationType, AuthMethod, Client, GrantType, Realm, User

NAME: Final = "flarecast"
_KEPT: Final = "flarecast.json"
"""Where the printed commands keep the answer that later ones read."""

VERSION: Final = "1.0.0"
"""What its token handler put beside every token."""

ERRORS_PATH: Final = "/oauth/errors"
"""flask-oauthlib's default of OAUTH2_PROVIDER_ERROR_URI."""

_DECISIONS: Final = {("confirm", "yes"): ("decision", "allow"), ("confirm", "no"): ("decision", "deny")}
_FAULTS: Final = {fault.value: fault for fault in Fault}


async def _tokens(issuer: Issuer, request: Request) -> dict[str, object]:
    """The standard answer with the version."""
    answer = await token.answer(issuer, request)
    return {**to_builtins(answer), "version": VERSION}


def _heard(request: Request) -> Request:
    """A code says by itself what it is sent for: the documentation does not list its grant_type."""
    sent = request.parameters
    if "code" not in sent or "grant_type" in sent:
        return request
    return replace(request, parameters={**sent, "grant_type": GrantType.AUTHORIZATION_CODE.value})


def _refuse_token(error: OAuthError, status: int, request: Request) -> Refusal:
    """flask-oauthlib's words for a token that is not good; one that is missing is refused as it did, by 401."""
    match error:
        case ExpiredToken():
            return _challenge("Bearer token is expired.")
        case InvalidToken():
            return _challenge("Bearer token not found.")
        case InvalidRequest() if not (request.authorization or "access_token" in request.query):
            return _challenge("Bearer token not found.")
        case _:
            return Refusal(status=status, body={"error": error.code, "error_description": str(error)})


def _challenge(message: str) -> Refusal:
    body = {"error": InvalidToken.code, "error_description": message}
    return Refusal(
        status=401, body=body, challenge=f'Bearer error="{InvalidToken.code}", error_description="{message}"'
    )


async def _ask(issuer: Issuer, visit: Visit) -> Outcome:
    """Begin a transaction in which the person is asked, as it always was, unless the client itself says otherwise."""
    client = await issuer.store.directory.client(visit.asked("client_id"))
    has_wish = any(name == "prompt" for name, _ in visit.query)
    if client is not None and client.asks_consent and not has_wish:
        visit = replace(visit, query=(*visit.query, ("prompt", "consent")))
    return await authorize.answer(issuer, visit)


async def _confirm(issuer: Issuer, visit: Visit) -> Outcome:
    """The person's yes or no; what comes without a transaction of ours begins one."""
    if not visit.field("transaction"):
        return await authorize.answer(issuer, visit)
    form = tuple(_DECISIONS.get(pair, pair) for pair in visit.form)
    return await sign_in.consent(issuer, replace(visit, form=form))


async def _errors(issuer: Issuer, visit: Visit) -> Outcome:
    """One of our own texts, chosen by `error`: whatever else stands in the address is shown to nobody."""
    now = issuer.begin()
    realms = issuer.store.directory.realms().values()
    if not any(legacy.dialect_of(realm, now=now) == NAME for realm in realms):
        return Outcome(then=ErrorPage(fault=Fault.NOT_FOUND))
    return Outcome(then=ErrorPage(fault=_FAULTS.get(visit.asked("error"), Fault.BAD_REQUEST)))


REDIRECT_URI: Final = "http://127.0.0.1:8080/oauth2-redirect.html"
"""Where Swagger UI waits for its answer; as it is a native client's, on any port."""

SECRETLESS: Final = (GrantType.AUTHORIZATION_CODE, GrantType.PASSWORD, GrantType.REFRESH_TOKEN)
"""What its public clients did without a secret, although they had one for client_credentials."""

_SWAGGER_UI: Final = Client(
    id=0,
    client_id="1234",
    realm=Realm(id=0, name="", audience=""),
    name="Swagger UI",
    auth_method=AuthMethod.POST,
    grant_types=(*SECRETLESS, GrantType.CLIENT_CREDENTIALS),
    secretless_grants=SECRETLESS,
    scope=("read", "write"),
    default_scope=("read",),
    redirect_uris=(REDIRECT_URI,),
    application_type=ApplicationType.NATIVE,
    requires_pkce=False,
    is_demo=True,
)
_TEST_USER: Final = User(id=42, sub="u.flarecast-42", username="TestUser1", roles={NAME: ()}, is_demo=True)


def _commands(url: str) -> list[tuple[str, str]]:
    """The requests of the documentation; those behind the second one read its answer from flarecast.json."""
    tokens = f"{url}/oauth/token?grant_type="
    asked = {"response_type": "code", "client_id": "1234", "redirect_uri": REDIRECT_URI, "scope": "read"}
    redirect_uri = redirect_uris.with_parameters("", {"redirect_uri": REDIRECT_URI}).removeprefix("?")
    page = redirect_uris.with_parameters(f"{url}/oauth/authorize", asked)
    access_token, refresh_token = shell.member("access_token", _KEPT), shell.member("refresh_token", _KEPT)
    return [
        (
            "Client Credentials",
            _curl(f"'{tokens}client_credentials&scope=read&client_id=1234&client_secret=abcd'"),
        ),
        (
            "Password",
            _curl(f"'{tokens}password&scope=read&client_id=1234&username=TestUser1&password=1234'") + f" | tee {_KEPT}",
        ),
        ("Verify Access Token", _curl(f"'{url}/oauth/tokeninfo?access_token='{access_token}")),
        (
            "Refresh Token",
            _curl(f"'{tokens}refresh_token&scope=read&client_id=1234&refresh_token='{refresh_token}"),
        ),
        (
            "Revoke",
            _curl(
                f"-w 'HTTP %{{http_code}}\\n' -d token={access_token} -d token_type_hint=access_token"
                f" -d client_id=1234 -d client_secret=abcd {url}/oauth/revoke"
            ),
        ),
        (
            "Authorization Code: where a browser is sent that opens this address; nobody is signed in yet",
            _curl(f"-o /dev/null -w '%{{redirect_url}}\\n' '{page}'"),
        ),
        (
            "open this in a browser, sign in as TestUser1 with the password 1234, say yes, and find code=... in the"
            " address bar",
            page,
        ),
        (
            "put the code in place of PASTE-THE-CODE-HERE within a minute",
            _curl(f"'{url}/oauth/token?scope=read&client_id=1234&{redirect_uri}&code='PASTE-THE-CODE-HERE"),
        ),
    ]


def _curl(arguments: str) -> str:
    return f"curl -sS -w '\\n' {arguments}"


DIALECT: Final = Dialect(
    name=NAME,
    summary="flask-oauthlib as the FLARECAST workflow manager speaks it",
    endpoints=(
        replace(standard.TOKEN, methods=("GET", "POST"), parameters=Where.EITHER, hears=_heard, story=_tokens),
        replace(standard.TOKENINFO, refuses=_refuse_token),
        replace(standard.REVOKE, parameters=Where.EITHER),
    ),
    pages=(
        replace(standard.AUTHORIZE, get=_ask, post=_confirm),
        PageRoute(path=ERRORS_PATH, get=_errors),
    ),
    realm={"access_token_in": 86_400},
    client={"auth_method": AuthMethod.POST, "secretless_grants": SECRETLESS, "requires_pkce": False},
    templates={ConsentPage: "flarecast/consent.html"},
    fault_path=ERRORS_PATH,
    sample=Sample(
        clients=((_SWAGGER_UI, "abcd"),),
        users=(SampleUser(user=_TEST_USER, password="1234"),),
        commands=_commands,
    ),
)
