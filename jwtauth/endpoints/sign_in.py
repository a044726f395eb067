"""The sign-in and consent pages: where a transaction goes on until it is finished."""

from collections.abc import Awaitable, Callable
from functools import partial

from msgspec.structs import replace

from jwtauth.endpoints import answers, browser_session, dispatch, known_device, rehash
from jwtauth.endpoints.dispatch import Asking
from jwtauth.endpoints.outcomes import ConsentPage, ErrorPage, Fault, GoOn, Outcome, Problem, SignInPage
from jwtauth.endpoints.visit import Visit, account_holder, begun, digest, form, login_path, unseal
from jwtauth.errors import AccessDenied, OAuthError, Overloaded, TooManyAttempts, Unanswerable
from jwtauth.issuer.issuer import Issuer
from jwtauth.observe.events import Event, refusal
from jwtauth.protocol import authorization, interaction, password, redirect_uris, upstream_sign_in
from jwtauth.protocol.authorization import AuthorizationRequest
from jwtauth.protocol.interaction import AskConsent, SignIn, Transaction
from jwtauth.protocol.records import Client, Realm, User
from jwtauth.protocol.upstream import Upstream


async def show(issuer: Issuer, visit: Visit) -> Outcome:
    """The page on which a transaction goes on: asked afresh at each visit, reloads and the back button included."""
    now = issuer.begin()
    if not any(name == "transaction" for name, _ in visit.query):
        return await _to_account(issuer, visit, now=now)
    return await within(issuer, visit, unseal(issuer, visit.asked("transaction")), _show, now=now)


async def sign_in(issuer: Issuer, visit: Visit) -> Outcome:
    """The sign-in form was sent: check the password, give the browser a new session, go on."""
    now = issuer.begin()
    if not visit.is_our_form(issuer):
        return Outcome(then=ErrorPage(fault=Fault.OTHER_BROWSER if visit.is_new else Fault.FOREIGN_FORM))
    return await within(issuer, visit, unseal(issuer, visit.field("transaction")), _sign_in, now=now)


async def consent(issuer: Issuer, visit: Visit) -> Outcome:
    """The consent form was sent: say no for the person, or finish the transaction."""
    now = issuer.begin()
    if not visit.is_our_form(issuer):
        return Outcome(then=ErrorPage(fault=Fault.FOREIGN_FORM))
    return await within(issuer, visit, unseal(issuer, visit.field("transaction")), _consent, now=now)


Step = Callable[..., Awaitable[Outcome]]


async def within(issuer: Issuer, visit: Visit, transaction: Transaction | None, step: Step, *, now: int) -> Outcome:
    """Take a step in a transaction, if it is ours, this browser's, and not over (SECURITY B-07, Z-14)."""
    if transaction is None:
        return Outcome(then=ErrorPage(fault=Fault.BAD_REQUEST))
    request = transaction.request
    if transaction.browser != digest(visit.browser):
        return await _begin_anew(issuer, visit, request, Fault.OTHER_BROWSER, now=now)
    if interaction.is_over(transaction, lives_in=issuer.settings.transaction_in, now=now):
        return await _begin_anew(issuer, visit, request, Fault.EXPIRED, now=now)
    return await step(issuer, visit, transaction, now=now)


async def client_of(issuer: Issuer, transaction: Transaction) -> Client | None:
    """The client that began a transaction, if it is one of a client that is still there."""
    return await issuer.store.directory.client(transaction.request.client_id) if transaction.request else None


def realm_of(issuer: Issuer, transaction: Transaction, client: Client | None) -> Realm | None:
    """The realm in which a transaction is: the client's or, on the way to the account page, the default one."""
    if transaction.request is None:
        return issuer.store.directory.realms().get(issuer.settings.default_realm)
    return client.realm if client is not None else None


async def _begin_anew(
    issuer: Issuer, visit: Visit, request: AuthorizationRequest | None, fault: Fault, *, now: int
) -> Outcome:
    """Offer the same request again, for this browser: it is worth what the application's own link is worth."""
    restart = login_path(issuer, await begun(issuer, visit, request, now=now), now=now)
    return Outcome(then=ErrorPage(fault=fault, restart=restart, ui_locales=request.ui_locales if request else ()))


async def _to_account(issuer: Issuer, visit: Visit, transaction: Transaction | None = None, *, now: int) -> Outcome:
    if await account_holder(issuer, visit, now=now) is not None:
        return Outcome(then=GoOn(path="/account"))
    if transaction is None:
        transaction = await begun(issuer, visit, None, now=now)
    return Outcome(then=_sign_in_page(issuer, visit, transaction, None, now=now))


async def _show(issuer: Issuer, visit: Visit, transaction: Transaction, *, now: int) -> Outcome:
    if transaction.request is None:
        return await _to_account(issuer, visit, transaction, now=now)
    step = await dispatch.decide(issuer, visit, transaction, transaction.request, now=now)
    return step if isinstance(step, Outcome) else _asked(issuer, visit, transaction, transaction.request, step, now=now)


async def _consent(issuer: Issuer, visit: Visit, transaction: Transaction, *, now: int) -> Outcome:
    request, decision = transaction.request, visit.field("decision")
    if request is None or not (decision in ("allow", "deny") or visit.field("switch")):
        return Outcome(then=ErrorPage(fault=Fault.BAD_REQUEST))
    if visit.field("switch"):
        return _switch(issuer, visit, transaction, now=now)
    if decision == "deny":
        return await _decline(issuer, request, "the person refused", now=now)
    step = await dispatch.decide(issuer, visit, transaction, request, allowed_by=transaction.asked, now=now)
    return step if isinstance(step, Outcome) else _asked(issuer, visit, transaction, request, step, now=now)


async def _sign_in(issuer: Issuer, visit: Visit, transaction: Transaction, *, now: int) -> Outcome:
    request = transaction.request
    if visit.field("switch"):
        return _switch(issuer, visit, transaction, now=now)
    if request is not None and visit.field("cancel"):
        return await _decline(issuer, request, "the person did not want to sign in", now=now)
    client, typed = await client_of(issuer, transaction), visit.field("username")
    try:
        user = await _proven(issuer, visit, client, now=now)
        if user is None:
            return refused(issuer, transaction, Problem.WRONG_PASSWORD, typed=typed, now=now)
        current = await browser_session.held(issuer, visit)
        cookie = await browser_session.start(issuer, visit, user, current, now=now)
    except TooManyAttempts as problem:
        issuer.tell(refusal("sign_in.refused", problem, at=now, client_id=client.client_id if client else None))
        wait_in = problem.retry_after_in
        return refused(issuer, transaction, Problem.TOO_MANY_ATTEMPTS, typed=typed, wait_in=wait_in, now=now)
    except Overloaded as problem:
        wait_in = problem.retry_after_in
        return refused(issuer, transaction, Problem.OVERLOADED, typed=typed, wait_in=wait_in, now=now)
    path = "/account" if request is None else login_path(issuer, transaction, now=now)
    device = known_device.cookie(issuer, visit, user, now=now)
    return Outcome(then=GoOn(path=path), session=cookie, device=device)


def refused(
    issuer: Issuer, transaction: Transaction, problem: Problem, *, typed: str = "", wait_in: int = 0, now: int
) -> Outcome:
    """The sign-in page again, by GET: no form stands in the browser's history to be sent once more."""
    username = typed[: password.MAX_USERNAME_LENGTH]
    again = replace(transaction, problem=problem.value, username=username, retry_at=now + wait_in)
    return Outcome(then=GoOn(path=login_path(issuer, again, now=now)))


async def _proven(issuer: Issuer, visit: Visit, client: Client | None, *, now: int) -> User | None:
    """The person whose password was sent; None where username or password is wrong, whichever it is."""
    username, sent = visit.field("username"), visit.field("password")
    if not password.is_within_bounds(username, sent):
        return None
    user = await issuer.store.directory.user_named(username)
    check = partial(issuer.passwords.verify, password.hash_to_check(None, user), sent)  # members or not: asked later
    account = known_device.account(issuer, visit, username, user)
    uid = user.id if user else None
    if await issuer.throttle.guess(account, check, address=visit.address, uid=uid, now=now):
        await rehash.password(issuer, user, sent)
        return user
    reason = "unknown username" if user is None else "disabled" if user.disabled_at is not None else "wrong password"
    client_id = client.client_id if client else None
    issuer.tell(Event(name="sign_in.refused", at=now, client_id=client_id, uid=uid, reason=reason))
    return None


async def _decline(issuer: Issuer, request: AuthorizationRequest, why: str, *, now: int) -> Outcome:
    client = await issuer.store.directory.client(request.client_id)
    try:
        client = authorization.check_still_allowed(request, client, now=now)
    except Unanswerable as problem:
        return answers.unanswerable(issuer, problem, client, request.ui_locales)
    except OAuthError as error:
        assert client is not None  # otherwise it was unanswerable
        return answers.refused(issuer, error, client, request.addressee, request.ui_locales)
    return answers.refused(issuer, AccessDenied(why), client, request.addressee, request.ui_locales)


def _switch(issuer: Issuer, visit: Visit, transaction: Transaction, *, now: int) -> Outcome:
    """Go on as somebody else: the present session does not count for this transaction any more."""
    stale = digest(visit.session) if visit.session else ""
    switched = replace(transaction, stale_session=stale, wants_other_account=True, problem="", username="")
    return Outcome(then=GoOn(path=login_path(issuer, switched, now=now)))


def _asked(
    issuer: Issuer, visit: Visit, transaction: Transaction, request: AuthorizationRequest, step: Asking, *, now: int
) -> Outcome:
    match step.what:
        case SignIn(user=user):
            page = _sign_in_page(issuer, visit, transaction, step.client, now=now)
            if user is not None:
                page = replace(page, username=user.username, is_username_known=True)
            return Outcome(then=replace(page, problem=page.problem or _problem(step.what)))
        case AskConsent():
            return _consent_page(issuer, visit, transaction, request, step, now=now)


def _problem(sign_in: SignIn) -> Problem | None:
    if sign_in.is_no_member:
        return Problem.NO_MEMBER
    return Problem.OTHER_PERSON if sign_in.is_other_person else None


def _sign_in_page(
    issuer: Issuer, visit: Visit, transaction: Transaction, client: Client | None, *, now: int
) -> SignInPage:
    request = transaction.request
    afresh = replace(transaction, problem="", username="", retry_at=0)
    upstream = upstream_sign_in.upstream_of(realm_of(issuer, transaction, client))
    return SignInPage(
        form=form(issuer, visit, afresh, targets=_targets(request, upstream), now=now),
        client_name=answers.shown_name(client) if client else None,
        upstream_name=upstream.name if upstream else None,
        is_demo=client is not None and client.is_demo,
        username=transaction.username or (request.login_hint if request else ""),
        problem=Problem(transaction.problem) if transaction.problem else None,
        retry_after_in=max(0, transaction.retry_at - now),
        ui_locales=request.ui_locales if request else (),
    )


def _consent_page(
    issuer: Issuer, visit: Visit, transaction: Transaction, request: AuthorizationRequest, step: Asking, *, now: int
) -> Outcome:
    assert step.standing is not None  # consent is asked of somebody
    asked = {*request.claims.id_token, *request.claims.userinfo}
    user = step.standing.user
    page = ConsentPage(
        form=form(issuer, visit, replace(transaction, asked=user.id), targets=_targets(request), now=now),
        client_name=answers.shown_name(step.client),
        username=user.username,
        scope=request.scope,
        claims=tuple(sorted(asked)),
        resources=request.resources,
        destination=redirect_uris.destination(request.addressee.redirect_uri),
        is_identity_proven=interaction.is_identity_proven(request, step.client),
        ui_locales=request.ui_locales,
    )
    return Outcome(then=page)


def _targets(request: AuthorizationRequest | None, upstream: Upstream | None = None) -> tuple[str, ...]:
    """Where the forms of a page lead: back to the application, or to the upstream."""
    there = upstream.user_authorization_uri if upstream is not None else None
    back = request.addressee.redirect_uri if request is not None else None
    sources = [source for uri in (back, there) if uri is not None for source in redirect_uris.csp_sources(uri)]
    return tuple(dict.fromkeys(sources))
