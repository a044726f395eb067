"""`jwtauth dev` in an empty folder, and its commands pasted into every shell that is here."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from click.testing import CliRunner
from msgspec import UNSET
from msgspec.structs import asdict

from jwtauth.cli import dev as demonstration
from jwtauth.cli.commands import root
from jwtauth.cli.running import with_store
from jwtauth.protocol import pkce, redirect_uris, registration
from jwtauth.protocol.records import ApplicationType, AuthMethod, Client, User
from jwtauth.settings import load
from jwtauth.store.ports import Store
from tests.support.home import Home, generated_secret
from tests.support.live import START_WITHIN, LiveServer, free_port

SHELLS = ("sh", "bash", "dash", "zsh", "fish")
PURPOSES = ("get a token for a person", "check it", "refresh it", "revoke it", "check it again")
OPENID_SCOPES = ("openid", "profile", "email", "address", "phone")
BROWSER = "Or sign in with a browser"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A demonstration in a folder that was empty."""
    began = time.monotonic()
    with LiveServer(tmp_path_factory.mktemp("demo"), command="dev", is_forked=False) as server:
        while "/account\n" not in server.log.read_text():
            assert time.monotonic() - began < START_WITHIN, server.log.read_text()
        print(f"jwtauth dev: first token {time.monotonic() - began:.2f} s after its start")
        yield server


@pytest.fixture
def commands(dev: LiveServer) -> list[tuple[str, str]]:
    """What it printed, as (purpose, command)."""
    return re.findall(r"^# (.+)\n(curl .+)$", dev.log.read_text().partition(BROWSER)[0], re.MULTILINE)


@pytest.fixture
def steps(dev: LiveServer) -> list[str]:
    """What it printed for signing in with a browser: URLs and commands."""
    found = re.findall(r"^# .+\n(.+)$", dev.log.read_text().partition(BROWSER)[2], re.MULTILINE)
    return [str(what) for what in found]


class TestDev:
    def test_prints_a_token_and_five_commands_in_order(self, dev: LiveServer, commands: list[tuple[str, str]]) -> None:
        assert tuple(purpose for purpose, _ in commands) == PURPOSES
        assert re.search(r"^ey[\w-]+\.ey[\w-]+\.[\w-]{86}$", dev.log.read_text(), re.MULTILINE)

    @pytest.mark.parametrize("shell", SHELLS)
    def test_prints_commands_that_work_when_pasted(
        self, commands: list[tuple[str, str]], tmp_path: Path, shell: str
    ) -> None:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed: its users' commands go untested here")
        answers = [paste(shell, command, tmp_path) for _, command in commands]
        granted, checked, refreshed = (json.loads(answer) for answer in answers[:3])
        assert json.loads((tmp_path / "demo.json").read_text()) == granted
        assert checked["active"] is True
        assert checked["username"] == "demo"
        assert refreshed["refresh_token"] != granted["refresh_token"]
        assert answers[3].split() == ["HTTP", "200"]
        assert json.loads(answers[4]) == {"active": False}

    def test_prints_commands_that_work_again_after_they_were_tried(
        self, commands: list[tuple[str, str]], tmp_path: Path
    ) -> None:
        for _ in range(2):
            answers = [paste("sh", command, tmp_path) for _, command in commands]
            assert json.loads(answers[1])["active"] is True
            assert json.loads(answers[4]) == {"active": False}

    def test_listens_on_loopback_only_and_leaves_private_files(self, dev: LiveServer) -> None:
        for path in [*dev.path.glob("keys/*"), dev.path / "jwtauth.db"]:
            assert path.stat().st_mode & 0o077 == 0, path

    def test_starts_again_in_the_same_folder(self, tmp_path: Path) -> None:
        for _ in range(2):
            with LiveServer(tmp_path, command="dev"):
                pass
        assert "Traceback" not in (tmp_path / "server.log").read_text()


class TestBrowserSteps:
    def test_begin_with_a_url_that_asks_for_a_code_with_pkce(self, dev: LiveServer, steps: list[str]) -> None:
        url = urlsplit(steps[0])
        request = dict(parse_qsl(url.query, strict_parsing=True))
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{dev.url}/oauth/authorize"
        assert request.pop("code_challenge")
        assert request == {
            "response_type": "code",
            "client_id": "demo-app",
            "redirect_uri": f"{dev.url}/",
            "scope": "openid profile email",
            "state": "demo",
            "code_challenge_method": "S256",
        }

    def test_redeem_the_code_with_the_verifier_of_that_challenge(self, dev: LiveServer, steps: list[str]) -> None:
        request = dict(parse_qsl(urlsplit(steps[0]).query))
        form = dict(re.findall(r"-d \"?([a-z_]+)=([^ \"]+)", steps[1]))
        assert form["client_id"] == request["client_id"]
        assert form["redirect_uri"] == request["redirect_uri"]
        assert form["grant_type"] == "authorization_code"
        assert form["code"] == "$CODE"
        pkce.check(form["code_verifier"], request["code_challenge"], refusal="they do not belong together")
        assert f" {dev.url}/oauth/token " in steps[1]

    @pytest.mark.parametrize("shell", SHELLS)
    def test_redeem_by_a_command_that_every_shell_can_read(self, steps: list[str], tmp_path: Path, shell: str) -> None:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed: its users' commands go untested here")
        answer = json.loads(paste(shell, steps[1].replace("PASTE-THE-CODE-HERE", "no-code"), tmp_path))
        assert "error" in answer
        assert json.loads((tmp_path / "demo.json").read_text()) == answer

    def test_end_at_userinfo_and_the_account_page(self, dev: LiveServer, steps: list[str]) -> None:
        assert re.fullmatch(rf"curl .*-H 'Authorization: Bearer '\"\$\(.*\)\" {dev.url}/oauth/userinfo", steps[2])
        assert steps[3:] == [f"{dev.url}/account"]


class TestAccounts:
    def test_have_every_standard_claim(self) -> None:
        profile = demonstration.PROFILE
        registration.check_profile(profile)
        assert profile.address is not UNSET
        assert UNSET not in asdict(profile).values()
        assert UNSET not in asdict(profile.address).values()

    def test_may_be_registered(self, dev: LiveServer) -> None:
        clients, (user,) = accounts(dev.path)
        realms = [client.realm for client in clients]
        registration.check_user(user, realms)
        for client in clients:
            registration.check_client(client, realms, max_token_lifetime=86_400)

    def test_can_ask_for_everything_and_get_read_and_write_unless_told(self, dev: LiveServer) -> None:
        (application, service), (user,) = accounts(dev.path)
        for client in (application, service):
            assert {"authorization_code", "refresh_token"} < {*client.grant_types}
            assert {*client.scope} == {
                *["read", "write", "openid", "profile", "email", "address", "phone", "offline_access"]
            }
            assert client.default_scope == ("read", "write")
            assert redirect_uris.matches(f"{dev.url}/", client)
        assert (application.client_id, application.is_public) == ("demo-app", True)
        assert redirect_uris.matches("http://127.0.0.1:49152/callback", application)
        assert (service.client_id, service.is_public) == ("demo-service", False)
        assert not redirect_uris.matches("http://127.0.0.1:49152/", service)
        assert service.post_logout_redirect_uris == (f"{dev.url}/",)
        assert (user.username, user.profile) == ("demo", demonstration.PROFILE)
        assert user.updated_at > 0

    def test_of_an_earlier_version_get_what_they_lack(self, tmp_path: Path) -> None:
        home = Home(tmp_path)
        (path,) = home.source.keys.glob("RS256-*")
        path.unlink()
        before = {"scope": ("read", "write"), "is_demo": True}
        secrets = (generated_secret(demonstration.SECRET),)
        grant_types = ("client_credentials", "password", "refresh_token")
        home.client("demo-service", secrets=secrets, grant_types=grant_types, **before)
        home.client("demo-app", auth_method=AuthMethod.NONE, grant_types=("password", "refresh_token"), **before)
        home.user("demo", is_demo=True)
        with LiveServer(tmp_path, command="dev") as server:
            url = server.url
        (application, service), (user,) = accounts(tmp_path)
        assert application.application_type is ApplicationType.NATIVE
        for client in (application, service):
            assert "authorization_code" in client.grant_types
            assert (client.scope, client.default_scope) == (demonstration.SCOPE, ("read", "write"))
            assert redirect_uris.matches(f"{url}/", client)
        assert user.profile == demonstration.PROFILE
        assert user.password_hash is not None

    def test_keep_what_was_changed_and_follow_the_port(self, tmp_path: Path) -> None:
        ports = [free_port() for _ in range(2)]
        assert ports[0] != ports[1]
        with LiveServer(tmp_path, command="dev", port=ports[0]):
            pass
        arguments = ["--scope", "mine", "--redirect-uri", "https://mine.example/cb", "--no-consent"]
        run("--folder", str(tmp_path), "client", "change", "demo-service", *arguments, "--default-scope", "mine")
        run("--folder", str(tmp_path), "user", "change", "demo", "--claim", "name=Mine")
        with LiveServer(tmp_path, command="dev", port=ports[1]):
            pass
        (_, service), (user,) = accounts(tmp_path)
        assert {*service.scope} == {"mine", *demonstration.SCOPE}
        assert service.default_scope == ("mine",)
        assert service.asks_consent is False
        assert service.redirect_uris == ("https://mine.example/cb", f"http://127.0.0.1:{ports[1]}/")
        assert user.profile.name == "Mine"


def accounts(folder: Path) -> tuple[list[Client], list[User]]:
    """The clients by client_id and the users that the folder's database has."""

    async def work(store: Store) -> tuple[list[Client], list[User]]:
        return list(await store.administration.clients()), list(await store.administration.users())

    return with_store(load(folder, {}), work)


def run(*arguments: str) -> None:
    """Run a command line that must succeed."""
    done = CliRunner().invoke(root, arguments, prog_name="jwtauth")
    assert done.exit_code == 0, done.output


def paste(shell: str, command: str, folder: Path) -> str:
    """What the shell prints for a line that somebody pasted; without the person's own start-up files."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [shell],
        input=command + "\n",
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_this_python_runs_the_command_that_people_type() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jwtauth", "dev", "--help"], capture_output=True, text=True, check=True
    )
    assert "--port" in done.stdout
