"""The life of tokens over days and years: lifetimes, the retry window, clocks that jump (SECURITY F-11, S-06)."""

import pytest
from msgspec.structs import replace

from jwtauth.endpoints import token
from jwtauth.errors import ConfigurationError, ExpiredToken, InvalidClient, InvalidGrant, InvalidToken, OAuthError
from jwtauth.issuer import assembly
from jwtauth.protocol.records import Client, Grant, Permission
from tests.endpoints.conftest import Desk, request
from tests.support.home import SECRET
from tests.web.site import claims_of

DAY = 86_400


class TestAnAccessToken:
    @pytest.mark.parametrize(("after", "is_active"), [(0, True), (3599, True), (3600, False), (DAY * 400, False)])
    def test_ends_at_exp_to_the_second(self, desk: Desk, after: int, is_active: bool) -> None:
        granted = desk.token(grant_type="client_credentials")
        assert granted.expires_in == 3600
        desk.clock.move(after)
        assert desk.is_active(granted.access_token) is is_active

    def test_is_not_resurrected_by_a_clock_that_was_set_back(self, desk: Desk) -> None:
        granted = desk.person()
        desk.revoke(granted.access_token)
        desk.clock.move(-3000)
        assert not desk.is_active(granted.access_token)

    @pytest.mark.parametrize(("back", "is_active"), [(60, True), (61, False)])
    def test_from_the_future_is_believed_for_a_minute(self, desk: Desk, back: int, is_active: bool) -> None:
        granted = desk.token(grant_type="client_credentials")
        desk.clock.move(-back)
        assert desk.is_active(granted.access_token) is is_active

    def test_that_expired_says_so(self, desk: Desk) -> None:
        granted = desk.token(grant_type="client_credentials")
        desk.clock.move(3600)
        with pytest.raises(ExpiredToken):
            desk.issuer.access_tokens.open(granted.access_token, now=desk.clock.at)

    def test_that_expired_still_ends_its_grant_when_revoked(self, desk: Desk) -> None:  # RFC 7009 section 2.1
        granted = desk.person()
        desk.clock.move(3600)
        desk.revoke(granted.access_token)
        with pytest.raises(InvalidGrant):
            desk.refresh(granted)

    def test_is_not_issued_for_longer_than_revocations_are_kept(self, desk: Desk) -> None:  # SECURITY S-14
        desk.home.client("patient", access_token_in=2 * DAY)
        with pytest.raises(ConfigurationError, match="max_token_lifetime"):
            desk.token("patient", grant_type="client_credentials")

    def test_lives_as_long_as_its_client_says(self, desk: Desk) -> None:
        desk.home.client("brief", access_token_in=7)
        granted = desk.token("brief", grant_type="client_credentials")
        assert granted.expires_in == 7
        desk.clock.move(7)
        with pytest.raises(InvalidToken):
            desk.issuer.access_tokens.open(granted.access_token, now=desk.clock.at)


class TestARefreshToken:
    @pytest.mark.parametrize("after", [0, 29])
    def test_sent_again_in_time_gets_the_same_successor(self, desk: Desk, after: int) -> None:
        first = desk.person()
        successor = desk.refresh(first).refresh_token
        desk.clock.move(after)
        assert desk.refresh(first).refresh_token == successor

    def test_sent_again_too_late_ends_the_grant(self, desk: Desk) -> None:
        first = desk.person()
        second = desk.refresh(first)
        desk.clock.move(30)
        with pytest.raises(InvalidGrant):
            desk.refresh(first)
        with pytest.raises(InvalidGrant):
            desk.refresh(second)
        assert not desk.is_active(second.access_token)
        assert [event.reason for event in desk.events if event.name == "grant.ended"] == ["refresh token reused"]

    def test_sent_again_after_its_successor_was_used_ends_the_grant(self, desk: Desk) -> None:
        first = desk.person()
        second = desk.refresh(first)
        third = desk.refresh(second)
        with pytest.raises(InvalidGrant):
            desk.refresh(first)
        assert not desk.is_active(third.access_token)

    @pytest.mark.parametrize("jump", [0, 1, -1, -DAY])
    def test_is_never_taken_again_where_the_realm_is_strict_whatever_the_clock_does(
        self, desk: Desk, jump: int
    ) -> None:
        desk.home.realm(retry_in=0)
        first = desk.person()
        second = desk.refresh(first)
        desk.clock.move(jump)
        with pytest.raises(InvalidGrant):
            desk.refresh(first)
        with pytest.raises(InvalidGrant):
            desk.refresh(second)

    @pytest.mark.parametrize(("after", "is_good"), [(30 * DAY - 1, True), (30 * DAY, False)])
    def test_that_is_not_used_ends_after_a_month(self, desk: Desk, after: int, is_good: bool) -> None:
        granted = desk.person()
        desk.clock.move(after)
        if is_good:
            assert desk.refresh(granted).access_token
        else:
            with pytest.raises(InvalidGrant):
                desk.refresh(granted)

    def test_however_often_used_ends_with_its_grant(self, desk: Desk) -> None:
        granted = desk.person()
        for _ in range(12):
            desk.clock.move(29 * DAY)
            granted = desk.refresh(granted)
        desk.clock.move(18 * DAY)
        with pytest.raises(InvalidGrant):
            desk.refresh(granted)

    def test_works_over_a_leap_of_the_clock_backwards(self, desk: Desk) -> None:
        granted = desk.person()
        desk.clock.move(-3600)
        refreshed = desk.refresh(granted)
        assert refreshed.expires_in == 3600
        assert desk.is_active(refreshed.access_token)


class TestAPerson:
    def test_who_lost_the_membership_gets_nothing_more(self, desk: Desk) -> None:
        granted = desk.person()
        user = desk.run(desk.issuer.store.directory.user_named("ada"))
        assert user is not None
        changed = replace(user, roles={})
        desk.home.ask(lambda store: store.administration.change_user(changed, now=desk.clock.at))
        with pytest.raises(InvalidGrant):
            desk.refresh(granted)
        assert not desk.is_active(granted.access_token)

    def test_whose_roles_changed_has_the_new_ones_after_a_refresh(self, desk: Desk) -> None:
        desk.home.realm(roles=("ROLE_USER", "ROLE_ADMIN"))
        granted = desk.person()
        user = desk.run(desk.issuer.store.directory.user_named("ada"))
        assert user is not None
        changed = replace(user, roles={"default": ("ROLE_USER", "ROLE_ADMIN")})
        desk.home.ask(lambda store: store.administration.change_user(changed, now=desk.clock.at))
        assert claims_of(desk.refresh(granted).access_token)["authorities"] == ["ROLE_USER", "ROLE_ADMIN"]


class TestARace:
    """What changes between reading and writing; the clock of `mint` and the store's writer stand in between."""

    def test_between_a_password_and_its_grant_is_won_by_whoever_disables(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = desk.run(desk.issuer.store.directory.user_named("ada"))
        assert user is not None
        start = desk.issuer.store.grants.start

        async def disabled_meanwhile(new: object, *, now: int) -> Grant | None:
            await desk.issuer.store.administration.disable_user(user, now=now)
            return await start(new, now=now)  # type: ignore[arg-type]

        monkeypatch.setattr(desk.issuer.store.grants, "start", disabled_meanwhile)
        with pytest.raises(OAuthError):
            desk.person()

    def test_between_reading_a_client_and_its_block_is_won_by_whoever_disables(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        take_block = desk.issuer.store.positions.take_block

        async def disabled_meanwhile(client: Client, *, size: int, use_until: int, now: int) -> object:
            await desk.issuer.store.administration.disable_client(client, now=now)
            return await take_block(client, size=size, use_until=use_until, now=now)

        monkeypatch.setattr(desk.issuer.store.positions, "take_block", disabled_meanwhile)
        with pytest.raises(InvalidClient):
            desk.token(grant_type="client_credentials")

    def test_between_reading_a_grant_and_its_rotation_is_won_by_whoever_ends_it(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        granted = desk.person()
        rotate = desk.issuer.store.grants.rotate

        async def ended_meanwhile(grant: Grant, **values: object) -> int | None:
            await desk.issuer.store.grants.end(grant.id, now=desk.clock.at)
            return await rotate(grant, **values)  # type: ignore[arg-type]

        monkeypatch.setattr(desk.issuer.store.grants, "rotate", ended_meanwhile)
        with pytest.raises(InvalidGrant):
            desk.refresh(granted)


class TestMachines:
    def test_never_share_a_position_however_many_tokens_they_take(self, desk: Desk) -> None:
        seen = set()
        for number in range(400):
            client = "service" if number % 3 else "other"
            status = claims_of(desk.token(client, grant_type="client_credentials").access_token)["status"][
                "status_list"
            ]
            seen.add((status["uri"], status["idx"]))
        assert len(seen) == 400

    def test_take_a_new_block_when_the_old_may_no_longer_be_used(self, desk: Desk) -> None:
        desk.token(grant_type="client_credentials")
        desk.clock.move(3600)
        before = desk.home.ask(_positions)
        desk.token(grant_type="client_credentials")
        assert desk.home.ask(_positions) > before

    def test_that_are_disabled_lose_every_token_at_once(self, desk: Desk) -> None:
        tokens = [desk.token("other", grant_type="client_credentials").access_token for _ in range(100)]
        client = desk.run(desk.issuer.store.directory.client("other"))
        assert client is not None
        desk.home.ask(lambda store: store.administration.disable_client(client, now=desk.clock.at))
        assert not any(desk.is_active(value) for value in tokens)
        desk.home.ask(lambda store: store.administration.enable_client(client, now=desk.clock.at))
        assert not any(desk.is_active(value) for value in tokens), "what was ended stays ended"
        assert desk.is_active(desk.token("other", grant_type="client_credentials").access_token)


class TestTheIssuer:
    def test_keeps_its_keys_where_a_file_is_damaged_while_it_runs(self, desk: Desk) -> None:
        granted = desk.token(grant_type="client_credentials")
        _damage_a_key(desk)
        desk.home.ask(lambda store: store.administration.announce_keys())
        desk.clock.move(10)
        assert desk.is_active(granted.access_token)
        assert desk.is_active(desk.token(grant_type="client_credentials").access_token)

    def test_does_not_start_on_it(self, desk: Desk) -> None:
        _damage_a_key(desk)
        with pytest.raises(ConfigurationError):
            assembly.open_issuer(desk.home.source)

    def test_mints_what_it_was_permitted(self, desk: Desk) -> None:
        permission = Permission(
            client_id="service",
            subject="service",
            scope=("read",),
            audience=("https://a.example", "https://b.example"),
            authorities=(),
            lifetime_in=1,
        )
        claims = claims_of(desk.issuer.mint(permission, (1 << 20) + 7, now=desk.clock.at))
        assert claims["aud"] == ["https://a.example", "https://b.example"]
        assert claims["status"]["status_list"] == {
            "idx": 7,
            "uri": f"{desk.issuer.settings.issuer}/oauth/status/{desk.issuer.store.epoch}-1",
        }

    def test_answers_a_refused_request_the_same_twice(self, desk: Desk) -> None:
        for _ in range(2):
            with pytest.raises(InvalidGrant):
                desk.run(token.answer(desk.issuer, request("service", grant_type="refresh_token", refresh_token="x")))
        assert SECRET not in str(desk.events)


def _damage_a_key(desk: Desk) -> None:
    """The one that signs access tokens."""
    (path,) = desk.home.source.keys.glob("ES256-*.key.json")
    path.write_text("{")


async def _positions(store: object) -> int:
    row = store._reader.execute("SELECT next_position FROM state").fetchall()  # type: ignore[attr-defined]
    return int(row[0][0])
