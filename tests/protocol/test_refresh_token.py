"""The refresh token grant: RFC 6749 section 6, RFC 9700 section 4.14, SECURITY group F."""

from typing import Any

import pytest

from jwtauth.errors import InvalidGrant, InvalidScope, InvalidTarget, OAuthError, UnauthorizedClient
from jwtauth.protocol import refresh_token
from jwtauth.protocol.records import (
    AuthMethod,
    Client,
    Grant,
    GrantType,
    Pointer,
    RequestedClaims,
    Session,
    User,
)
from jwtauth.protocol.refresh_token import EndGrant, KeepToken, Request, RetrySuccessor, Rotate, Verdict
from tests.protocol import records
from tests.protocol.records import NOW

CURRENT = Pointer(grant_id=9, generation=3, secret_number=1)
PREDECESSOR = Pointer(grant_id=9, generation=2, secret_number=1)
OLDER = Pointer(grant_id=9, generation=1, secret_number=1)
NOT_ISSUED = Pointer(grant_id=9, generation=4, secret_number=1)

_UNSET: Any = object()


def decide(
    pointer: Pointer = CURRENT,
    *,
    client: Client | None = None,
    grant: Grant | None = _UNSET,
    user: User | None = _UNSET,
    session: Session | None = None,
    now: int = NOW,
    **request: Any,
) -> Verdict:
    return refresh_token.decide(
        Request(refresh_token="rt_...", **request),
        client or records.client(),
        records.grant() if grant is _UNSET else grant,
        pointer,
        records.user() if user is _UNSET else user,
        session,
        now=now,
    )


def rotated(verdict: Verdict) -> Rotate:
    assert isinstance(verdict, Rotate)
    return verdict


class TestTheCurrentToken:  # RFC 6749 section 6
    def test_is_rotated(self) -> None:
        assert isinstance(decide(CURRENT), Rotate)

    def test_is_rotated_the_first_time_too(self) -> None:
        verdict = decide(
            Pointer(grant_id=9, generation=0, secret_number=1), grant=records.grant(generation=0, rotated_at=None)
        )
        assert isinstance(verdict, Rotate)

    def test_earns_a_token_about_the_person_for_the_realm(self) -> None:
        permission = rotated(decide()).permission
        assert (permission.subject, permission.username, permission.uid) == ("u.ada", "ada", 42)
        assert (permission.client_id, permission.audience) == ("player", ("https://music.example",))
        assert (permission.scope, permission.lifetime_in) == (("read", "write"), 3_600)

    def test_carries_the_roles_of_this_moment_in_the_clients_realm(self) -> None:
        promoted = records.user(roles={"music": ("ROLE_EDITOR",), "films": ("ROLE_ADMIN",)})
        assert rotated(decide(user=promoted)).permission.authorities == ("ROLE_EDITOR",)

    def test_moves_its_successors_end_by_the_realms_refresh_token_in(self) -> None:
        assert rotated(decide()).expires_at == NOW + 86_400

    def test_never_moves_that_end_past_the_grants(self) -> None:
        assert rotated(decide(grant=records.grant(ends_at=NOW + 5))).expires_at == NOW + 5

    @pytest.mark.parametrize("renews", [True, False])
    def test_renews_the_position_where_the_realm_says_so(self, renews: bool) -> None:
        client = records.client(realm=records.realm(renews_position=renews))
        assert rotated(decide(client=client)).renews_position is renews


class TestWhatTheClientLost:
    def test_scope_is_no_longer_given(self) -> None:
        assert rotated(decide(client=records.client(scope=("read",)))).permission.scope == ("read",)
        with pytest.raises(InvalidScope):
            decide(client=records.client(scope=("read",)), scope="write")

    def test_a_resource_never_falls_back_to_the_realms_audience(self) -> None:  # SECURITY J-14
        grant = records.grant(resources=("https://api.example",))
        with pytest.raises(InvalidTarget):
            decide(client=records.client(resources=()), grant=grant)


class TestTheOrderIsLaw:
    """Ended, then owner, and only then reuse: what a stranger sends has no effect."""

    @pytest.mark.parametrize(
        "refused",
        [
            pytest.param({"grant": None}, id="unknown"),
            pytest.param({"grant": records.grant(ended_at=NOW - 1)}, id="ended"),
            pytest.param({"grant": records.grant(client_id=2)}, id="another client's"),
            pytest.param({"grant": records.grant(expires_at=NOW)}, id="expired this second"),
            pytest.param({"user": None}, id="nobody's"),
            pytest.param({"user": records.user(disabled_at=NOW - 1)}, id="a disabled person's"),
            pytest.param({"user": records.user(roles={"films": ()})}, id="a former member's"),
        ],
    )
    @pytest.mark.parametrize("pointer", [CURRENT, PREDECESSOR, OLDER, NOT_ISSUED])
    def test_refuses_without_effect_whatever_the_generation(self, refused: dict[str, Any], pointer: Pointer) -> None:
        with pytest.raises(InvalidGrant):
            decide(pointer, **refused)

    def test_refuses_a_generation_not_yet_issued_and_ends_nothing(self) -> None:
        with pytest.raises(InvalidGrant):
            decide(NOT_ISSUED)

    def test_refuses_a_client_that_did_not_register_the_grant_before_all_else(self) -> None:
        with pytest.raises(UnauthorizedClient):
            decide(OLDER, client=records.client(grant_types=(GrantType.PASSWORD,)))

    def test_says_the_same_to_everybody_who_is_refused(self) -> None:
        messages = set()
        for grant in (None, records.grant(ended_at=1), records.grant(client_id=2), records.grant(expires_at=NOW)):
            with pytest.raises(InvalidGrant) as refusal:
                decide(grant=grant)
            messages.add(str(refusal.value))
        assert len(messages) == 1

    def test_accepts_until_the_last_second(self) -> None:
        assert isinstance(decide(grant=records.grant(expires_at=NOW + 1)), Rotate)


class TestReuse:  # RFC 9700 section 4.14.2
    def test_of_an_older_generation_ends_the_grant(self) -> None:
        assert decide(OLDER) == EndGrant()

    def test_of_the_predecessor_after_the_window_ends_the_grant(self) -> None:
        assert decide(PREDECESSOR, grant=records.grant(rotated_at=NOW - 3_600)) == EndGrant()

    def test_ends_the_grant_before_scope_is_looked_at(self) -> None:
        assert decide(OLDER, scope="admin") == EndGrant()


class TestRetry:
    """A response that was lost and is asked for again never logs anyone out."""

    def test_of_the_direct_predecessor_gets_the_same_successor(self) -> None:
        assert isinstance(decide(PREDECESSOR), RetrySuccessor)

    @pytest.mark.parametrize(("ago", "is_retry"), [(0, True), (29, True), (30, False), (31, False)])
    def test_counts_until_retry_in_seconds_after_the_rotation(self, ago: int, is_retry: bool) -> None:
        verdict = decide(PREDECESSOR, grant=records.grant(rotated_at=NOW - ago))
        assert isinstance(verdict, RetrySuccessor if is_retry else EndGrant)

    @pytest.mark.parametrize("ago", [-3_600, -1, 0, 1])
    def test_is_reuse_where_retry_in_is_zero_whatever_the_clock_did(self, ago: int) -> None:
        strict = records.client(realm=records.realm(retry_in=0))
        assert decide(PREDECESSOR, client=strict, grant=records.grant(rotated_at=NOW - ago)) == EndGrant()

    def test_survives_a_worker_whose_clock_is_a_second_behind(self) -> None:
        assert isinstance(decide(PREDECESSOR, grant=records.grant(rotated_at=NOW + 1)), RetrySuccessor)

    def test_earns_what_the_rotation_earned(self) -> None:
        retried = decide(PREDECESSOR, scope="read")
        assert isinstance(retried, RetrySuccessor)
        assert retried.permission == rotated(decide(CURRENT, scope="read")).permission


class TestReusableTokens:
    """A setting of confidential clients: the same token is answered and nothing is written."""

    CLIENT = records.client(refresh_token_is_reusable=True)
    GRANT = records.grant(generation=0, rotated_at=None)
    TOKEN = Pointer(grant_id=9, generation=0, secret_number=1)

    def test_are_kept(self) -> None:
        assert isinstance(decide(self.TOKEN, client=self.CLIENT, grant=self.GRANT), KeepToken)

    def test_are_refused_like_others_once_the_grant_ended(self) -> None:
        with pytest.raises(InvalidGrant):
            decide(self.TOKEN, client=self.CLIENT, grant=records.grant(generation=0, ended_at=NOW))

    def test_leave_every_other_client_unaffected(self) -> None:
        assert isinstance(decide(self.TOKEN, grant=self.GRANT), Rotate)

    def test_end_the_grant_when_they_were_rotated_before_the_setting_changed(self) -> None:
        assert decide(OLDER, client=self.CLIENT) == EndGrant()


class TestScope:  # RFC 6749 section 6: must not include any scope not originally granted
    @pytest.mark.parametrize(
        ("asked", "granted"),
        [
            (None, ("read", "write")),
            ("read", ("read",)),
            ("write read", ("write", "read")),
            ("read read", ("read",)),
            (" ", ("read", "write")),
        ],
    )
    def test_may_be_narrowed(self, asked: str | None, granted: tuple[str, ...]) -> None:
        assert rotated(decide(scope=asked)).permission.scope == granted

    @pytest.mark.parametrize("pointer", [CURRENT, PREDECESSOR])
    def test_must_not_be_widened_and_the_token_stays_good(self, pointer: Pointer) -> None:
        with pytest.raises(InvalidScope):
            decide(pointer, scope="read admin")
        assert not isinstance(decide(pointer), EndGrant)

    def test_is_the_grants_even_where_the_client_may_ask_for_more_by_now(self) -> None:
        generous = records.client(scope=("read", "write", "admin"))
        with pytest.raises(InvalidScope):
            decide(client=generous, scope="admin")


class TestResource:  # RFC 8707 section 2.2
    GRANT = records.grant(resources=("https://api.example", "https://files.example"))

    def test_may_be_narrowed(self) -> None:
        assert rotated(decide(grant=self.GRANT, resource=("https://files.example",))).permission.audience == (
            "https://files.example",
        )

    def test_is_the_grants_where_none_is_asked_for(self) -> None:
        assert rotated(decide(grant=self.GRANT)).permission.audience == self.GRANT.resources

    def test_must_not_be_widened(self) -> None:
        with pytest.raises(InvalidTarget):
            decide(resource=("https://api.example",))


class TestTheBrowserSession:  # OpenID Connect Core 1.0 section 11
    ONLINE = records.grant(session_id=5)
    OFFLINE = records.grant(session_id=5, scope=("read", "offline_access"))
    OVER = (None, records.session(ended_at=NOW - 1), records.session(expires_at=NOW), records.session(ends_at=NOW))

    def test_that_lives_lets_its_grants_live(self) -> None:
        assert isinstance(decide(grant=self.ONLINE, session=records.session()), Rotate)

    @pytest.mark.parametrize("session", OVER, ids=["swept away", "ended", "idle too long", "too old"])
    @pytest.mark.parametrize("pointer", [CURRENT, PREDECESSOR, OLDER])
    def test_that_is_over_takes_them_along_without_further_effect(
        self, session: Session | None, pointer: Pointer
    ) -> None:
        with pytest.raises(InvalidGrant):
            decide(pointer, grant=self.ONLINE, session=session)

    @pytest.mark.parametrize("session", [*OVER, records.session()])
    def test_does_not_matter_to_offline_access(self, session: Session | None) -> None:
        client = records.application()
        assert isinstance(decide(client=client, grant=self.OFFLINE, session=session), Rotate)

    def test_is_not_outlived_by_a_scope_value_that_only_looks_like_it(self) -> None:
        alike = records.grant(session_id=5, scope=("offlineXaccess", "offline_access_2"))
        with pytest.raises(InvalidGrant):
            decide(client=records.client(scope=alike.scope), grant=alike, session=None)

    def test_is_not_needed_where_there_never_was_one(self) -> None:
        assert isinstance(decide(grant=records.grant(session_id=None), session=None), Rotate)


class TestClaims:  # OpenID Connect Core 1.0 section 5.5
    def test_asked_for_at_userinfo_stay_asked_for(self) -> None:
        grant = records.grant(claims=RequestedClaims(id_token=("name",), userinfo=("email", "name")))
        client = records.client(scope=("read", "write", "email"))
        assert rotated(decide(grant=grant, client=client)).permission.userinfo_claims == ("email",)


class TestAnyClient:
    @pytest.mark.parametrize("method", list(AuthMethod))
    def test_may_refresh_however_it_authenticates(self, method: AuthMethod) -> None:
        assert isinstance(decide(client=records.client(auth_method=method)), Rotate)

    def test_gets_a_registered_code_for_every_refusal(self) -> None:
        with pytest.raises(OAuthError) as refusal:
            decide(grant=None)
        assert refusal.value.code == "invalid_grant"


class TestAPartner:
    """The client that the owner names refreshes for it, with its own proof; the token is the owner's."""

    OWNER = records.owned()
    PARTNER = records.partner()
    GIVEN = records.grant(client_id=OWNER.id, scope=("read", "write"))

    def decide(
        self, pointer: Pointer = CURRENT, *, client: Client = PARTNER, owner: Client = OWNER, grant: Grant = GIVEN
    ) -> Verdict:
        asked = Request(refresh_token="rt_...")
        return refresh_token.decide(asked, client, grant, pointer, records.user(), owner=owner, now=NOW)

    def test_gets_the_owners_token(self) -> None:
        permission = rotated(self.decide()).permission
        assert (permission.client_id, permission.scope) == ("alfrescoapp", ("read", "write"))

    def test_keeps_the_token_only_where_the_owners_are_reusable(self) -> None:
        reusing = records.partner(refresh_token_is_reusable=True)
        assert isinstance(self.decide(client=reusing), Rotate)
        assert isinstance(self.decide(owner=records.owned(refresh_token_is_reusable=True)), KeepToken)

    def test_may_retry_like_the_owner(self) -> None:
        assert isinstance(self.decide(PREDECESSOR), RetrySuccessor)

    def test_f_06_that_reuses_a_token_ends_the_grant(self) -> None:
        assert self.decide(OLDER) == EndGrant()
        assert self.decide(OLDER, client=self.OWNER) == EndGrant()

    @pytest.mark.parametrize("pointer", [CURRENT, PREDECESSOR, OLDER])
    @pytest.mark.parametrize(
        ("client", "owner"),
        [
            pytest.param(records.client(id=8, client_id="other"), OWNER, id="F-03 not named"),
            pytest.param(PARTNER, records.owned(redeemed_by="other"), id="F-03 another is named"),
            pytest.param(PARTNER, records.owned(disabled_at=NOW - 1), id="F-12 the owner is disabled"),
            pytest.param(PARTNER, records.owned(realm=records.realm(id=2, name="films")), id="of another realm"),
            pytest.param(PARTNER, PARTNER, id="the owner is gone"),
        ],
    )
    def test_f_03_is_nobody_else_and_ends_nothing(self, client: Client, owner: Client, pointer: Pointer) -> None:
        with pytest.raises(InvalidGrant):
            self.decide(pointer, client=client, owner=owner)

    def test_must_have_registered_the_grant_itself(self) -> None:
        with pytest.raises(UnauthorizedClient):
            self.decide(client=records.partner(grant_types=(GrantType.AUTHORIZATION_CODE,)))


class TestTheLifetime:
    REALM = records.realm(access_token_in_by={"password": 1_800, "authorization_code": 600, "refresh_token": 5})

    @pytest.mark.parametrize(
        ("grant", "lives_in"), [(records.grant(), 1_800), (records.grant(auth_time=NOW - 100), 600)]
    )
    def test_is_that_of_how_the_grant_began(self, grant: Grant, lives_in: int) -> None:
        assert rotated(decide(client=records.client(realm=self.REALM), grant=grant)).permission.lifetime_in == lives_in

    @pytest.mark.parametrize("pointer", [CURRENT, PREDECESSOR])
    def test_and_its_name_are_the_same_however_often_it_is_asked_for(self, pointer: Pointer) -> None:
        client = records.client(realm=records.realm(names_grant_type=True))
        verdict = decide(pointer, client=client)
        assert isinstance(verdict, Rotate | RetrySuccessor)
        assert verdict.permission.grant_type == "password"
