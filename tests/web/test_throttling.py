"""Guessing costs time, the owner gets in again, and waiting tells nothing (SECURITY B-10, B-11)."""

import json
from collections.abc import Callable, Mapping

import httpx
import pytest
from click.testing import CliRunner

from jwtauth.cli.commands import root
from jwtauth.protocol.throttling import ACCOUNT
from tests.support.home import PASSWORD, SECRET
from tests.web.site import CHOSEN_SECRET, Site, assert_refused, bucket, chosen_secret

MACHINE = {"grant_type": "client_credentials"}


def sign_in(site: Site, username: str, password: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return site.token({"grant_type": "password", "username": username, "password": password}, headers=headers)


def guess_until_refused(guess: Callable[[], httpx.Response], status: int, code: str) -> httpx.Response:
    """The first answer that asks to wait; at least five guesses are looked at before."""
    for number in range(12):
        response = guess()
        if response.status_code == 429:
            assert number >= ACCOUNT.free
            assert_refused(response, 429, "temporarily_unavailable")
            assert int(response.headers["retry-after"]) >= 1
            return response
        assert_refused(response, status, code)
    raise AssertionError("nobody was asked to wait")


@pytest.fixture(scope="module", autouse=True)
def people(site: Site) -> None:
    for name in ("patient", "hasty", "timeless", "forgetful"):
        site.home.user(name)
    gone = site.home.user("gone")
    site.home.ask(lambda store: store.administration.disable_user(gone, now=1))
    site.home.user("elsewhere", roles={"abroad": ()})


class TestAPerson:
    @pytest.mark.parametrize(
        ("username", "password"),
        [
            pytest.param("patient", "wrong", id="wrong password"),
            pytest.param("nobody-at-all", PASSWORD, id="unknown"),
            pytest.param("gone", PASSWORD, id="disabled, right password"),
            pytest.param("elsewhere", PASSWORD, id="no member, right password"),
        ],
    )
    def test_waits_after_five_wrong_guesses_whoever_it_is(self, site: Site, username: str, password: str) -> None:
        """The right password of somebody who may not come in is throttled too: else it would give itself away."""
        guess_until_refused(lambda: sign_in(site, username, password), 400, "invalid_grant")

    def test_waits_no_longer_once_an_operator_says_so(self, site: Site) -> None:
        site.home.user("locked")
        guess_until_refused(lambda: sign_in(site, "locked", "wrong"), 400, "invalid_grant")
        done = CliRunner().invoke(root, ["--folder", str(site.home.path), "user", "unlock", "locked", "--json"])
        assert json.loads(done.stdout) == {"username": "locked", "unlocked": True}
        assert sign_in(site, "locked", PASSWORD).status_code == 200

    def test_waits_longer_with_every_guess_but_never_for_good(self, site: Site) -> None:
        """Also where the last guess seems to lie in the future: a clock that was set back adds nothing (S-06)."""
        account = bucket("user timeless")
        waits = []
        for count in (5, 6, 10, 60, 1 << 40):
            site.execute("DELETE FROM attempts WHERE bucket = ?", account)
            site.execute("INSERT INTO attempts VALUES (?, ?, strftime('%s', 'now') + 50)", account, count)
            response = sign_in(site, "timeless", PASSWORD)
            assert_refused(response, 429, "temporarily_unavailable")
            waits.append(int(response.headers["retry-after"]))
        assert waits == [1, 2, 32, ACCOUNT.longest_wait_in, ACCOUNT.longest_wait_in]

    def test_is_let_in_with_the_right_password_after_the_wait(self, site: Site) -> None:
        site.execute("INSERT INTO attempts VALUES (?, 9, strftime('%s', 'now') + 1)", bucket("user hasty"))
        assert_refused(sign_in(site, "hasty", PASSWORD), 429, "temporarily_unavailable")
        site.let_wait_pass("user hasty")
        assert sign_in(site, "hasty", PASSWORD).status_code == 200
        assert sign_in(site, "hasty", "wrong").status_code == 400
        assert sign_in(site, "hasty", PASSWORD).status_code == 200

    def test_waits_on_without_being_looked_at(self, site: Site) -> None:
        site.execute("INSERT INTO attempts VALUES (?, 9, strftime('%s', 'now') + 1)", bucket("user forgetful"))
        with site.writing_nothing():
            for password in ("wrong", PASSWORD):
                assert_refused(sign_in(site, "forgetful", password), 429, "temporarily_unavailable")

    def test_cannot_escape_by_another_address(self, site: Site) -> None:
        site.execute("INSERT INTO attempts VALUES (?, 9, strftime('%s', 'now') + 1)", bucket("user rotating"))
        for number in range(5):
            headers = {"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}"}
            assert_refused(sign_in(site, "rotating", "wrong", headers), 429, "temporarily_unavailable")

    def test_does_not_make_others_wait(self, site: Site) -> None:
        assert sign_in(site, "ada", PASSWORD).status_code == 200


class TestAClientWithAChosenSecret:
    def test_waits_after_five_wrong_guesses_and_then_gets_in(self, site: Site) -> None:
        site.home.client("guessed", secrets=(chosen_secret(CHOSEN_SECRET),))
        guess_until_refused(lambda: site.token(MACHINE, auth=("guessed", "wrong")), 401, "invalid_client")
        site.execute("UPDATE attempts SET count = 9 WHERE bucket = ?", bucket("client guessed"))
        assert_refused(site.token(MACHINE, auth=("guessed", CHOSEN_SECRET)), 429, "temporarily_unavailable")
        site.let_wait_pass("client guessed")
        assert site.token(MACHINE, auth=("guessed", CHOSEN_SECRET)).status_code == 200

    def test_goes_on_working_while_somebody_guesses(self, site: Site) -> None:
        """A secret that was proven once is remembered: guessing locks nobody out."""
        assert site.token(MACHINE, auth=("chosen", CHOSEN_SECRET)).status_code == 200
        guess_until_refused(lambda: site.token(MACHINE, auth=("chosen", "wrong")), 401, "invalid_client")
        assert site.token(MACHINE, auth=("chosen", CHOSEN_SECRET)).status_code == 200

    def test_is_guessed_at_every_endpoint_together(self, site: Site) -> None:
        site.home.client("hunted", secrets=(chosen_secret(CHOSEN_SECRET),))
        paths = iter(["/oauth/token", "/oauth/introspect", "/oauth/check_token", "/oauth/revoke"] * 3)
        form = {**MACHINE, "token": "x"}
        guess_until_refused(lambda: site.post(next(paths), form, auth=("hunted", "wrong")), 401, "invalid_client")

    def test_with_a_generated_secret_is_never_throttled(self, site: Site) -> None:
        """256 random bits cannot be guessed; counting them would only let strangers lock the client out."""
        with site.writing_nothing():
            for _ in range(20):
                assert site.token(MACHINE, auth=("service", "wrong")).status_code == 401
        assert site.token(MACHINE, auth=("service", SECRET)).status_code == 200
