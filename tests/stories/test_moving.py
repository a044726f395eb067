"""Each older system moves in by the commands of docs/migrating/NAME.md, is used as before, watched and switched off."""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from click.testing import CliRunner
from msgspec import Struct

from jwtauth.cli.commands import root
from tests.dialects.aioauth_service import REDIRECT_URI, approved, asked, redemption
from tests.support import plain
from tests.support.home import Home
from tests.support.live import LiveServer
from tests.support.person import Person

DOCUMENTS: Final = Path(__file__).parents[2] / "docs" / "migrating"
DATE: Final = re.compile(r"\b\d{4}-\d{2}-\d{2}\b(?!T)")
SHELL: Final = re.compile(r"[|<>;&$`\\]")
"""What only a shell understands."""

LATER: Final = "2999-12-31"
"""In place of the dates of the documents, so that the tests outlive them."""

WITHIN: Final = 60.0
KEY: Final = "key_of_the_platform"
SHOWN: Final = "replace-me-this-stands-in-the-documentation"
WERKZEUG: Final = (
    "pbkdf2:sha256:50000$ZREN8NGdGCgvRh9M$5da7b3d1fa3a6015dc30f7bb88cdb31c09dbe82837f8e95dbcf1497db09b2153"
)
"""Of TestPass1, as werkzeug made it."""

SPRING: Final = "$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"
"""Of `password`, as Spring Security's documentation prints it."""

PLATFORM: Final = "{onesait}8WgbLik5EbdtJY4OWm2ZQ0tHiU2lmvXNVrPhFDz3W2Y="
"""Of Secrete@343."""


class System(Struct, frozen=True, kw_only=True):
    """An older system: what it exports, and how its people sign in."""

    name: str
    realm: str
    export: Callable[[Path], None]
    """Writes the files that its document's commands read."""
    login: Callable[[str], httpx.Response]
    """The token request of one of its people, through the old door of the service at this URL."""
    client_id: str
    secret: str
    doors: frozenset[str]
    """What of that is counted, for which client."""
    answer: dict[str, Any]
    """What it is answered with, among other things."""
    closed: int
    """The status of the answer after the sunset."""
    key: str = ""
    """What is piped into the commands."""

    @property
    def text(self) -> str:
        """Its document."""
        return (DOCUMENTS / f"{self.name}.md").read_text(encoding="utf-8")


def blocks(text: str, section: str, language: str = "sh") -> list[str]:
    """The blocks of code in a section."""
    (body,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return re.findall(rf"^```{language}\n(.*?)^```", body, re.MULTILINE | re.DOTALL)


def settings_of(text: str) -> str:
    """The line for jwtauth.toml, be it in a block or in a sentence."""
    (line,) = set(re.findall(r"^default_realm = .+$|(?<=`)default_realm = \"\w+\"(?=`)", text, re.MULTILINE))
    return f"{line}\n"


def run(folder: Path, script: str, *, key: str = "") -> str:
    """Paste commands into a shell in this folder; each of them has to work.

    Those that need no shell are read as it reads them and run in this process: starting one takes a second.
    """
    lines = [shlex.split(line, comments=True) for line in DATE.sub(LATER, script).splitlines()]
    commands = [words for words in lines if words]
    if not SHELL.search(script) and all(words[0] == "jwtauth" for words in commands):
        return "".join(called(folder, words[1:], key=key) for words in commands)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["sh", "-e", "-c", DATE.sub(LATER, script)]
    done = subprocess.run(
        command, cwd=folder, env=environment, input=key, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{script}{done.stdout}{done.stderr}"
    return done.stdout


def called(folder: Path, arguments: list[str], *, key: str) -> str:
    """What a command prints."""
    with chdir(folder):
        done = CliRunner().invoke(root, arguments, input=key)
    assert done.exit_code == 0, f"{arguments}: {done.output}"
    return done.stdout


def write(folder: Path, **files: str) -> None:
    """Files by their names, whose first dot is an underscore here."""
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text, encoding="utf-8")


def from_flarecast(folder: Path) -> None:
    """What flask-oauthlib's usual tables have."""
    users = f"id,username,password\n42,TestUser1,{WERKZEUG}\n"
    clients = (
        "client_id,client_secret,_redirect_uris,_default_scopes,grant_types\n"
        "1234,abcd,https://viewer.example/cb,read,password refresh_token client_credentials\n"
    )
    write(folder, users_csv=users, clients_csv=clients)


def from_onesait(folder: Path) -> None:
    """What the platform's tables have, and Spring's of its clients."""
    users = f"username,password,roles\nkim,{PLATFORM},ROLE_USER\n"
    clients = (
        "client_id,client_secret,resource_ids,scope,authorized_grant_types,web_server_redirect_uri\n"
        f'dashboard,{SPRING},,"openid,authorization_code","authorization_code,refresh_token",https://app.example/cb\n'
    )
    write(folder, users_csv=users, clients_csv=clients)


def from_skyvault(folder: Path) -> None:
    """The files that the document shows; its hash stands for whatever people have, here for `password`."""
    text = (DOCUMENTS / "skyvault.md").read_text(encoding="utf-8")
    (people,), (clients,) = blocks(text, "Move", "csv"), blocks(text, "Move", "json")
    people, changed = re.subn(r"\$2b\$10\$[^,]+", SPRING.replace("\\", r"\\"), people)
    assert changed == 1
    write(folder, people_csv=people, clients_json=clients)


def from_aioauth(folder: Path) -> None:
    """The tables of the example, from which the document's own commands export."""
    if shutil.which("sqlite3") is None:
        pytest.skip("sqlite3 is not installed: the export of aioauth's tables goes untested here")
    with closing(sqlite3.connect(folder / "example.db")) as database, database:
        database.execute("CREATE TABLE user (id INTEGER PRIMARY KEY, username VARCHAR NOT NULL, password VARCHAR)")
        database.execute(
            "CREATE TABLE client (id INTEGER PRIMARY KEY, client_id VARCHAR NOT NULL, client_secret VARCHAR,"
            " grant_types VARCHAR NOT NULL, response_types VARCHAR NOT NULL, redirect_uris VARCHAR NOT NULL,"
            " scope VARCHAR NOT NULL, user_id INTEGER)"
        )
        database.execute("INSERT INTO user VALUES (7, 'admin', 'admin')")
        row = ("test_client", "password", "authorization_code,refresh_token", "code", REDIRECT_URI, "email")
        database.execute("INSERT INTO client VALUES (3, ?, ?, ?, ?, ?, ?, 7)", row)


def into_flarecast(url: str) -> httpx.Response:
    """F4 and F8: by GET, in the query, without the secret."""
    query = {"grant_type": "password", "scope": "read", "client_id": "1234"}
    return plain.get(f"{url}/oauth/token", params={**query, "username": "TestUser1", "password": "TestPass1"})


def into_onesait(url: str) -> httpx.Response:
    """O2, by the realm and its KEY."""
    form = {"grant_type": "password", "username": "kim", "password": "Secrete@343", "clientId": "portal"}
    return plain.post(f"{url}/oauth-server/oauth/token", data={**form, "scope": "openid"}, auth=("portal", KEY))


def into_skyvault(url: str) -> httpx.Response:
    """S5 and S11."""
    query = {"username": "admin", "password": "password", "grant_type": "password"}
    return plain.post(f"{url}/oauth/token", params=query, auth=("SkyVaultapp", SHOWN))


def into_aioauth(url: str) -> httpx.Response:
    """A1 to A5; where its login form is gone, with a code that never was."""
    with Person(url) as person:
        is_there = "Login Form" in person.open("/oauth/authorize", asked()).text
        code = approved(person)["code"] if is_there else "none"
    return plain.post(f"{url}/oauth/tokenize", data=redemption(code), auth=("test_client", "password"))


SYSTEMS: Final = (
    System(
        name="flarecast",
        realm="flarecast",
        export=from_flarecast,
        login=into_flarecast,
        client_id="1234",
        secret="abcd",
        doors=frozenset({"parameters in the query", "no client secret", "grant_type password"}),
        answer={"token_type": "Bearer", "version": "1.0.0", "scope": "read", "expires_in": 86_400},
        closed=405,
    ),
    System(
        name="onesait",
        realm="portal",
        export=from_onesait,
        login=into_onesait,
        client_id="portal",
        secret=KEY,
        doors=frozenset({"path /oauth-server/oauth/token", "grant_type password"}),
        answer={"token_type": "bearer", "principal": "kim", "authorities": ["ROLE_USER"], "clientId": "portal"},
        closed=410,
        key=KEY,
    ),
    System(
        name="skyvault",
        realm="skyvault",
        export=from_skyvault,
        login=into_skyvault,
        client_id="SkyVaultapp",
        secret=SHOWN,
        doors=frozenset({"parameters in the query", "grant_type password"}),
        answer={"token_type": "bearer", "scope": "read write", "expires_in": 1_800},
        closed=400,
    ),
    System(
        name="aioauth",
        realm="portal",
        export=from_aioauth,
        login=into_aioauth,
        client_id="test_client",
        secret="password",
        doors=frozenset({"path /oauth/tokenize", "path /approve"}),
        answer={"token_type": "Bearer", "scope": "email", "expires_in": 300, "refresh_token_expires_in": 900},
        closed=410,
    ),
)


class Moved(Struct, frozen=True):
    """The service after the move, running."""

    system: System
    server: LiveServer
    printed: str
    """By the commands that moved it."""

    def run(self, script: str) -> str:
        """Commands in its folder, while it runs."""
        return run(self.server.path, script)

    def change(self, option: str) -> None:
        """Another setting of the realm."""
        self.run(f"jwtauth realm change {self.system.realm} {option}")

    def uses(self) -> dict[tuple[str, str], int]:
        """What `jwtauth stats legacy --json` counts, by client and door."""
        found = json.loads(self.run(f"jwtauth stats legacy --realm {self.system.realm} --json"))
        return {(use["client_id"], use["door"]): use["count"] for use in found["uses"]}

    def eventually(self, is_so: Callable[[httpx.Response], bool]) -> httpx.Response:
        """The first answer to a login that is so; a worker notices what was changed by its next request."""
        deadline = time.monotonic() + WITHIN
        while not is_so(answer := self.system.login(self.server.url)):
            assert time.monotonic() < deadline, f"{answer.status_code} {answer.headers} {answer.text}"
            time.sleep(0.05)
        return answer


def folder_of(system: System, path: Path) -> Path:
    """An initialised folder with what the old system exported."""
    home = Home(path)
    system.export(home.path)
    return home.path


@pytest.fixture(scope="module", params=SYSTEMS, ids=lambda system: system.name)
def moved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    """Each system in turn, moved by the document's own commands."""
    system: System = request.param
    folder = folder_of(system, tmp_path_factory.mktemp(system.name))
    printed = "".join(run(folder, block, key=system.key) for block in blocks(system.text, "Move"))
    with (folder / "jwtauth.toml").open("a", encoding="utf-8") as settings:
        settings.write(settings_of(system.text))
    with LiveServer(folder) as server:
        yield Moved(system, server, printed)
    assert "Traceback" not in server.log.read_text()


class TestTheThreeCommands:
    def test_are_the_documents(self, moved: Moved) -> None:
        (three,) = [block for block in blocks(moved.system.text, "Move") if "realm create" in block]
        realm, users, clients = three.splitlines()
        assert realm.startswith(f"jwtauth realm create {moved.system.realm} --dialect {moved.system.name}")
        assert users.startswith("jwtauth import users ")
        assert clients.startswith("jwtauth import clients ")

    def test_import_everybody(self, moved: Moved) -> None:
        counted = [int(number) for number in re.findall(r"^imported +(\d+)$", moved.printed, re.MULTILINE)]
        assert len(counted) == 2
        assert 0 not in counted


class TestAPerson:
    def test_signs_in_through_the_old_door(self, moved: Moved) -> None:
        answer = moved.system.login(moved.server.url)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert {name: found.get(name) for name in moved.system.answer} == moved.system.answer
        assert found["refresh_token"]
        assert answer.headers["deprecation"].startswith("@")

    def test_is_counted_there(self, moved: Moved) -> None:
        """The service writes what it counted every few seconds."""
        before = moved.uses()
        assert moved.system.login(moved.server.url).status_code == 200
        wanted = [(moved.system.client_id, door) for door in moved.system.doors]
        deadline = time.monotonic() + WITHIN
        while not all(moved.uses().get(use, 0) > before.get(use, 0) for use in wanted):
            assert time.monotonic() < deadline, moved.uses()
            time.sleep(0.1)

    def test_goes_on_at_the_standard_endpoint(self, moved: Moved) -> None:
        """The refresh token of the old door is good there, in a form and with the client's secret."""
        system, granted = moved.system, moved.system.login(moved.server.url).json()
        form = {"grant_type": "refresh_token", "refresh_token": granted["refresh_token"]}
        if system.name == "flarecast":  # whose clients send their secret in the form
            form |= {"client_id": system.client_id, "client_secret": system.secret}
        auth = None if "client_id" in form else (system.client_id, system.secret)
        answer = plain.post(f"{moved.server.url}/oauth/token", data=form, auth=auth)
        assert answer.status_code == 200, answer.text
        assert answer.json()["access_token"] != granted["access_token"]
        assert "deprecation" not in answer.headers or system.name == "skyvault"  # whose refresh token stays


class TestTheSunset:
    def test_is_announced_once_there_is_a_date(self, moved: Moved) -> None:
        (command,) = re.findall(r"^jwtauth realm change \S+ --sunset \S+$", moved.system.text, re.MULTILINE)
        moved.run(command)
        answer = moved.eventually(lambda answer: "sunset" in answer.headers)
        assert (answer.status_code, answer.headers["sunset"]) == (200, "Tue, 31 Dec 2999 00:00:00 GMT")

    def test_closes_the_old_doors_while_the_service_runs_and_can_be_taken_back(self, moved: Moved) -> None:
        assert moved.system.login(moved.server.url).status_code == 200
        try:
            moved.change("--sunset 2020-01-01T00:00:00Z")
            assert moved.eventually(lambda answer: answer.status_code != 200).status_code == moved.system.closed
        finally:
            moved.change("--sunset none")
        moved.eventually(lambda answer: answer.status_code == 200)


class TestTheDocument:
    @pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
    def test_has_no_command_that_does_not_work(self, system: System, tmp_path: Path) -> None:
        """All of them, in their order, those of its sentences too."""
        folder = folder_of(system, tmp_path)
        whole = r"^(?:jwtauth|sqlite3) .+$|(?<=`)jwtauth (?:realm|client|stats|import)\s[^`]*\s-[^`]+(?=`)"
        for command in re.findall(whole, system.text, re.MULTILINE):
            if not command.startswith("jwtauth dev"):
                run(folder, completed(system, command), key=system.key)

    @pytest.mark.parametrize("name", sorted(path.name for path in DOCUMENTS.glob("*.md")))
    def test_has_links_that_lead_somewhere(self, name: str) -> None:
        text = (DOCUMENTS / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", text):
            assert (DOCUMENTS / target).exists(), target


def completed(system: System, command: str) -> str:
    """A command with what its sentence takes for granted: a client, a realm, the value of its last option."""
    command = command.replace("\n", " ").replace("CLIENT_ID", system.client_id)
    if "--realm testrealm" in command:
        return f"jwtauth realm create testrealm --dialect onesait\n{command}"
    return f"{command} 2592000" if command.endswith("--refresh-token-in") else command
