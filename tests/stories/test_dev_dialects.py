"""`jwtauth dev --dialect NAME` in an empty folder: all that it prints, pasted in its order, answers as SEEDS says."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest
from msgspec import Struct

from jwtauth.dialects.registry import DIALECTS
from tests.stories.test_dev import paste
from tests.support.live import LiveServer
from tests.support.person import Person, has_field

NAMES: Final = ("aioauth", "flarecast", "onesait", "skyvault")
CODE: Final = "PASTE-THE-CODE-HERE"
PEOPLE: Final = {"aioauth": ("admin", "admin"), "flarecast": ("TestUser1", "1234"), "skyvault": ("admin", "tiger")}
"""Who signs in where a step says to open something in a browser."""

SKYVAULT_CALLBACK: Final = "https://client.example.com/cb"
FLARECAST_CALLBACK: Final = "http://127.0.0.1:8080/oauth2-redirect.html"
AIOAUTH_CALLBACK: Final = "https://www.example.com/redirect"
WITHIN: Final = 60.0
AUTHORITIES: Final = ["ROLE_ADMIN", "ROLE_USER"]


class Step(Struct, frozen=True):
    """A purpose, and the command to paste or the URL to open."""

    purpose: str
    what: str


class Demonstrations:
    """One running demonstration for each dialect that is asked for, each in a folder that was empty."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._servers: dict[str, LiveServer] = {}

    def __getitem__(self, name: str) -> LiveServer:
        if name not in self._servers:
            folder = self._folder / name
            folder.mkdir()
            self._servers[name] = self._stack.enter_context(dev(folder, name))
        return self._servers[name]


@contextmanager
def dev(folder: Path, name: str) -> Iterator[LiveServer]:
    """A demonstration that has printed everything."""
    with LiveServer(folder, command="dev", options=("--dialect", name)) as server:
        sample = DIALECTS[name].sample
        assert sample is not None
        *_, (_, last) = sample.commands(server.url)
        deadline = time.monotonic() + WITHIN
        while f"{last}\n\n" not in server.log.read_text():
            assert time.monotonic() < deadline, server.log.read_text()
            time.sleep(0.02)
        yield server


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstrations]:
    with ExitStack() as stack:
        yield Demonstrations(tmp_path_factory.mktemp("demonstrations"), stack)


@pytest.fixture(params=("sh", "fish"))
def shell(request: pytest.FixtureRequest) -> str:
    """The two that understand the least of each other; tests/stories/test_dev.py knows them all."""
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: its users' commands go untested here")
    return name


def steps(server: LiveServer) -> list[Step]:
    """What it printed."""
    found = re.findall(r"^# (.+)\n(\S.+)\n$", server.log.read_text(), re.MULTILINE)
    return [Step(purpose, what) for purpose, what in found]


def taken(server: LiveServer, name: str, folder: Path, shell: str) -> list[str]:
    """Take every step in its order: what each of them prints, or where the browser was sent at its end."""
    said, code = [], ""
    with Person(server.url) as person:
        for step in steps(server):
            if step.what.startswith("curl"):
                said.append(paste(shell, step.what.replace(CODE, code), folder).strip())
            else:
                said.append(opened(person, step.what, *PEOPLE[name]))
                code = carried(said[-1]).get("code", code)
    return said


def opened(person: Person, url: str, username: str, password: str) -> str:
    """Open it in a browser, sign in and say yes to whatever is asked; where that leads."""
    seen = person.open(url)
    if has_field(seen, "password"):
        seen = person.submit(seen, username=username, password=password)
    for yes in (("decision", "allow"), ("approval", "1"), ("confirm", "yes")):
        if has_field(seen, yes[0]):
            seen = person.submit(seen, yes)
    assert seen.status_code in (302, 303), seen.text
    location: str = seen.headers["location"]
    return location


def carried(location: str) -> dict[str, str]:
    """The parameters in its query or fragment."""
    parts = urlsplit(location)
    return dict(parse_qsl(parts.query or parts.fragment, strict_parsing=True))


def members(said: str) -> dict[str, Any]:
    """A JSON answer without its tokens, which have to be there as text."""
    found: dict[str, Any] = json.loads(said)
    tokens = {name for name in found if name.endswith("_token")}
    assert all(isinstance(found[name], str) and found[name] for name in tokens)
    return {name: "..." if name in tokens else value for name, value in found.items()}


def assert_fresh(refreshed: str, before: str) -> None:
    """Both tokens are new ones."""
    for name in ("access_token", "refresh_token"):
        assert json.loads(refreshed)[name] != json.loads(before)[name]


class TestAnnouncement:
    @pytest.mark.parametrize("name", NAMES)
    def test_names_its_system_and_address_and_warns(self, demonstrations: Demonstrations, name: str) -> None:
        server = demonstrations[name]
        log = server.log.read_text()
        assert f"jwtauth runs at {server.url} with the sample data of {name} " in log
        assert "Demonstration only: all passwords here are public." in log

    def test_is_there_for_every_dialect_with_a_sample(self) -> None:
        assert [name for name, dialect in sorted(DIALECTS.items()) if dialect.sample] == list(NAMES)

    @pytest.mark.parametrize("name", NAMES)
    def test_has_no_line_that_is_neither_command_nor_address(self, demonstrations: Demonstrations, name: str) -> None:
        server = demonstrations[name]
        after = server.log.read_text().partition("in this order:\n")[2]
        printed = [line for line in after.splitlines() if line and not re.match(r"\d{4}-", line)]
        assert printed == [line for step in steps(server) for line in (f"# {step.purpose}", step.what)]
        assert all(step.what.startswith(("curl ", server.url)) for step in steps(server))

    @pytest.mark.parametrize("name", PEOPLE)
    def test_says_who_signs_in(self, demonstrations: Demonstrations, name: str) -> None:
        told = [step.purpose for step in steps(demonstrations[name]) if "in a browser" in step.purpose]
        username, password = PEOPLE[name]
        assert f"as {username} with the password {password}" in told[0]

    @pytest.mark.parametrize("name", ["onesait"])
    def test_is_the_same_when_it_starts_again_in_the_same_folder(self, tmp_path: Path, name: str) -> None:
        printed = []
        for _ in range(2):
            with dev(tmp_path, name) as server:
                printed.append([step.what.replace(server.url, "") for step in steps(server)])
            server.log.unlink()
        assert printed[0] == printed[1] != []


class TestFlarecast:  # F1 to F8
    def test_answers_as_its_documentation_says(
        self, demonstrations: Demonstrations, tmp_path: Path, shell: str
    ) -> None:
        server = demonstrations["flarecast"]
        said = taken(server, "flarecast", tmp_path, shell)
        machine, person, info, refreshed, revoked, page, code, redeemed = said
        usual = {"access_token": "...", "token_type": "Bearer", "version": "1.0.0", "expires_in": 86_400}
        assert members(machine) == {**usual, "scope": "read"}
        assert members(person) == {**usual, "scope": "read", "refresh_token": "..."}
        assert members(refreshed) == members(person)
        assert_fresh(refreshed, person)
        assert (type(json.loads(info)["id"]), json.loads(info)["scope"]) == (int, ["read"])
        assert revoked == "HTTP 200"
        assert page.startswith(f"{server.url}/login")
        assert code.startswith(f"{FLARECAST_CALLBACK}?")
        assert members(redeemed) == members(person)


class TestOnesait:  # O2 to O6, O8
    def test_answers_as_its_manual_says(self, demonstrations: Demonstrations, tmp_path: Path, shell: str) -> None:
        server = demonstrations["onesait"]
        said = taken(server, "onesait", tmp_path, shell)
        tokens, checked, platform, read, person, refreshed, _, over = map(members, said)
        assert (tokens["token_type"], tokens["scope"]) == ("bearer", "openid")
        assert 43_190 < tokens["expires_in"] <= 43_200  # what remains of it
        assert tokens["refresh_token"] == "..."
        assert (sorted(tokens["authorities"]), tokens["principal"]) == (AUTHORITIES, "demo")
        assert (checked["client_id"], sorted(checked["authorities"])) == ("onesait-demo", AUTHORITIES)
        assert (checked["user_name"], type(checked["exp"])) == ("demo", int)
        assert (platform["scope"], platform["principal"]) == (["onesait-demo"], "demo")
        assert read.keys() >= {"expirationTimestamp", "expirationFormatted", "authorities", "oauthInfo"}
        assert (person["username"], person["mail"]) == ("demo", "demo@example.com")
        assert refreshed.keys() == tokens.keys()
        assert_fresh(said[5], said[0])
        assert json.loads(said[6]) == {"access_token": json.loads(said[5])["access_token"], "state": "invalid_token"}
        assert over["error"] == "invalid_token"

    def test_ends_the_old_token_with_a_refresh(self, demonstrations: Demonstrations, tmp_path: Path) -> None:  # O5
        server = demonstrations["onesait"]
        get, check, *_, refresh = steps(server)[:6]
        paste("sh", get.what, tmp_path)
        assert members(paste("sh", check.what, tmp_path))["active"] is True
        paste("sh", refresh.what, tmp_path)
        assert members(paste("sh", check.what, tmp_path))["error"] == "invalid_token"


class TestSkyvault:  # S1 to S8, S10, S11
    def test_answers_as_its_documentation_says(
        self, demonstrations: Demonstrations, tmp_path: Path, shell: str
    ) -> None:
        server = demonstrations["skyvault"]
        said = taken(server, "skyvault", tmp_path, shell)
        person, hello, refreshed, checked, machine, sent, code, redeemed, implicit, external = said
        usual = {"access_token": "...", "token_type": "bearer", "scope": "read write"}
        assert members(person) == {**usual, "refresh_token": "...", "expires_in": 1_800}
        assert hello == "Secure Hello!"
        assert members(refreshed) == members(person) | {"expires_in": members(refreshed)["expires_in"]}
        assert json.loads(refreshed)["refresh_token"] == json.loads(person)["refresh_token"]
        assert (json.loads(checked)["user_name"], json.loads(checked)["client_id"]) == ("admin", "SkyVaultapp")
        assert members(machine) == {**usual, "expires_in": 3_600}
        assert sent.startswith(f"{server.url}/")
        assert code.startswith(f"{SKYVAULT_CALLBACK}?")
        assert carried(code).keys() >= {"code", "state"}
        assert carried(code)["state"] == "xyz"
        assert members(redeemed) == {**usual, "refresh_token": "...", "expires_in": 3_600}
        assert implicit.startswith(f"{SKYVAULT_CALLBACK}#access_token=")
        fragment = carried(implicit)
        assert [*fragment][:4] == ["access_token", "state", "token_type", "expires_in"]
        assert (fragment["state"], fragment["token_type"], fragment["expires_in"]) == ("xyz", "bearer", "3600")
        assert "refresh_token" not in fragment
        assert json.loads(external)["error"] == "unauthorized_client"


class TestAioauth:  # A1 to A6
    def test_answers_as_its_example_does(self, demonstrations: Demonstrations, tmp_path: Path, shell: str) -> None:
        server = demonstrations["aioauth"]
        back, tokens, refreshed = taken(server, "aioauth", tmp_path, shell)
        assert back.startswith(f"{AIOAUTH_CALLBACK}?state=somestate&code=")
        assert [*carried(back)][:3] == ["state", "code", "scope"]
        assert carried(back)["scope"] == "email"
        assert members(tokens) == {
            "expires_in": 300,
            "refresh_token_expires_in": 900,
            "access_token": "...",
            "refresh_token": "...",
            "scope": "email",
            "token_type": "Bearer",
        }
        assert members(refreshed) == members(tokens)
        assert_fresh(refreshed, tokens)


class TestASecondTry:
    @pytest.mark.parametrize("name", NAMES)
    def test_works_like_the_first(self, demonstrations: Demonstrations, tmp_path: Path, name: str) -> None:
        server = demonstrations[name]
        first, second = (taken(server, name, tmp_path, "sh") for _ in range(2))
        assert len(first) == len(second) == len(steps(server))

    @pytest.mark.parametrize("name", NAMES)
    def test_leaves_nothing_to_be_ashamed_of_in_the_log(self, demonstrations: Demonstrations, name: str) -> None:
        assert "Traceback" not in demonstrations[name].log.read_text()
