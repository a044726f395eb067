""" "Sign in with NAME": a person's browser between two real servers, and everything that may happen on the way."""

from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests.attacks.forging import cookie
from tests.stories.two_servers import CALLBACK_PATH, THERE, TwoServers, running
from tests.support.home import PASSWORD, SECRET
from tests.support.live import free_port
from tests.support.person import CALLBACK, Person, answer, find_form, has_field, redemption, title
from tests.web.people import CODE, OIDC
from tests.web.site import claims_of

BUTTON: Final = ("upstream", "1")
DENIED: Final = "You are not signed in"
FAILED: Final = "Signing in there did not work"
UNKNOWN: Final = "No access with that account"
ELSEWHERE: Final = "This sign-in was started elsewhere"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoServers]:
    for pair in running(tmp_path_factory.mktemp("pair")):
        url = pair.there.server.url
        asked_by_userinfo = {
            "user_authorization_uri": f"{url}/oauth/authorize",
            "issuer": url,
            "sends_iss": True,
            "userinfo_uri": f"{url}/oauth/userinfo",
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "username_claim": "preferred_username",
            "scope": ("openid", "profile"),
        }
        application(pair, "web", **asked_by_userinfo)
        by_introspection = {**pair.members("introspection"), "user_authorization_uri": f"{url}/oauth/authorize"}
        application(pair, "old", **by_introspection, issuer=url)
        application(pair, "nameless", **by_introspection)
        nowhere = f"http://127.0.0.1:{free_port()}"
        application(pair, "cut-off", url=nowhere, **asked_by_userinfo)
        for realm in ("realm-web", "realm-old", "realm-nameless", "realm-cut-off"):
            pair.join("ada", realm)
        home = pair.here.home
        home.user("eve", roles={"realm-web": ()})
        pair.there.home.user("eve", THERE)
        home.user("dora")
        pair.there.home.user("dora", THERE)
        home.client("plain-web", scope=OIDC, grant_types=CODE, redirect_uris=(CALLBACK,))
        yield pair


def application(pair: TwoServers, client_id: str, **members: Any) -> None:
    """An application of a realm whose people may sign in at an upstream."""
    realm = pair.trust(f"realm-{client_id}", **members)
    home = pair.here.home
    home.client(client_id, realm=realm, scope=OIDC, grant_types=CODE, redirect_uris=(CALLBACK,), name="Example Web")


class Traveller:
    """One browser, with its cookies here and there."""

    def __init__(self, pair: TwoServers) -> None:
        self.here, self.there = Person(pair.here.server.url), Person(pair.there.server.url)

    def close(self) -> None:
        self.here.http.close()
        self.there.http.close()

    def leave(self, client_id: str = "web", **changes: str) -> httpx.URL:
        """Go to an application and press the button; where the browser is sent."""
        return self.press(self.here.authorize(client_id, **changes))

    def press(self, page: httpx.Response) -> httpx.URL:
        sent = self.here.submit(page, BUTTON)
        assert sent.status_code == 303, title(sent)
        return httpx.URL(sent.headers["location"])

    def sign_in_there(self, uri: httpx.URL, username: str = "ada") -> httpx.URL:
        """Sign in and allow what is asked there; where the browser is sent back to."""
        seen = self.there.open(str(uri))
        if has_field(seen, "password"):
            seen = self.there.sign_in(seen, username, THERE)
        if has_field(seen, "decision"):
            seen = self.there.allow(seen)
        return sent_back(seen)

    def come_back(self, uri: httpx.URL) -> httpx.Response:
        return self.here.open(str(uri))

    def is_signed_in(self, client_id: str = "web") -> bool:
        """Whether this application's people are known here: it is not told that somebody has to sign in."""
        return answer(self.here.authorize(client_id, prompt="none")).get("error") != "login_required"


def sent_back(seen: httpx.Response) -> httpx.URL:
    assert seen.status_code == 303, title(seen)
    return httpx.URL(seen.headers["location"])


@pytest.fixture
def ada(pair: TwoServers) -> Iterator[Traveller]:
    traveller = Traveller(pair)
    yield traveller
    traveller.close()


@pytest.fixture
def mallory(pair: TwoServers) -> Iterator[Traveller]:
    traveller = Traveller(pair)
    yield traveller
    traveller.close()


def tokens(pair: TwoServers, ada: Traveller, seen: httpx.Response, client_id: str) -> dict[str, Any]:
    """What the application gets once the person allowed it."""
    code = answer(ada.here.allow(seen) if has_field(seen, "decision") else seen)["code"]
    return pair.here.granted(redemption(code), auth=(client_id, SECRET))


class TestSigningIn:
    @pytest.mark.parametrize("client_id", ["web", "old"])
    def test_leads_there_and_back_to_the_application(self, pair: TwoServers, ada: Traveller, client_id: str) -> None:
        uri = ada.leave(client_id)
        assert str(uri).startswith(f"{pair.there.server.url}/oauth/authorize?")
        seen = ada.come_back(ada.sign_in_there(uri))
        given = tokens(pair, ada, seen, client_id)
        said = pair.here.http.get(
            "/oauth/userinfo", headers={"authorization": f"Bearer {given['access_token']}"}
        ).json()
        assert said["sub"] == "u.ada"
        assert said["preferred_username"] == "ada"
        assert ada.is_signed_in(client_id)

    def test_binds_the_realm_whose_upstream_it_is_and_no_other(self, pair: TwoServers, ada: Traveller) -> None:
        """Else one realm's upstream could sign in whoever it likes at all of them."""
        seen = ada.come_back(ada.sign_in_there(ada.leave("web")))
        given = tokens(pair, ada, seen, "web")
        assert "amr" not in claims_of(given["id_token"])
        assert ada.is_signed_in("web")
        assert not ada.is_signed_in("plain-web")
        assert not ada.is_signed_in("old")
        assert has_field(ada.here.authorize("plain-web"), "password")
        assert has_field(ada.here.open("/account"), "password")

    def test_opens_the_account_of_somebody_whom_no_other_realm_knows(self, pair: TwoServers, ada: Traveller) -> None:
        ada.come_back(ada.sign_in_there(ada.leave("web"), "eve"))
        assert title(ada.here.open("/account")).startswith("Your account")

    def test_counts_everywhere_once_the_password_was_right_here(self, pair: TwoServers, ada: Traveller) -> None:
        ada.come_back(ada.sign_in_there(ada.leave("web")))
        ada.here.sign_in(ada.here.authorize("plain-web"))
        assert ada.is_signed_in("plain-web")
        assert ada.is_signed_in("web")

    def test_asks_there_for_a_code_with_everything_that_protects_it(self, pair: TwoServers, ada: Traveller) -> None:
        uri = ada.leave()
        asked = dict(uri.params)
        assert asked.pop("state")
        assert asked.pop("nonce")
        assert len(asked.pop("code_challenge")) == 43
        assert asked == {
            "response_type": "code",
            "client_id": "jwtauth",
            "redirect_uri": f"{pair.here.server.url}{CALLBACK_PATH}?realm=realm-web",
            "scope": "openid profile",
            "code_challenge_method": "S256",
        }
        again = dict(ada.leave().params)
        assert all(dict(uri.params)[name] != again[name] for name in ("state", "nonce", "code_challenge"))

    def test_passes_on_that_the_person_has_to_sign_in_again(self, ada: Traveller) -> None:
        ada.come_back(ada.sign_in_there(ada.leave()))
        page = ada.here.authorize(prompt="login")
        uri = ada.press(page)
        assert dict(uri.params)["prompt"] == "login"
        assert has_field(ada.there.open(str(uri)), "password"), "although signed in there"

    def test_gives_the_browser_a_new_session(self, ada: Traveller) -> None:
        """SECURITY B-02."""
        ada.come_back(ada.sign_in_there(ada.leave()))
        before = cookie(ada.here, "session")
        ada.come_back(ada.sign_in_there(ada.leave(prompt="login")))
        assert before
        assert cookie(ada.here, "session") not in ("", before)

    def test_may_lead_from_the_form_to_there(self, ada: Traveller) -> None:
        """Browsers check a form's redirects against the page's policy."""
        policy = ada.here.authorize().headers["content-security-policy"]
        assert "form-action 'self' https: http:;" in policy

    def test_is_not_offered_where_the_realm_has_no_upstream(self, ada: Traveller) -> None:
        page = ada.here.authorize("plain-web")
        assert has_field(page, "password")
        assert not has_field(page, "upstream")

    def test_is_not_to_be_had_by_force_where_the_realm_has_none(self, ada: Traveller) -> None:
        page = ada.here.authorize("plain-web")
        fields = find_form(page, ["csrf"]).values
        seen = ada.here.follow(ada.here.http.post("/login/upstream", data=fields))
        assert FAILED in title(seen)

    def test_leads_to_the_account_page_too(self, pair: TwoServers, ada: Traveller) -> None:
        url = pair.there.server.url
        upstream = pair.here.home.realm("realm-web").upstream
        pair.here.home.realm("default", upstream=upstream)
        try:
            page = ada.here.open("/login")
            uri = ada.press(page)
            assert str(uri).startswith(url)
            assert title(ada.come_back(ada.sign_in_there(uri, "dora"))).startswith("Your account")
        finally:
            pair.here.home.realm("default", upstream=None)


class TestRefusal:
    """Each leads back to the sign-in page, where the password still works."""

    def refused(self, ada: Traveller, seen: httpx.Response, problem: str) -> None:
        assert problem in title(seen)
        assert seen.status_code == 400
        assert not ada.is_signed_in()
        signed_in = ada.here.sign_in(seen, "ada", PASSWORD)
        assert has_field(signed_in, "decision") or signed_in.headers["location"].startswith(CALLBACK)

    def test_of_the_person_is_taken_calmly(self, ada: Traveller) -> None:
        seen = ada.there.open(str(ada.leave()))
        declined = sent_back(ada.there.submit(seen, ("cancel", "1")))
        assert dict(declined.params)["error"] == "access_denied"
        self.refused(ada, ada.come_back(declined), DENIED)

    def test_by_another_error_says_no_more_than_that_it_did_not_work(self, ada: Traveller) -> None:
        there = ada.leave()
        back = ada.sign_in_there(there.copy_set_param("scope", "no-such-scope"))
        assert dict(back.params)["error"] == "invalid_scope"
        self.refused(ada, ada.come_back(back), FAILED)

    @pytest.mark.parametrize("username", ["mallory", "bob"])
    def test_of_who_is_unknown_here_or_no_member(self, ada: Traveller, username: str) -> None:
        """Bob has an account here, though not in this realm; nobody is told that."""
        self.refused(ada, ada.come_back(ada.sign_in_there(ada.leave(), username)), UNKNOWN)

    def test_of_who_is_unknown_here_lets_the_person_choose_another_account_there(self, ada: Traveller) -> None:
        page = ada.come_back(ada.sign_in_there(ada.leave(), "mallory"))
        assert ada.press(page).params["prompt"] == "login"

    def test_of_an_answer_that_was_meant_for_another_realm(self, ada: Traveller) -> None:
        """RFC 9700 section 4.4.2: else the code of one upstream would be shown to another."""
        back = ada.sign_in_there(ada.leave("web"))
        assert back.params["realm"] == "realm-web"
        assert FAILED in title(ada.come_back(back.copy_set_param("realm", "realm-old")))
        assert FAILED in title(ada.come_back(back.copy_remove_param("realm")))
        assert not ada.is_signed_in()

    def test_of_an_answer_that_another_server_gave(self, ada: Traveller) -> None:
        """SECURITY Z-13: the code is not taken to anybody, so it is as good as before."""
        back = ada.sign_in_there(ada.leave())
        for iss in ("https://evil.example", f"{back.params['iss']}/", ""):
            tampered = back.copy_set_param("iss", iss) if iss else back.copy_remove_param("iss")
            assert FAILED in title(ada.come_back(tampered))
            assert not ada.is_signed_in()
        assert FAILED in title(ada.come_back(httpx.URL(f"{back}&iss=https://evil.example")))
        assert FAILED not in title(ada.come_back(back))
        assert ada.is_signed_in()

    def test_of_an_error_that_another_server_sent(self, ada: Traveller) -> None:
        seen = ada.there.open(str(ada.leave()))
        declined = sent_back(ada.there.submit(seen, ("cancel", "1")))
        self.refused(ada, ada.come_back(declined.copy_set_param("iss", "https://evil.example")), FAILED)

    def test_of_an_issuer_that_cannot_be_compared(self, ada: Traveller) -> None:
        """The upstream has no issuer in its settings: nobody else's answer is taken for its own."""
        back = ada.sign_in_there(ada.leave("nameless"))
        assert "iss" in back.params
        self.refused(ada, ada.come_back(back), FAILED)

    def test_of_an_id_token_for_another_attempt(self, ada: Traveller) -> None:
        back = ada.sign_in_there(ada.leave().copy_set_param("nonce", "another-nonce"))
        self.refused(ada, ada.come_back(back), FAILED)

    def test_of_a_code_for_another_attempt(self, ada: Traveller) -> None:
        """An injected code: its challenge is of another verifier (RFC 9700 section 4.5)."""
        first, second = ada.leave(), ada.leave()
        code = ada.sign_in_there(second).params["code"]
        back = ada.sign_in_there(first)
        self.refused(ada, ada.come_back(back.copy_set_param("code", code)), FAILED)

    @pytest.mark.parametrize("code", ["", "ac_made-up", "x" * 4_000])
    def test_of_a_code_that_is_none(self, ada: Traveller, code: str) -> None:
        back = ada.sign_in_there(ada.leave())
        self.refused(ada, ada.come_back(back.copy_set_param("code", code)), FAILED)

    def test_where_the_upstream_cannot_be_asked(self, ada: Traveller) -> None:
        self.refused(ada, ada.come_back(ada.sign_in_there(ada.leave("cut-off"))), FAILED)

    @pytest.mark.parametrize("state", ["", "x", "A" * 600])
    def test_of_a_state_that_is_not_ours(self, ada: Traveller, state: str) -> None:
        back = ada.sign_in_there(ada.leave())
        seen = ada.come_back(back.copy_set_param("state", state))
        assert seen.status_code == 400
        assert not has_field(seen, "password")
        assert not ada.is_signed_in()

    def test_of_a_transaction_in_the_place_of_a_state(self, ada: Traveller) -> None:
        """What is sealed for one use is of no other."""
        page = ada.here.authorize()
        transaction = find_form(page, ["password"]).values["transaction"]
        back = ada.sign_in_there(ada.leave())
        assert ada.come_back(back.copy_set_param("state", transaction)).status_code == 400
        state = back.params["state"]
        assert ada.here.open("/login", {"transaction": state}).status_code == 400


class TestOtherBrowsers:
    def test_get_nothing_from_a_stolen_answer(self, ada: Traveller, mallory: Traveller) -> None:
        """SECURITY B-07: and the code still serves whom it is for."""
        mallory.here.open("/login")
        back = ada.sign_in_there(ada.leave())
        assert title(mallory.come_back(back)).startswith(ELSEWHERE)
        assert not mallory.is_signed_in()
        ada.come_back(back)
        assert ada.is_signed_in()

    def test_cannot_be_signed_in_as_somebody_else(self, ada: Traveller, mallory: Traveller) -> None:
        """SECURITY B-04: login CSRF; Mallory has an account there and sends Ada a link."""
        back = mallory.sign_in_there(mallory.leave(), "eve")
        ada.here.open("/login")
        assert title(ada.come_back(back)).startswith(ELSEWHERE)
        assert not ada.is_signed_in()

    def test_cannot_press_the_button_for_the_person(self, ada: Traveller, mallory: Traveller) -> None:
        """SECURITY B-05."""
        form = find_form(mallory.here.authorize(), ["upstream"])
        ada.here.open("/login")
        for fields in ({**form.values, "upstream": "1"}, {"upstream": "1"}):
            seen = ada.here.http.post("/login/upstream", data=fields)
            assert seen.status_code == 400
        evil = {"origin": "https://evil.example"}
        own = find_form(ada.here.authorize(), ["upstream"]).values
        assert ada.here.http.post("/login/upstream", data=own, headers=evil).status_code == 400


class TestTheStateSignsInOnce:
    def test_so_an_answer_that_is_opened_again_goes_on_as_before(self, ada: Traveller) -> None:
        back = ada.sign_in_there(ada.leave())
        ada.come_back(back)
        session = cookie(ada.here, "session")
        seen = ada.come_back(back)
        assert has_field(seen, "decision") or seen.headers["location"].startswith(CALLBACK)
        assert cookie(ada.here, "session") == session

    def test_so_a_fresh_code_of_somebody_else_is_not_even_looked_at(self, ada: Traveller, mallory: Traveller) -> None:
        there = ada.leave()
        ada.come_back(ada.sign_in_there(there))
        session = cookie(ada.here, "session")
        code = mallory.sign_in_there(there, "eve").params["code"]
        ada.come_back(ada.sign_in_there(there).copy_set_param("code", code))
        assert cookie(ada.here, "session") == session
        assert ada.is_signed_in()
