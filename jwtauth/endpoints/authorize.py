"""The authorization endpoint: an application sends a person here to sign in (RFC 6749 section 3.1, OpenID Connect)."""

from jwtauth.endpoints import answers, dispatch
from jwtauth.endpoints.outcomes import ErrorPage, Fault, GoOn, Outcome
from jwtauth.endpoints.visit import Visit, begun, by_get, is_too_long, login_path
from jwtauth.errors import InvalidRequest, OAuthError, Unanswerable
from jwtauth.issuer.issuer import Issuer
from jwtauth.protocol import authorization, parameters


async def answer(issuer: Issuer, visit: Visit) -> Outcome:
    """Begin a transaction, or answer at once where nothing has to be asked.

    What is wrong is said on a page, or to the client once its redirect URI is proven.

    Raises:
        Overloaded: nothing was written; the same visit may be made again.
    """
    if visit.form:
        return by_get(visit, answers.ENDPOINT)
    if is_too_long(visit):
        answers.tell(issuer, Unanswerable("the request is too long"), None)
        return Outcome(then=ErrorPage(fault=Fault.TOO_LARGE))
    now = issuer.begin()
    try:
        sent, repeated = parameters.read_each(visit.query)
    except InvalidRequest as problem:
        answers.tell(issuer, Unanswerable("the request cannot be read"), None)
        return Outcome(then=ErrorPage(fault=Fault.BAD_REQUEST, details=str(problem)))
    client_id = parameters.one(sent, "client_id")
    client = await issuer.store.directory.client(client_id) if client_id else None
    try:
        to = authorization.addressee(sent, client, repeated=repeated)
    except Unanswerable as problem:
        return answers.unanswerable(issuer, problem, client, authorization.ui_locales(sent))
    assert client is not None  # a missing client was unanswerable
    hint = issuer.id_token_hint(parameters.one(sent, "id_token_hint"), now=now)
    try:
        request = authorization.decide(
            sent, client, to, repeated=repeated, hint_subject=hint.sub if hint is not None else None, now=now
        )
    except OAuthError as error:
        return answers.refused(issuer, error, client, to, authorization.ui_locales(sent))
    transaction = await begun(issuer, visit, request, now=now)
    step = await dispatch.decide(issuer, visit, transaction, request, now=now)
    return step if isinstance(step, Outcome) else Outcome(then=GoOn(path=login_path(issuer, transaction, now=now)))
