"""People and clients of another system move in with passwords and secrets they have (docs/migrating/importing.md)."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jwtauth.protocol.records import AuthMethod, GrantType
from tests.support import forking
from tests.support.person import Person, answer, has_field
from tests.web.people import CODE, OIDC
from tests.web.site import Site

PEOPLE = """username,password_hash,roles,enabled,id
spring,{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG,ROLE_USER,1,42
flask,sha256$go4k1GE5$b1f4434676d2d523d7d0b3f48e9c0ce4462cd712b7708e7b28ad28f9862f6522,ROLE_USER,1,
onesait,{onesait}8WgbLik5EbdtJY4OWm2ZQ0tHiU2lmvXNVrPhFDz3W2Y=,ROLE_USER,1,
gone,{noop}password,ROLE_USER,0,
"""
PASSWORDS = {"spring": "password", "flask": "correct horse", "onesait": "Secrete@343"}
CLIENTS = """client_id,client_secret,scope,authorized_grant_types,web_server_redirect_uri,authorities
"""
SECRET_HASH = "{bcrypt}$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that runs while the others move in."""
    site = Site(tmp_path_factory.mktemp("moving-in"))
    site.home.realm(roles=("ROLE_USER",))
    site.home.client("old", auth_method=AuthMethod.NONE, grant_types=(GrantType.PASSWORD, GrantType.REFRESH_TOKEN))
    site.home.client("web", grant_types=CODE, scope=OIDC, redirect_uris=("https://app.example/callback",))
    with site:
        run(site, "users", PEOPLE, "--realm", "default")
        yield site


def run(site: Site, what: str, table: str, *options: str) -> dict[str, Any]:
    """`jwtauth import`, as an operator types it."""
    arguments = ("import", what, "-", "--format", "csv", *options, "--json")
    done = forking.run(*arguments, folder=site.home.path, text=table)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def stored_hash(site: Site, username: str) -> str:
    with closing(sqlite3.connect(site.home.source.database)) as connection:
        found = connection.execute("SELECT password_hash FROM users WHERE username = ?", (username,)).fetchall()
    password_hash: str = found[0][0]
    return password_hash


def asked(site: Site, username: str, password: str) -> int:
    form = {"grant_type": "password", "client_id": "old", "username": username, "password": password}
    return site.token(form, auth=None).status_code


class TestAPerson:
    @pytest.mark.parametrize("username", PASSWORDS)
    def test_signs_in_with_the_old_password_which_leaves_a_hash_of_ours(self, site: Site, username: str) -> None:
        before = stored_hash(site, username)
        assert not before.startswith("$argon2id$")
        assert asked(site, username, PASSWORDS[username] + "x") == 400
        assert stored_hash(site, username) == before
        assert asked(site, username, PASSWORDS[username]) == 200
        after = stored_hash(site, username)
        assert after.startswith("$argon2id$")
        assert asked(site, username, PASSWORDS[username]) == 200
        assert asked(site, username, PASSWORDS[username] + "x") == 400
        assert stored_hash(site, username) == after

    def test_does_so_in_a_browser_too_and_stays_signed_in(self, site: Site) -> None:
        run(site, "users", PEOPLE.replace("spring", "browser").replace(",42", ",1043"), *SKIP)
        with Person(site.server.url) as person:
            page = person.authorize()
            assert has_field(person.sign_in(page, "browser", "wrong"), "password")
            assert not stored_hash(site, "browser").startswith("$argon2id$")
            allowed = person.allow(person.sign_in(page, "browser", "password"))
            assert "code" in answer(allowed)
            assert stored_hash(site, "browser").startswith("$argon2id$")
            assert "code" in answer(person.authorize())

    def test_keeps_the_integer_that_clients_know(self, site: Site) -> None:
        form = {"grant_type": "password", "client_id": "old", "username": "spring", "password": "password"}
        token = site.granted(form, auth=None)["access_token"]
        assert site.http.get("/oauth/tokeninfo", headers={"authorization": f"Bearer {token}"}).json()["id"] == 42

    def test_who_was_disabled_stays_so_and_no_plain_password_is_stored(self, site: Site) -> None:
        assert asked(site, "gone", "password") == 400
        assert stored_hash(site, "gone").startswith("$argon2id$")

    def test_has_none_of_the_old_hashes_in_the_database(self, site: Site) -> None:
        files = b"".join(path.read_bytes() for path in site.home.source.database.parent.glob("jwtauth.db*"))
        for digest in ("20cQQubK3.HZWzG3YB1tlRy", "b1f4434676d2d523d7d0b3f4", "8WgbLik5EbdtJY4OWm2"):
            assert digest.encode() not in files


SKIP = ("--realm", "default", "--on-conflict", "skip")


class TestAClient:
    @pytest.mark.parametrize(("client_id", "stored"), [("hashed", SECRET_HASH), ("plain", "password")])
    def test_authenticates_with_the_old_secret(self, site: Site, client_id: str, stored: str) -> None:
        row = f"{client_id},{stored},read write,client_credentials,,ROLE_REPORT\n"
        assert run(site, "clients", CLIENTS + row, "--realm", "default")["imported"] == 1
        refused = site.token({"grant_type": "client_credentials"}, auth=(client_id, "wrong"))
        assert refused.status_code == 401
        assert self.digest(site, client_id).startswith("{bcrypt:" if stored == SECRET_HASH else "$argon2id$")
        for _ in range(2):
            assert site.granted({"grant_type": "client_credentials"}, auth=(client_id, "password"))["scope"]
            assert self.digest(site, client_id).startswith("$argon2id$")

    def digest(self, site: Site, client_id: str) -> str:
        with closing(sqlite3.connect(site.home.source.database)) as connection:
            found = connection.execute("SELECT secrets FROM clients WHERE client_id = ?", (client_id,)).fetchall()
        (secret,) = json.loads(found[0][0])
        digest: str = secret["digest"]
        return digest


class TestWithoutTheExtra:
    PROGRAM = "import sys; sys.modules['bcrypt'] = None; import jwtauth.cli; jwtauth.cli.main()"

    def test_nothing_is_imported_and_one_line_says_what_to_install(self, site: Site, tmp_path: Path) -> None:
        (tmp_path / "people.csv").write_text("username,password_hash\nnobody," + SECRET_HASH)
        arguments = ["--folder", str(site.home.path), "import", "users", str(tmp_path / "people.csv")]
        done = subprocess.run(
            [sys.executable, "-c", self.PROGRAM, *arguments, "--drop-unknown-hashes"], capture_output=True, text=True
        )
        assert done.returncode == 1
        expected = "jwtauth: hashes of other systems need one more package; run: pip install 'jwtauth[legacy]'\n"
        assert done.stderr == expected
