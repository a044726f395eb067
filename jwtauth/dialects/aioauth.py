"""aioauth: its FastAPI example, with its pages (SEEDS A1 to A10; github.com/aliev/aioauth, examples).

The library has no paths of its own; those of the example are served, and introspection and revocation, which the
example leaves out, under the paths of the standard.
"""

from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from jwtauth.dialects import shell, standard
from jwtauth.dialects.dialect import Dialect, Endpoint, PageRoute, Refusal, Sample, SampleUser
from jwtauth.endpoints import account, authorize, introspect, revoke, sign_in, token
from jwtauth.endpoints.outcomes import ConsentPage, ErrorPage, Fault, FinishedPage, GoOn, Outcome, Page, SignInPage
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.visit import Visit, begun, login_path, standing, unseal
from jwtauth.errors import InvalidClient, OAuthError, WrongMethod
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import client_auth, parameters
from jwtauth.protocol.introspection import Active, Inactive
from jwtauth.protocol.records import Client, GrantType, Realm, User

NAME: Final = "aioauth"
LOGIN: Final = "/login"
APPROVE: Final = "/approve"
NO_SESSION: Final = "Cannot Login without OAuth Session"
REJECTED: Final = "User rejected scopes"
_TOKEN_TYPES: Final = ("access_token", "refresh_token")
_DECISIONS: Final = {"1": "allow", "0": "deny"}


class Tokens(Struct, frozen=True, kw_only=True):
    """What its token endpoint answers with."""

    expires_in: int
    refresh_token_expires_in: int | UnsetType = UNSET
    access_token: str
    refresh_token: str | UnsetType = UNSET
    scope: str = ""
    token_type: str = "Bearer"
    id_token: str | UnsetType = UNSET


class UnsupportedTokenType(OAuthError):
    """The hint names a type of token that there is none of (RFC 7009 section 2.2.1)."""

    code = "unsupported_token_type"


async def tokenize(issuer: Issuer, request: Request) -> Tokens:
    """The standard's tokens, and how long the refresh token lives."""
    answer = await token.answer(issuer, request)
    return Tokens(
        expires_in=answer.expires_in,
        refresh_token_expires_in=await _refresh_token_in(issuer, request) if answer.refresh_token else UNSET,
        access_token=answer.access_token,
        refresh_token=answer.refresh_token,
        scope=answer.scope or "",
        token_type=answer.token_type,
        id_token=answer.id_token,
    )


async def _refresh_token_in(issuer: Issuer, request: Request) -> int:
    client_id = client_auth.named(request.authorization, request.parameters)
    client = await issuer.store.directory.client(client_id or "")
    assert client is not None  # it has just been given tokens
    return client.realm.refresh_token_in


async def look_up(issuer: Issuer, request: Request) -> dict[str, Any]:
    """The standard's answer about a token, and for how long the token lives on."""
    match await introspect.answer(issuer, request):
        case Active(exp=exp) as active:
            known: dict[str, Any] = msgspec.to_builtins(active)
            return {**known, "expires_in": max(0, exp - issuer.now())}
        case Inactive() as inactive:
            return {"active": inactive.active}


async def give_back(issuer: Issuer, request: Request) -> None:
    """The standard's revocation; a hint that is wrong changes nothing, one that means nothing is refused.

    Raises:
        UnsupportedTokenType: there is no such type of token.
    """
    hint = parameters.one(request.parameters, "token_type_hint")
    if hint is not None and hint not in _TOKEN_TYPES:
        raise UnsupportedTokenType(f"token_type_hint: expected {' or '.join(_TOKEN_TYPES)}")
    await revoke.answer(issuer, request)


def refuse(error: OAuthError, status: int, request: Request) -> Refusal:
    """With `description`, always an `error_uri`, and a challenge wherever a client did not prove who it is."""
    code, description, challenge = error.code, str(error), None
    if isinstance(error, WrongMethod):
        code, description = "method_is_not_allowed", "HTTP method is not allowed."
    if isinstance(error, InvalidClient):
        challenge = f'Basic error={code}, error_description="{description}", realm="jwtauth", charset="UTF-8"'
    body = {"error": code, "description": description, "error_uri": ""}
    return Refusal(status=status, body=body, challenge=challenge)


def carried(sent: dict[str, str], scope: tuple[str, ...]) -> dict[str, str]:
    """State, code and scope in this order, and what else there is behind them."""
    if sent.get("error") == "access_denied":
        return {**sent, "error_description": REJECTED}
    if "error" in sent:
        return sent
    told = {**sent, "scope": " ".join(scope)} if scope else sent
    return {**{name: told[name] for name in ("state", "code", "scope") if name in told}, **told}


async def begin(issuer: Issuer, visit: Visit) -> Outcome:
    """The authorization endpoint: what was allowed before is asked again, as this system remembers no consent."""
    if not visit.form and all(name != "prompt" for name, _ in visit.query):
        visit = replace(visit, query=(*visit.query, ("prompt", "consent")))
    return await authorize.answer(issuer, visit)


async def show_login(issuer: Issuer, visit: Visit) -> Outcome:
    """The login form of a transaction; without one there is nothing to log in for."""
    sealed = visit.asked("transaction")
    if not sealed:
        return Outcome(then=ErrorPage(fault=Fault.BAD_REQUEST, details=NO_SESSION))
    return await _placed(issuer, visit, await sign_in.show(issuer, visit), sealed, at=LOGIN)


async def log_in(issuer: Issuer, visit: Visit) -> Outcome:
    """The login form was sent: the same page where it was wrong, else on to the question."""
    outcome = await sign_in.sign_in(issuer, visit)
    sealed = _transaction_of(outcome)
    transaction = unseal(issuer, sealed)
    if transaction is None or visit.field("switch"):
        return outcome
    if transaction.problem:
        return await show_login(issuer, replace(visit, query=(("transaction", sealed),), form=()))
    return replace(outcome, then=GoOn(path=_path(APPROVE, sealed)))


async def show_question(issuer: Issuer, visit: Visit) -> Outcome:
    """The question of a transaction; without one, a greeting."""
    sealed = visit.asked("transaction")
    if sealed:
        return await _placed(issuer, visit, await sign_in.show(issuer, visit), sealed, at=APPROVE)
    username = await _username(issuer, visit)
    if username is None:
        return Outcome(then=GoOn(path=LOGIN))
    return Outcome(then=FinishedPage(client_name=issuer.settings.issuer, username=username))


async def decide(issuer: Issuer, visit: Visit) -> Outcome:
    """The question was answered."""
    form = tuple((name, value) for name, value in visit.form if name not in ("decision", "switch"))
    decision = _DECISIONS.get(visit.field("approval"), "")
    outcome = await sign_in.consent(issuer, replace(visit, form=(*form, ("decision", decision))))
    return await _placed(issuer, visit, outcome, visit.field("transaction"), at=APPROVE)


async def show_account(issuer: Issuer, visit: Visit) -> Outcome:
    """The account page of the standard."""
    return await _let_in(issuer, visit, await account.show(issuer, visit))


async def change_account(issuer: Issuer, visit: Visit) -> Outcome:
    """A form of the account page was sent."""
    return await _let_in(issuer, visit, await account.change(issuer, visit))


async def _placed(issuer: Issuer, visit: Visit, outcome: Outcome, sealed: str, *, at: str) -> Outcome:
    """A page under the path that it has in this system: one for the login, another for the question."""
    then = outcome.then
    match then:
        case SignInPage() if at != LOGIN:
            then = GoOn(path=_path(LOGIN, sealed))
        case ConsentPage() if at != APPROVE:
            then = GoOn(path=_path(APPROVE, sealed))
        case ConsentPage():
            then = replace(then, client_name=_client_id(issuer, sealed))
        case FinishedPage():
            then = replace(then, username=await _username(issuer, visit))
    return replace(outcome, then=then)


async def _let_in(issuer: Issuer, visit: Visit, outcome: Outcome) -> Outcome:
    """The way to the login form with a transaction, without which this system shows none."""
    if outcome.then != GoOn(path=LOGIN):
        return outcome
    now = issuer.begin()
    return Outcome(then=GoOn(path=login_path(issuer, await begun(issuer, visit, None, now=now), now=now)))


async def _username(issuer: Issuer, visit: Visit) -> str | None:
    person = await standing(issuer, visit, now=issuer.begin())
    return None if person is None else person.user.username


def _client_id(issuer: Issuer, sealed: str) -> str:
    transaction = unseal(issuer, sealed)
    assert transaction is not None  # its question is asked
    assert transaction.request is not None
    return transaction.request.client_id


def _transaction_of(outcome: Outcome) -> str:
    """The sealed transaction with which a browser is sent on; empty where it is not."""
    path = outcome.then.path if isinstance(outcome.then, GoOn) else ""
    return parse_qs(urlsplit(path).query).get("transaction", [""])[0]


def _path(page: str, sealed: str) -> str:
    return f"{page}?{urlencode({'transaction': sealed})}"


REDIRECT_URI: Final = "https://www.example.com/redirect"
CLIENT_ID: Final = "test_client"
SECRET: Final = "password"


def commands(url: str) -> list[tuple[str, str]]:
    """The example's own steps: one in a browser, two in a shell."""
    asked = {
        "client_id": CLIENT_ID,
        "redirect_uri": REDIRECT_URI,
        "response_type": "code",
        "state": "somestate",
        "scope": "email",
    }
    tokenize_ = f"curl -sS -w '\\n' -u {CLIENT_ID}:{SECRET} -X POST {url}/oauth/tokenize"
    return [
        (
            "open this in a browser, log in as admin with the password admin, approve, and find code=... in the address"
            " bar",
            f"{url}/oauth/authorize?{urlencode(asked)}",
        ),
        (
            "put the code in place of PASTE-THE-CODE-HERE within a minute",
            f"{tokenize_} -d grant_type=authorization_code -d code=PASTE-THE-CODE-HERE"
            f" -d redirect_uri={REDIRECT_URI} | tee demo.json",
        ),
        (
            "refresh the tokens",
            f"{tokenize_} -d grant_type=refresh_token -d refresh_token={shell.member('refresh_token')}",
        ),
    ]


_TEMPLATES: Final[dict[type[Page], str]] = {
    SignInPage: "aioauth/sign_in.html",
    ConsentPage: "aioauth/consent.html",
    FinishedPage: "aioauth/finished.html",
    ErrorPage: "aioauth/error.html",
}

DIALECT: Final = Dialect(
    name=NAME,
    summary="aioauth as its FastAPI example speaks it",
    endpoints=(
        Endpoint(
            path="/oauth/tokenize",
            story=tokenize,
            gives=(Tokens,),
            caller=standard.TOKEN.caller,
            refuses=refuse,
            summary="Obtain tokens, as aioauth answers",
            fields=standard.TOKEN.fields,
        ),
        replace(standard.INTROSPECT, story=look_up, gives=(), refuses=refuse),
        replace(standard.REVOKE, story=give_back, refuses=refuse),
    ),
    pages=(
        PageRoute(path=standard.AUTHORIZE.path, get=begin, post=begin),
        PageRoute(path=LOGIN, get=show_login, post=log_in),
        PageRoute(path=APPROVE, get=show_question, post=decide),
        PageRoute(path="/account", get=show_account, post=change_account),
    ),
    realm={"access_token_in": 300, "refresh_token_in": 900},
    client={"requires_pkce": False},
    carries=carried,
    redirect_status=302,
    templates=_TEMPLATES,
    sample=Sample(
        clients=(
            (
                Client(
                    id=0,
                    client_id=CLIENT_ID,
                    realm=Realm(id=0, name="", audience=""),
                    grant_types=(GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN),
                    scope=("email",),
                    redirect_uris=(REDIRECT_URI,),
                    requires_pkce=False,
                    is_demo=True,
                ),
                SECRET,
            ),
        ),
        users=(
            SampleUser(
                user=User(id=0, sub="u.admin", username="admin", roles={NAME: ()}, is_demo=True), password="admin"
            ),
        ),
        commands=commands,
    ),
)
