"""Authorization codes: RFC 6749 sections 4.1.2, 4.1.3 and 10.5, RFC 7636 section 4.6, RFC 9700 section 4.5."""

from typing import Any

import pytest
from msgspec.structs import replace

from jwtauth.errors import InvalidGrant, InvalidTarget, OAuthError, UnauthorizedClient
from jwtauth.protocol import authorization_code
from jwtauth.protocol.authorization import ResponseType
from jwtauth.protocol.authorization_code import EndGrant, Redeem, Request
from jwtauth.protocol.records import Client, Grant, GrantType, NewGrant, RequestedClaims, Session, User
from tests.protocol import records
from tests.protocol.records import CALLBACK, CHALLENGE, NOW, VERIFIER

PLAYER = records.application()
OTHER = records.application(id=2, client_id="other")
CODE = records.code()
USED = replace(CODE, redeemed_at=NOW - 5, redirect_uri=None, nonce=None, expires_at=NOW + 86_400)
EXEMPT = replace(CODE, code_challenge=None)

_UNSET: Any = object()


def decide(
    grant: Grant | None = CODE,
    *,
    client: Client = PLAYER,
    user: User | None = _UNSET,
    session: Session | None = _UNSET,
    now: int = NOW,
    **changes: Any,
) -> Redeem | EndGrant:
    usual = {"code": "ac_...", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return authorization_code.decide(
        Request(**{**usual, **changes}),
        client,
        grant,
        records.user() if user is _UNSET else user,
        records.session() if session is _UNSET else session,
        now=now,
    )


def redeemed(verdict: Redeem | EndGrant) -> Redeem:
    assert isinstance(verdict, Redeem)
    return verdict


def start(*, client: Client = PLAYER, now: int = NOW, consent: Any = None, **request: Any) -> NewGrant:
    return authorization_code.start(
        records.authorization_request(**request),
        client,
        records.standing(user=records.user(epoch=6)),
        consent=consent,
        digest=b"digest of the transaction",
        secret_number=2,
        now=now,
    )


class TestAGrant:  # section 4.1.2: begun with a code
    def test_says_who_allowed_what_when_and_for_which_request(self) -> None:
        claims = RequestedClaims(userinfo=("email",))
        new = start(
            client=records.application(epoch=5),
            consent=records.consent(),
            claims=claims,
            resources=("https://api.example",),
        )
        assert new == NewGrant(
            client_id=1,
            client_epoch=5,
            user_id=42,
            user_epoch=6,
            scope=("openid", "read"),
            resources=("https://api.example",),
            secret_number=2,
            expires_at=NOW + 60,
            ends_at=NOW + 604_800,
            session_id=5,
            auth_time=NOW - 100,
            claims=claims,
            code_challenge=CHALLENGE,
            code_expires_at=NOW + 60,
            redirect_uri=CALLBACK,
            nonce="n-0S6_WzA2Mj",
            transaction=b"digest of the transaction",
            consent=records.consent(),
        )

    def test_p_10_has_a_code_for_a_minute_at_most(self) -> None:
        assert authorization_code.LIVES_IN <= 60
        assert start().code_expires_at == start().expires_at == NOW + authorization_code.LIVES_IN

    def test_does_not_ask_for_a_redirect_uri_again_that_was_not_sent(self) -> None:  # section 4.1.3
        assert start(addressee=records.addressee(is_redirect_uri_sent=False)).redirect_uri is None

    def test_for_a_token_in_front_has_no_code_and_lives_as_long_as_the_token(self) -> None:
        new = start(response_type=ResponseType.TOKEN, code_challenge=None)
        assert (new.code_expires_at, new.expires_at) == (None, NOW + 3_600)

    def test_covers_its_access_token_where_the_realm_wants_shorter_grants(self) -> None:
        hasty = records.application(realm=records.realm(grant_in=10))
        assert start(client=hasty).ends_at == NOW + 3_600


class TestACode:  # section 4.1.3
    def test_is_redeemed_for_a_token_about_the_person(self) -> None:
        permission = redeemed(decide()).permission
        assert (permission.client_id, permission.subject, permission.uid) == ("player", "u.ada", 42)
        assert (permission.scope, permission.audience) == (("openid", "read"), ("https://music.example",))
        assert permission.authorities == ("ROLE_USER",)

    @pytest.mark.parametrize(("after", "is_good"), [(0, True), (49, True), (50, False), (9_999, False)])
    def test_p_10_is_good_until_it_expires(self, after: int, is_good: bool) -> None:
        if is_good:
            assert isinstance(decide(now=NOW + after), Redeem)
        else:
            with pytest.raises(InvalidGrant):
                decide(now=NOW + after)

    @pytest.mark.parametrize("uri", [None, CALLBACK + "/", CALLBACK + "?a=b", "https://evil.example"])
    def test_r_05_is_refused_with_another_redirect_uri(self, uri: str | None) -> None:
        with pytest.raises(InvalidGrant):
            decide(redirect_uri=uri)

    @pytest.mark.parametrize("uri", [None, CALLBACK])
    def test_needs_no_redirect_uri_where_the_request_had_none(self, uri: str | None) -> None:
        assert isinstance(decide(replace(CODE, redirect_uri=None), redirect_uri=uri), Redeem)

    @pytest.mark.parametrize("verifier", [None, "x" * 43, CHALLENGE])
    def test_p_04_is_refused_with_another_verifier(self, verifier: str | None) -> None:
        with pytest.raises(InvalidGrant):
            decide(code_verifier=verifier)

    def test_p_12_is_refused_with_a_verifier_where_no_challenge_was_sent(self) -> None:
        assert isinstance(decide(EXEMPT, code_verifier=None), Redeem)
        with pytest.raises(InvalidGrant):
            decide(EXEMPT)

    def test_p_13_is_still_good_for_the_right_verifier_after_a_wrong_one(self) -> None:
        with pytest.raises(InvalidGrant):
            decide(code_verifier="x" * 43)
        assert isinstance(decide(), Redeem)

    @pytest.mark.parametrize(
        "session",
        [None, records.session(ended_at=NOW - 1), records.session(expires_at=NOW)],
        ids=["swept away", "ended", "over"],
    )
    def test_ends_with_the_session_unless_it_is_for_offline_access(self, session: Session | None) -> None:
        offline = replace(CODE, scope=("openid", "offline_access"))
        assert isinstance(decide(offline, session=session), Redeem)
        with pytest.raises(InvalidGrant):
            decide(session=session)


class TestTheOrderIsLaw:
    """Ended, then owner, and only then reuse: what a stranger sends has no effect."""

    @pytest.mark.parametrize(
        "refused",
        [
            pytest.param({"grant": None}, id="unknown"),
            pytest.param({"ended_at": NOW - 1}, id="ended"),
            pytest.param({"client": OTHER}, id="P-05 another client's"),
            pytest.param({"user": None}, id="nobody's"),
            pytest.param({"user": records.user(disabled_at=NOW - 1)}, id="a disabled person's"),
            pytest.param({"user": records.user(roles={"films": ()})}, id="a former member's"),
            pytest.param({"code_verifier": "x" * 43}, id="P-04 whose verifier is not known"),
            pytest.param({"code_verifier": None}, id="P-04 without a verifier"),
            pytest.param({"code_expires_at": None}, id="of a grant that had none"),
        ],
    )
    @pytest.mark.parametrize("grant", [CODE, USED])
    def test_refuses_without_effect_whether_it_was_used_or_not(self, grant: Grant, refused: dict[str, Any]) -> None:
        facts = dict(refused)
        changed = {name: facts.pop(name) for name in ("ended_at", "code_expires_at") if name in facts}
        with pytest.raises(InvalidGrant):
            decide(**{"grant": replace(grant, **changed), **facts})

    def test_refuses_a_client_that_did_not_register_the_grant_before_all_else(self) -> None:
        with pytest.raises(UnauthorizedClient):
            decide(USED, client=records.application(grant_types=(GrantType.REFRESH_TOKEN,)))

    def test_says_the_same_to_everybody_who_is_refused(self) -> None:
        refused: list[dict[str, Any]] = [
            {"grant": None},
            {"client": OTHER},
            {"code_verifier": "x" * 43},
            {"redirect_uri": "https://evil.example"},
            {"now": NOW + 60},
            {"session": None},
        ]
        messages = set()
        for facts in refused:
            with pytest.raises(InvalidGrant) as refusal:
                decide(**facts)
            messages.add(str(refusal.value))
        assert messages == {authorization_code.REFUSED}


class TestReuse:  # section 10.5
    @pytest.mark.parametrize("after", [0, 60, 86_000])
    def test_p_06_ends_the_grant_however_late_it_comes(self, after: int) -> None:
        assert decide(USED, now=NOW + after) == EndGrant()

    @pytest.mark.parametrize("changes", [{"redirect_uri": None}, {"resource": ("https://elsewhere.example",)}])
    def test_ends_the_grant_before_anything_else_is_looked_at(self, changes: dict[str, Any]) -> None:
        assert decide(USED, **changes) == EndGrant()

    def test_ends_the_grant_when_the_session_is_over_too(self) -> None:
        """Its access token may still live."""
        assert decide(USED, session=None) == EndGrant()

    def test_by_the_owner_of_an_exempt_client_ends_the_grant(self) -> None:
        assert decide(replace(USED, code_challenge=None), code_verifier=None) == EndGrant()


class TestTheGrantOnceRedeemed:
    def test_lives_as_long_as_its_refresh_token(self) -> None:
        verdict = redeemed(decide())
        assert (verdict.has_refresh_token, verdict.expires_at) == (True, NOW + 86_400)

    def test_lives_as_long_as_its_access_token_where_the_client_does_not_refresh(self) -> None:
        client = records.application(grant_types=(GrantType.AUTHORIZATION_CODE,), access_token_in=60)
        verdict = redeemed(decide(client=client))
        assert (verdict.has_refresh_token, verdict.expires_at) == (False, NOW + 60)

    def test_never_outlives_its_end(self) -> None:
        assert redeemed(decide(replace(CODE, ends_at=NOW + 5))).expires_at == NOW + 5

    def test_remembers_the_claims_for_userinfo(self) -> None:
        claims = RequestedClaims(id_token=("name",), userinfo=("email",))
        assert redeemed(decide(replace(CODE, claims=claims))).permission.userinfo_claims == ("email",)

    def test_has_lost_the_scope_that_the_client_lost(self) -> None:
        assert redeemed(decide(client=records.application(scope=("openid",)))).permission.scope == ("openid",)


class TestResource:  # RFC 8707 section 2.2
    BOTH = replace(CODE, resources=("https://api.example", "https://files.example"))

    def test_is_what_was_granted_or_fewer(self) -> None:
        assert redeemed(decide(self.BOTH)).permission.audience == self.BOTH.resources
        narrowed = redeemed(decide(self.BOTH, resource=("https://files.example",)))
        assert narrowed.permission.audience == ("https://files.example",)

    @pytest.mark.parametrize("grant", [CODE, replace(CODE, resources=("https://files.example",))])
    def test_is_nothing_that_was_not_granted(self, grant: Grant) -> None:
        with pytest.raises(InvalidTarget):
            decide(grant, resource=("https://api.example",))

    def test_never_falls_back_to_the_realms_audience(self) -> None:  # SECURITY J-14
        with pytest.raises(InvalidTarget):
            decide(self.BOTH, client=records.application(resources=()))

    def test_that_is_refused_leaves_the_code_good(self) -> None:
        with pytest.raises(OAuthError):
            decide(resource=("https://elsewhere.example",))
        assert isinstance(decide(), Redeem)


class TestAPartner:
    """The client that the owner names redeems its codes, with its own proof; the token is the owner's."""

    OWNER = records.owned()
    PARTNER = records.partner()
    GIVEN = replace(CODE, client_id=OWNER.id, code_challenge=None)

    def decide(self, grant: Grant = GIVEN, *, client: Client = PARTNER, owner: Client = OWNER, **changes: Any) -> Any:
        usual = {"code": "ac_...", "redirect_uri": CALLBACK}
        asked = Request(**{**usual, **changes})
        return authorization_code.decide(asked, client, grant, records.user(), records.session(), owner=owner, now=NOW)

    def test_gets_the_owners_token(self) -> None:
        permission = redeemed(self.decide()).permission
        assert permission.client_id == "alfrescoapp"
        assert permission.scope == ("openid", "read")

    def test_is_given_what_the_owner_may_have_for_as_long_as_the_owners_live(self) -> None:
        owner = records.owned(access_token_in=60, grant_types=(GrantType.AUTHORIZATION_CODE,), scope=("openid",))
        verdict = redeemed(self.decide(owner=owner))
        assert (verdict.permission.lifetime_in, verdict.permission.scope) == (60, ("openid",))
        assert (verdict.has_refresh_token, verdict.expires_at) == (False, NOW + 60)

    def test_must_have_registered_the_grant_itself(self) -> None:
        with pytest.raises(UnauthorizedClient):
            self.decide(client=records.partner(grant_types=(GrantType.CLIENT_CREDENTIALS,)))

    @pytest.mark.parametrize(
        ("client", "owner"),
        [
            pytest.param(records.client(id=8, client_id="other"), OWNER, id="P-05 not named"),
            pytest.param(PARTNER, records.owned(redeemed_by="other"), id="P-05 another is named"),
            pytest.param(PARTNER, records.owned(disabled_at=NOW - 1), id="the owner is disabled"),
            pytest.param(PARTNER, records.owned(realm=records.realm(id=2, name="films")), id="of another realm"),
            pytest.param(PARTNER, PARTNER, id="the owner is gone"),
        ],
    )
    @pytest.mark.parametrize("grant", [GIVEN, replace(USED, client_id=OWNER.id, code_challenge=None)])
    def test_p_05_is_nobody_else_and_ends_nothing(self, client: Client, owner: Client, grant: Grant) -> None:
        with pytest.raises(InvalidGrant) as refusal:
            self.decide(grant, client=client, owner=owner)
        assert str(refusal.value) == authorization_code.REFUSED

    def test_p_06_that_redeems_twice_ends_the_grant(self) -> None:
        assert self.decide(replace(self.GIVEN, redeemed_at=NOW - 5)) == EndGrant()

    def test_r_05_is_held_to_the_redirect_uri(self) -> None:
        with pytest.raises(InvalidGrant):
            self.decide(redirect_uri="https://player.example/other")

    def test_p_04_p_12_is_held_to_the_challenge_where_there_was_one_and_to_none_where_not(self) -> None:
        challenged = replace(self.GIVEN, code_challenge=CHALLENGE)
        assert isinstance(self.decide(challenged, code_verifier=VERIFIER), Redeem)
        for grant, verifier in ((challenged, None), (challenged, "x" * 43), (self.GIVEN, VERIFIER)):
            with pytest.raises(InvalidGrant):
                self.decide(grant, code_verifier=verifier)

    def test_cannot_redeem_for_a_person_who_may_not_use_the_owner(self) -> None:
        stranger = records.user(roles={"films": ()})
        with pytest.raises(InvalidGrant):
            authorization_code.decide(
                Request(code="ac_...", redirect_uri=CALLBACK),
                self.PARTNER,
                self.GIVEN,
                stranger,
                records.session(),
                owner=self.OWNER,
                now=NOW,
            )


class TestTheLifetimes:
    """A realm may give each grant type a life of its own."""

    REALM = records.realm(access_token_in_by={"authorization_code": 600, "password": 5})

    def test_are_those_of_codes(self) -> None:
        client = records.application(realm=self.REALM, grant_types=(GrantType.AUTHORIZATION_CODE,))
        verdict = redeemed(decide(client=client))
        assert verdict.permission.lifetime_in == 600
        assert verdict.expires_at == NOW + 600

    def test_are_those_of_codes_for_a_token_in_front_too(self) -> None:
        client = records.application(realm=self.REALM)
        assert start(client=client, response_type=ResponseType.TOKEN).expires_at == NOW + 600
