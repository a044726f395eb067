"""The standard: OAuth 2.x and OpenID Connect as they are written, and the endpoints that every realm has."""

from typing import Final

from jwtauth.dialects.dialect import STANDARD_NAME, Caller, Dialect, Endpoint, Field, PageRoute, Refusal, Where
from jwtauth.endpoints import (
    account,
    authorize,
    check_token,
    introspect,
    log_out,
    revoke,
    sign_in,
    token,
    tokeninfo,
    upstream_sign_in,
    userinfo,
)
from jwtauth.endpoints.request import Request
from jwtauth.endpoints.token_answer import TokenAnswer
from jwtauth.errors import InvalidToken, OAuthError
from jwtauth.protocol.check_token import CheckedToken
from jwtauth.protocol.introspection import Active, Inactive
from jwtauth.protocol.profile import Profile
from jwtauth.protocol.tokeninfo import TokenInfo


def refuse_dead_token(error: OAuthError, status: int, request: Request) -> Refusal:
    """As Spring's check_token says it: a token that is not alive is a bad request."""
    body = {"error": error.code, "error_description": str(error)}
    return Refusal(status=400 if isinstance(error, InvalidToken) else status, body=body)


TOKEN: Final = Endpoint(
    path="/oauth/token",
    story=token.answer,
    gives=(TokenAnswer,),
    caller=Caller.CLIENT,
    is_cross_origin=True,
    summary="Obtain tokens (RFC 6749 section 3.2)",
    fields=(
        Field(
            "grant_type",
            "authorization_code, refresh_token, client_credentials or password",
            is_required=True,
        ),
        Field("code", "grant_type authorization_code only"),
        Field("redirect_uri", "grant_type authorization_code only: as in the authorization request"),
        Field("code_verifier", "grant_type authorization_code only (RFC 7636)"),
        Field("scope", "scope values separated by spaces"),
        Field("resource", "the resource server that the token is for (RFC 8707)"),
        Field("username", "grant_type password only"),
        Field("password", "grant_type password only"),
        Field("refresh_token", "grant_type refresh_token only"),
        Field("client_id", "where the client does not authenticate by HTTP Basic"),
        Field("client_secret", "where the client does not authenticate by HTTP Basic"),
    ),
)

INTROSPECT: Final = Endpoint(
    path="/oauth/introspect",
    story=introspect.answer,
    gives=(Active, Inactive),
    summary="Ask about a token (RFC 7662)",
    fields=(Field("token", "the token to ask about", is_required=True), Field("token_type_hint", "not needed")),
)

CHECK_TOKEN: Final = Endpoint(
    path="/oauth/check_token",
    story=check_token.answer,
    gives=(CheckedToken,),
    refuses=refuse_dead_token,
    summary="Ask about a token, in the form of Spring Security OAuth 2.x",
    fields=(Field("token", "the token to check", is_required=True),),
)

TOKENINFO: Final = Endpoint(
    path="/oauth/tokeninfo",
    methods=("GET",),
    story=tokeninfo.answer,
    gives=(TokenInfo,),
    parameters=Where.QUERY,
    caller=Caller.TOKEN_HOLDER,
    summary="What a token says, for its holder",
    fields=(Field("access_token", "the token, where it is not in the Authorization header"),),
)

REVOKE: Final = Endpoint(
    path="/oauth/revoke",
    story=revoke.answer,
    caller=Caller.CLIENT,
    is_cross_origin=True,
    summary="Revoke a token (RFC 7009)",
    fields=(Field("token", "the token to revoke", is_required=True), Field("token_type_hint", "not needed")),
)

USERINFO: Final = Endpoint(
    path="/oauth/userinfo",
    methods=("GET", "POST"),
    story=userinfo.answer,
    gives=(Profile,),
    caller=Caller.TOKEN_HOLDER,
    is_cross_origin=True,
    summary="Claims about the person who signed in (OpenID Connect Core 1.0 section 5.3)",
    fields=(Field("access_token", "by POST only: the token, where it is not in the Authorization header"),),
)

AUTHORIZE: Final = PageRoute(path="/oauth/authorize", get=authorize.answer, post=authorize.answer)
LOGIN: Final = PageRoute(path="/login", get=sign_in.show, post=sign_in.sign_in)
CONSENT: Final = PageRoute(path="/consent", get=sign_in.show, post=sign_in.consent)

DIALECT: Final = Dialect(
    name=STANDARD_NAME,
    summary="OAuth 2.x and OpenID Connect, strict",
    endpoints=(TOKEN, INTROSPECT, CHECK_TOKEN, TOKENINFO, REVOKE, USERINFO),
    pages=(
        AUTHORIZE,
        LOGIN,
        CONSENT,
        PageRoute(path=upstream_sign_in.BEGIN, get=sign_in.show, post=upstream_sign_in.begin),
        PageRoute(path=upstream_sign_in.CALLBACK, get=upstream_sign_in.callback),
        PageRoute(path="/account", get=account.show, post=account.change),
        PageRoute(path="/oauth/logout", get=log_out.answer, post=log_out.answer),
    ),
)
