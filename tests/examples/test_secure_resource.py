"""SkyVault's secure resource beside `jwtauth dev --dialect skyvault`, verified offline (SEEDS S7)."""

from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.examples import programs
from tests.examples.programs import Example
from tests.support import plain
from tests.support.live import LiveServer

APP: Final = ("SkyVaultapp", "secret")
WITHIN: Final = 60.0
"""A verifier sees a revocation within `status_list_ttl`, which is 15 s unless set, and a poll."""


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The demonstration."""
    options = ("--dialect", "skyvault")
    soon = {"JWTAUTH_STATUS_LIST_TTL": "1"}
    with LiveServer(tmp_path_factory.mktemp("issuer"), command="dev", options=options, environment=soon) as server:
        yield server


@pytest.fixture(scope="module")
def example(issuer: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    """The resource, told nothing but the issuer."""
    with programs.secure_resource(tmp_path_factory.mktemp("example"), {"ISSUER": issuer.url}) as running:
        yield running


def ask(issuer: LiveServer, path: str, *, auth: tuple[str, str] = APP) -> httpx.Response:
    return plain.post(f"{issuer.url}{path}", auth=auth, timeout=20)


def token(issuer: LiveServer) -> str:
    """A person's token, asked for as the documentation does."""
    answer = ask(issuer, "/oauth/token?username=admin&password=tiger&grant_type=password")
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["access_token"]
    return found


class TestSecure:
    def test_greets_whoever_holds_a_token(self, issuer: LiveServer, example: Example) -> None:
        answer = example.get("/secure", token(issuer))
        assert (answer.status_code, answer.text) == (200, "Secure Hello!")

    def test_greets_a_client_without_a_person_too(self, issuer: LiveServer, example: Example) -> None:
        answer = ask(issuer, "/oauth/token?grant_type=client_credentials")
        assert example.get("/secure", answer.json()["access_token"]).text == "Secure Hello!"

    @pytest.mark.parametrize("shown", [None, "no-token", "changed"])
    def test_greets_nobody_else(self, issuer: LiveServer, example: Example, shown: str | None) -> None:
        changed = token(issuer)[:-8] + "AAAAAAAA"
        answer = example.get("/secure", changed if shown == "changed" else shown)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert "Hello" not in answer.text

    def test_takes_no_token_from_the_query(self, issuer: LiveServer, example: Example) -> None:
        assert example.get(f"/secure?access_token={token(issuer)}").status_code == 401

    def test_asks_nobody(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """With keys and lists in memory a token passes while the issuer is gone."""
        with LiveServer(tmp_path_factory.mktemp("gone"), command="dev", options=("--dialect", "skyvault")) as issuer:
            shown = token(issuer)
            with programs.secure_resource(tmp_path_factory.mktemp("alone"), {"ISSUER": issuer.url}) as example:
                example.eventually(200, "/secure", shown, within=WITHIN)
                issuer.stop()
                assert example.get("/secure", shown).text == "Secure Hello!"

    def test_greets_nobody_with_a_revoked_token(self, issuer: LiveServer, example: Example) -> None:
        shown = token(issuer)
        assert example.get("/secure", shown).status_code == 200
        assert plain.post(f"{issuer.url}/oauth/revoke", data={"token": shown}, auth=APP).status_code == 200
        assert "revoked" in example.eventually(401, "/secure", shown, within=WITHIN).text
