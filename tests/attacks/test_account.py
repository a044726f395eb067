"""What a person takes back is gone at once, and only the person can (SECURITY F-12, R-06, B-04; DESIGN "Sessions")."""

import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.attacks.forging import INJECTIONS, cookie, credentials, hidden, plant, send, tried
from tests.attacks.pages import assert_stays, text
from tests.support.home import PASSWORD, SECRET
from tests.support.person import Person, answer, find_form, has_field, redemption
from tests.web.people import Service
from tests.web.site import assert_refused

OFFLINE: Final = "openid profile offline_access"
NEW_PASSWORD: Final = "an entirely new password"


class Holder:
    """What an application holds for a person: tokens with and without offline access, and a fresh code."""

    def __init__(self, service: Service, person: Person, client_id: str = "web") -> None:
        self.client_id, self._service = client_id, service
        self.online = service.tokens(person, client_id, scope="openid profile")
        self.offline = service.tokens(person, client_id, scope=OFFLINE)
        self.code = person.grant(client_id, scope="openid profile")["code"]

    def assert_lost(self, *, keeps_offline: bool = False) -> None:
        """Nothing works any more, at any endpoint."""
        service, auth = self._service, (self.client_id, SECRET)
        lost = [self.online] if keeps_offline else [self.online, self.offline]
        for tokens in lost:
            assert_refused(service.refresh(tokens["refresh_token"], auth=auth), 400, "invalid_grant")
            assert service.userinfo(tokens["access_token"]).status_code == 401
            assert not service.is_active(tokens["access_token"], auth=auth)
        assert_refused(service.redeem(self.code, client_id=self.client_id), 400, "invalid_grant")
        if keeps_offline:
            assert service.refresh(self.offline["refresh_token"], auth=auth).status_code == 200

    def assert_kept(self) -> None:
        """Everything works on."""
        assert self._service.redeem(self.code, client_id=self.client_id).status_code == 200
        for tokens in (self.online, self.offline):
            assert self._service.userinfo(tokens["access_token"]).status_code == 200
            refreshed = self._service.refresh(tokens["refresh_token"], auth=(self.client_id, SECRET))
            assert refreshed.status_code == 200


class Owner(Person):
    """A person of the test's own, signed in."""

    def __init__(self, service: Service, username: str) -> None:
        super().__init__(service.server.url)
        self.username = username
        service.home.user(username)
        tried(self, self.open("/login"), credentials(username))


@pytest.fixture
def carol(service: Service) -> Iterator[Owner]:
    """Owns an account that no other test knows."""
    with Owner(service, f"carol-{time.monotonic_ns()}") as person:
        yield person


class TestWithdrawing:  # SECURITY F-12
    def test_f_12_the_access_of_an_application_ends_all_it_holds(self, service: Service, carol: Owner) -> None:
        holder, other = Holder(service, carol), Holder(service, carol, "web2")
        page = carol.open("/account")
        assert "Example Web" in text(page)
        after = tried(carol, page, {"action": "end_application", "client_id": "web", "sid": ""})
        assert "Example Web" not in text(after)
        holder.assert_lost()
        other.assert_kept()
        assert answer(carol.authorize("web", prompt="none"))["error"] == "consent_required"

    def test_f_12_ends_what_another_tab_is_about_to_begin(self, service: Service, carol: Owner) -> None:
        """A code that was on its way when the person withdrew is worth nothing."""
        code = carol.grant("web")["code"]
        tried(carol, carol.open("/account"), {"action": "end_application", "client_id": "web", "sid": ""})
        assert_refused(service.redeem(code), 400, "invalid_grant")

    def test_f_12_a_session_ends_what_has_no_offline_access(self, service: Service, carol: Owner) -> None:
        holder = Holder(service, carol)
        carol.submit(carol.open("/oauth/logout"), ("decision", "sign_out"))
        holder.assert_lost(keeps_offline=True)

    @pytest.mark.parametrize(
        "change",
        [
            {"action": "end_all"},
            {
                "action": "change_password",
                "current_password": PASSWORD,
                "new_password": NEW_PASSWORD,
                "repeated_password": NEW_PASSWORD,
            },
        ],
        ids=["sign out everywhere", "new password"],
    )
    def test_f_12_everything_ends_every_browser_and_every_token(
        self, service: Service, carol: Owner, change: dict[str, str]
    ) -> None:
        holder = Holder(service, carol)
        before = cookie(carol, "session")
        with service.browser() as elsewhere, service.browser() as thief:
            tried(elsewhere, elsewhere.open("/login"), credentials(carol.username))
            transaction = elsewhere.authorize("web2")
            plant(thief, "session", before)
            tried(carol, carol.open("/account"), {"sid": "", **change})
            holder.assert_lost()
            for person in (elsewhere, thief):
                assert has_field(person.open("/login"), "password")
            assert has_field(elsewhere.allow(transaction), "password")
        assert cookie(carol, "session") != before

    def test_f_12_a_new_password_is_the_only_one(self, service: Service, carol: Owner) -> None:
        form = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "repeated_password": NEW_PASSWORD}
        tried(carol, carol.open("/account"), {"action": "change_password", "sid": "", **form})
        with service.browser() as person:
            page = person.authorize("own")
            assert_stays(tried(person, page, credentials(carol.username)))
            assert "code" in answer(tried(person, page, credentials(carol.username, NEW_PASSWORD)))

    @pytest.mark.parametrize(
        "form",
        [
            {},
            {"current_password": "wrong"},
            {"current_password": ""},
            {"new_password": "short", "repeated_password": "short"},
            {"new_password": "another password", "repeated_password": "an other password"},
            {"new_password": "x" * 1_025, "repeated_password": "x" * 1_025},
        ],
    )
    def test_f_12_the_password_changes_only_with_the_present_one(
        self, service: Service, carol: Owner, form: dict[str, str]
    ) -> None:
        usual = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "repeated_password": NEW_PASSWORD}
        changes = {"action": "change_password", "sid": "", **({**usual, **form} if form else {})}
        assert_stays(tried(carol, carol.open("/account"), changes))
        with service.browser() as person:
            assert "code" in answer(tried(person, person.authorize("own"), credentials(carol.username)))

    @pytest.mark.parametrize("how", ["user disabled", "client disabled"])
    def test_f_12_by_the_operator_works_at_once(self, service: Service, carol: Owner, how: str) -> None:
        name = f"doomed-{time.monotonic_ns()}"
        doomed = service.home.client(
            name, scope=("openid", "profile", "offline_access"), redirect_uris=(redemption("")["redirect_uri"],)
        )
        holder, now = Holder(service, carol, name), int(time.time())
        page = carol.authorize(name, prompt="consent")
        user = service.home.ask(lambda store: store.directory.user_named(carol.username))
        assert user is not None
        if how == "user disabled":
            service.home.ask(lambda store: store.administration.disable_user(user, now=now))
            holder.assert_lost()
            assert has_field(carol.open("/login"), "password")
            assert "code=" not in carol.allow(page).headers.get("location", "")
        else:
            service.home.ask(lambda store: store.administration.disable_client(doomed, now=now))
            assert_refused(service.redeem(holder.code, client_id=name), 401, "invalid_client")
            assert_stays(carol.allow(page))
            assert_stays(carol.authorize(name))


class TestOtherPeople:
    def test_end_no_session_that_is_not_theirs(self, service: Service, carol: Owner) -> None:
        """The public name of a session is no key to it."""
        mine = hidden(carol.open("/account"), "sid")
        with service.browser() as attacker:
            tried(attacker, attacker.open("/login"), credentials("bob"))
            account = attacker.open("/account")
            for value in (mine, *INJECTIONS, "", "%", mine.lower()):
                tried(attacker, account, {"action": "end_session", "sid": value})
        assert not has_field(carol.open("/login"), "password")

    def test_withdraw_nothing_that_is_not_theirs(self, service: Service, carol: Owner) -> None:
        holder = Holder(service, carol)
        with service.browser() as attacker:
            tried(attacker, attacker.open("/login"), credentials("bob"))
            account = attacker.open("/account")
            for value in ("web", carol.username, *INJECTIONS, "", "%"):
                fields = {"action": "end_application", "client_id": value, "username": carol.username, "sid": ""}
                tried(attacker, account, fields)
            for action in ("end_all", "change_password"):
                tried(attacker, account, {"action": action, "username": carol.username, "sub": "u.ada", "uid": "1"})
        holder.assert_kept()

    def test_see_nothing_of_each_other(self, service: Service, carol: Owner) -> None:
        Holder(service, carol)
        with service.browser(**{"user-agent": "Mozilla/5.0 (Windows) Firefox/1"}) as attacker:
            tried(attacker, attacker.open("/login"), credentials("bob"))
            page = attacker.open("/account", {"username": carol.username, "user": "1", "uid": "1", "sub": "u.ada"})
            assert carol.username not in page.text
            assert hidden(carol.open("/account"), "sid") not in page.text

    @pytest.mark.parametrize("path", ["/account", "/consent"])
    def test_without_session_see_and_change_nothing(self, service: Service, path: str) -> None:
        with service.browser() as nobody, service.writing_nothing():
            page = nobody.open("/login")
            fields = {**find_form(page, ["csrf"]).values, "action": "end_all", "decision": "allow"}
            found = nobody.follow(nobody.http.post(path, data=fields, headers={"origin": nobody.url}))
            assert_stays(found, 200, 400)

    @pytest.mark.parametrize("action", ["", "delete", "END_ALL", "_end_all", "__class__", "end_all ", *INJECTIONS])
    def test_unknown_actions_do_nothing(self, service: Service, carol: Owner, action: str) -> None:
        holder = Holder(service, carol)
        assert_stays(send(carol, carol.open("/account"), {"action": action}))
        holder.assert_kept()
