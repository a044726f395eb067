"""A grant of a realm's own: the module of docs/migrating/custom-grants.md, and one that does everything wrong."""

import hmac
import re
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from jwtauth.protocol.custom_grant import Permit
from jwtauth.protocol.records import AuthMethod, GrantType
from tests.support import plain
from tests.support.home import SECRET, Home
from tests.support.live import LiveServer
from tests.web.site import basic, claims_of

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "migrating" / "custom-grants.md"
TEXT: Final = DOCUMENT.read_text(encoding="utf-8")
BADGE: Final = "urn:example:badge"
WHIM: Final = "urn:example:whim"
KEY: Final = "the-key-that-readers-share-with-us"
CUSTOM: Final = (BADGE, WHIM, GrantType.REFRESH_TOKEN)

WHIMS: Final = '''
"""Allows whatever the request wishes for."""

from jwtauth.errors import InvalidRequest, InvalidScope
from jwtauth.protocol.custom_grant import Permit

WHIMS = {
    "machine": Permit(),
    "narrow": Permit(username="ada", scope="read"),
    "wide": Permit(username="ada", scope="read everything"),
    "nobody": Permit(username="nobody"),
    "outsider": Permit(username="eve"),
    "disabled": Permit(username="bob"),
    "nothing": None,
    "number": Permit(username="ada", scope=42),
    "surrogate": Permit(username="\\ud800"),
}


async def decide(request, client, *, now):
    match request["whim"]:
        case "names":
            raise InvalidRequest(" ".join(sorted(request)))
        case "refuse":
            raise InvalidScope(f"client {client.client_id} is out of luck at {now}")
        case "break":
            raise ValueError("secret is PIN-4711")
        case whim:
            return WHIMS[whim]
'''


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A realm with two grants of its own beside a strict one."""
    path = tmp_path_factory.mktemp("grants")
    modules = path / "site"
    modules.mkdir()
    (modules / "badges.py").write_text(documented("badges"), encoding="utf-8")
    (modules / "whims.py").write_text(WHIMS, encoding="utf-8")
    home = Home(path)
    populate(home)
    environment = {"PYTHONPATH": f"{modules}:{Path(__file__).parents[2]}", "BADGE_KEY": KEY}
    with LiveServer(path, environment=environment, is_forked=False) as server:  # PYTHONPATH is read at the start
        yield server


def populate(home: Home) -> None:
    """The doors' client, one that sends its secret in the form, one that may not use the grants, and people."""
    realm = home.realm(
        "doors", roles=("guest",), access_token_in_by={BADGE: 123}, custom_grants={BADGE: "badges", WHIM: "whims"}
    )
    home.client("door", realm=realm, grant_types=CUSTOM)
    home.client("poster", realm=realm, grant_types=CUSTOM, auth_method=AuthMethod.POST)
    home.client("plain", realm=realm, grant_types=(GrantType.CLIENT_CREDENTIALS,))
    home.client("service", grant_types=CUSTOM)
    home.user("ada", roles={"doors": ("guest",)})
    home.user("eve")
    bob = home.user("bob", roles={"doors": ()})
    home.ask(lambda store: store.administration.disable_user(bob, now=0))


def documented(name: str) -> str:
    """The module that the documentation shows under this file name."""
    (found,) = re.findall(rf"```python title={name}\.py\n(.*?)```", TEXT, re.DOTALL)
    return str(found)


def ask(server: LiveServer, form: dict[str, str], *, client_id: str = "door") -> httpx.Response:
    return plain.post(f"{server.url}/oauth/token", data=form, headers={"authorization": basic(client_id, SECRET)})


def badge(username: str = "ada", *, seen_at: int | None = None, key: str = KEY, **more: str) -> dict[str, str]:
    """The request of a door, with what a reader saw."""
    said = f"{username}:{int(time.time()) if seen_at is None else seen_at}"
    signature = hmac.new(key.encode(), said.encode(), sha256).hexdigest()
    return {"grant_type": BADGE, "badge": f"{said}:{signature}", **more}


def whim(wish: str, **more: str) -> dict[str, str]:
    return {"grant_type": WHIM, "whim": wish, **more}


def granted(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def assert_refused(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["error"]) == (status, code), response.text


class TestTheDocumentedGrant:
    def test_gives_tokens_of_the_person(self, server: LiveServer) -> None:
        answer = granted(ask(server, badge()))
        assert (answer["token_type"], answer["expires_in"], answer["scope"]) == ("Bearer", 123, "read write")
        claims = claims_of(answer["access_token"])
        assert (claims["username"], claims["client_id"], claims["authorities"]) == ("ada", "door", ["guest"])
        assert claims["sub"] == "u.ada"

    def test_gives_a_refresh_token_to_a_client_that_may_refresh(self, server: LiveServer) -> None:
        token = granted(ask(server, badge()))["refresh_token"]
        form = {"grant_type": "refresh_token", "refresh_token": token}
        assert granted(ask(server, form))["refresh_token"] != token

    def test_narrows_the_scope_as_the_request_wishes(self, server: LiveServer) -> None:
        assert granted(ask(server, badge(scope="read")))["scope"] == "read"

    @pytest.mark.parametrize("late_by", [-3600, 61 + 3600])
    def test_refuses_what_was_seen_too_long_ago_or_is_yet_to_come(self, server: LiveServer, late_by: int) -> None:
        assert_refused(ask(server, badge(seen_at=int(time.time()) - late_by)), 400, "invalid_grant")

    def test_refuses_what_no_reader_saw(self, server: LiveServer) -> None:
        assert_refused(ask(server, badge(key="another-key")), 400, "invalid_grant")

    @pytest.mark.parametrize("text", ["", "ada", "ada:1", ":1:ff", "ada:one:ff", "ada:1:" + "f" * 600])
    def test_refuses_what_is_no_badge(self, server: LiveServer, text: str) -> None:
        assert_refused(ask(server, {"grant_type": BADGE, "badge": text}), 400, "invalid_request")


class TestTheEngine:
    """What it checks, whatever the module allows."""

    def test_gives_a_token_about_the_client_where_no_person_is_named(self, server: LiveServer) -> None:
        answer = granted(ask(server, whim("machine")))
        assert claims_of(answer["access_token"])["sub"] == "door"
        assert "refresh_token" not in answer

    def test_gives_the_scope_that_the_module_names(self, server: LiveServer) -> None:
        assert granted(ask(server, whim("narrow")))["scope"] == "read"

    def test_gives_no_more_than_the_client_may_have(self, server: LiveServer) -> None:
        assert_refused(ask(server, whim("wide")), 400, "invalid_scope")
        assert_refused(ask(server, whim("machine", resource="https://not-ours.example")), 400, "invalid_target")

    @pytest.mark.parametrize("wish", ["nobody", "outsider", "disabled"])
    def test_gives_nothing_for_a_person_who_may_not_use_the_client(self, server: LiveServer, wish: str) -> None:
        assert_refused(ask(server, whim(wish)), 400, "invalid_grant")

    def test_says_what_the_module_says(self, server: LiveServer) -> None:
        response = ask(server, whim("refuse"))
        assert_refused(response, 400, "invalid_scope")
        assert response.json()["error_description"].startswith("client door is out of luck at 1")

    def test_keeps_the_client_secret_from_the_module(self, server: LiveServer) -> None:
        form = whim("names", client_id="poster", client_secret=SECRET, extra="1")
        response = plain.post(f"{server.url}/oauth/token", data=form)
        assert response.json()["error_description"] == "client_id extra grant_type whim"

    def test_asks_nothing_of_the_module_before_the_client_has_proven_itself(self, server: LiveServer) -> None:
        response = plain.post(
            f"{server.url}/oauth/token", data=whim("refuse"), headers={"authorization": basic("door", "wrong")}
        )
        assert_refused(response, 401, "invalid_client")

    def test_lets_only_clients_use_it_that_are_registered_for_it(self, server: LiveServer) -> None:
        assert_refused(ask(server, whim("machine"), client_id="plain"), 400, "unauthorized_client")

    def test_knows_no_such_grant_in_other_realms(self, server: LiveServer) -> None:
        assert_refused(ask(server, whim("machine"), client_id="service"), 400, "unsupported_grant_type")

    def test_refuses_where_the_module_answers_nothing_and_logs_that_it_failed(self, server: LiveServer) -> None:
        response = ask(server, whim("nothing"))
        assert_refused(response, 400, "invalid_grant")
        assert "Permit" not in response.text
        assert "custom grant whims of realm doors failed: TypeError" in server.log.read_text()

    @pytest.mark.parametrize("sent", ["number", "surrogate", "break"])
    def test_refuses_whatever_else_goes_wrong_there(self, server: LiveServer, sent: str) -> None:
        assert_refused(ask(server, whim(sent)), 400, "invalid_grant")
        assert "PIN-4711" not in server.log.read_text()

    def test_does_not_start_without_the_module(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        home.realm("doors", custom_grants={BADGE: "no_such_module"})
        with pytest.raises(AssertionError, match="no_such_module cannot be imported"):
            LiveServer(tmp_path).start()


class TestTheManual:
    def test_names_every_member_of_a_permit(self) -> None:
        for name in Permit.__struct_fields__:
            assert f"`{name}`" in TEXT

    def test_links_lead_somewhere(self) -> None:
        for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
            assert (DOCUMENT.parent / target).exists(), target
