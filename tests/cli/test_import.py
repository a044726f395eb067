"""`jwtauth import`: users and clients of another system, from CSV or JSON."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import Result
from msgspec.structs import replace

from jwtauth.cli.running import with_store
from jwtauth.passwords import Passwords
from jwtauth.protocol.records import Client, User
from jwtauth.protocol.registration import SECRETLESS
from jwtauth.settings import Source
from jwtauth.store.ports import Store

Table = Callable[..., str]

BCRYPT: Final = "$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"
"""Of `password`."""


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """A CSV file with these lines, or a JSON file with these rows."""

    def write(*lines: str | dict[str, Any]) -> str:
        is_csv = isinstance(lines[0], str)
        path = tmp_path / ("moved.csv" if is_csv else "moved.json")
        path.write_text("\n".join(map(str, lines)) if is_csv else json.dumps(lines), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def realm(service: Callable[..., Result]) -> None:
    assert service("realm", "create", "portal", "--role", "reader", "--role", "editor").exit_code == 0


@pytest.fixture
def users(source: Source) -> Callable[[], dict[str, User]]:
    """Everybody in the database."""

    async def find(store: Store) -> dict[str, User]:
        return {user.username: user for user in await store.administration.users()}

    return lambda: with_store(source, find)


@pytest.fixture
def clients(source: Source) -> Callable[[], dict[str, Client]]:
    async def find(store: Store) -> dict[str, Client]:
        return {client.client_id: client for client in await store.administration.clients()}

    return lambda: with_store(source, find)


@pytest.fixture
def problems(run: Callable[..., Result]) -> Callable[..., list[dict[str, Any]]]:
    """What an import refuses; it must say that nothing was imported."""

    def call(*arguments: str, text: str | None = None) -> list[dict[str, Any]]:
        result = run("import", *arguments, "--json", text=text)
        assert result.exit_code == 1, result.output
        assert result.stderr.endswith("have problems; nothing was imported\n")
        document = json.loads(result.stdout)
        assert document["imported"] == document["to_import"] == 0
        found: list[dict[str, Any]] = document["problems"]
        return found

    return call


def matches(stored: str | None, secret: str) -> bool:
    passwords = Passwords(memory=8192, passes=1, threads=1, queue=0)
    try:
        return asyncio.run(passwords.verify(stored, secret))
    finally:
        passwords.close()


@pytest.mark.usefixtures("realm")
class TestUsers:
    def test_come_with_everything_that_is_known_of_them(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        path = table(
            "id,username,password_hash,roles,email,email_verified,name,address.locality,disabled",
            f'42,ada,{BCRYPT},reader editor,ada@example.com,t,"Lovelace, Ada",London,',
            "7,bob,,,bob@example.com,0,,,true",
        )
        counts = read("import", "users", path, "--realm", "portal", "--role", "reader")
        assert counts == {
            "dry_run": False,
            "rows": 2,
            "imported": 2,
            "to_import": 0,
            "joined": 0,
            "to_join": 0,
            "skipped": 0,
            "problems": [],
            "notes": [],
        }
        ada, bob = users()["ada"], users()["bob"]
        assert (ada.id, bob.id) == (42, 7)
        assert (ada.roles, bob.roles) == ({"portal": ("reader", "editor")}, {"portal": ("reader",)})
        assert matches(ada.password_hash, "password")
        assert bob.password_hash is None
        assert (ada.disabled_at is None, bob.disabled_at is None) == (True, False)
        shown = read("user", "show", "ada")["profile"]
        assert shown == {
            "name": "Lovelace, Ada",
            "email": "ada@example.com",
            "email_verified": True,
            "address": {"locality": "London"},
        }
        assert ada.sub.startswith("u.")
        assert ada.sub != bob.sub

    def test_come_from_json_with_types(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        row = {"username": "ada", "password_hash": None, "roles": ["reader"], "address": {"country": "UK"}, "id": 3}
        read("import", "users", table(row), "--realm", "portal")
        assert users()["ada"].roles == {"portal": ("reader",)}
        assert users()["ada"].id == 3
        assert read("user", "show", "ada")["profile"] == {"address": {"country": "UK"}}

    def test_come_from_standard_input(self, read: Callable[..., Any], users: Callable[[], dict[str, User]]) -> None:
        text = "\ufeffusername\r\nada\r\n\r\nbob\r\n"
        assert read("import", "users", "-", "--format", "csv", text=text)["imported"] == 2
        assert {name: user.roles for name, user in users().items()} == {"ada": {}, "bob": {}}

    def test_may_be_named_as_other_systems_name_them(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        path = table(
            "USER_NAME,PASSWORD,ENABLED,AUTHORITIES,FULL_NAME,MAIL,CREATED_AT",
            f'ada,{{bcrypt}}{BCRYPT},1,"reader,editor",Ada,ada@example.com,2019-01-01',
            "bob,{noop}wonderland,0,,,,",
        )
        read("import", "users", path, "--realm", "portal", "--ignore", "created_at", "--default", "locale=en-GB")
        ada, bob = users()["ada"], users()["bob"]
        assert ada.roles == {"portal": ("reader", "editor")}
        assert (ada.profile.name, ada.profile.email, ada.profile.locale) == ("Ada", "ada@example.com", "en-GB")
        assert bob.disabled_at is not None
        assert bob.password_hash is not None
        assert bob.password_hash.startswith("$argon2id$")
        assert matches(bob.password_hash, "wonderland")

    def test_who_bring_an_id_get_it_before_others_are_given_one(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        read("import", "users", table("username,id", "ada,", "bob,1", "cleo,2"))
        found = users()
        assert (found["bob"].id, found["cleo"].id) == (1, 2)
        assert found["ada"].id > 2

    def test_are_many(self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]) -> None:
        names = [f"user{number}" for number in range(250)]
        assert read("import", "users", table("username", *names))["imported"] == 250
        assert sorted(users()) == sorted(names)

    def test_are_counted_in_a_log_while_they_come(self, run: Callable[..., Result], table: Table) -> None:
        result = run("import", "users", table("username", *(f"user{number}" for number in range(250))))
        assert [line for line in result.stderr.splitlines() if "Writing" in line] == [
            f"jwtauth: Writing: {reached} of 250" for reached in (100, 200, 250)
        ]

    def test_are_only_counted_in_a_dry_run(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        path = table("username,password_hash", f"ada,{BCRYPT}", "bob,")
        counts = read("import", "users", path, "--dry-run")
        assert (counts["dry_run"], counts["imported"], counts["to_import"]) == (True, 0, 2)
        assert users() == {}

    def test_without_a_usable_hash_may_come_without_a_password(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        path = table("username,password_hash", f"ada,{BCRYPT}", "bob,{MD5}5f4dcc3b5aa765d61d8327deb882cf99")
        (note,) = read("import", "users", path, "--drop-unknown-hashes")["notes"]
        assert note.startswith("row 2: password_hash: begins with {MD5}")
        assert "5f4dcc3b" not in note
        assert users()["ada"].password_hash is not None
        assert users()["bob"].password_hash is None


@pytest.mark.usefixtures("realm")
class TestProblems:
    def test_are_all_reported_with_row_and_member_and_nothing_is_written(
        self, problems: Callable[..., list[dict[str, Any]]], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        path = table(
            "username,password_hash,id,email_verified,roles,email",
            "fine,,,,,",
            "ada,hunter2hunter2,0,perhaps,,",
            ",,,,,",
            f"bob,{BCRYPT.replace('$10$', '$20$')},,,chief,",
            "cleo,,,,chief,",
            "dora,,,,,no address",
        )
        found = problems("users", path, "--realm", "portal")
        assert [(problem["row"], problem["column"]) for problem in found] == [
            (2, "id"),
            (2, "email_verified"),
            (2, "password_hash"),
            (3, "username"),
            (4, "password_hash"),
            (5, ""),
            (6, ""),
        ]
        assert "bcrypt cost: 20" in found[4]["problem"]
        assert "realm portal has no such role" in found[5]["problem"]
        assert "claim email" in found[6]["problem"]
        assert users() == {}

    def test_never_show_a_hash_or_a_password(self, run: Callable[..., Result], table: Table) -> None:
        secrets = ["hunter2hunter2", "{MD5}5f4dcc3b5aa765d61d8327deb882cf99", BCRYPT[:-1], "{bcrypt}hunter2hunter2"]
        path = table("username,password_hash", *(f"user{number},{text}" for number, text in enumerate(secrets)))
        for options in ([], ["--json"], ["--drop-unknown-hashes", "--dry-run"]):
            output = run("import", "users", path, *options).output
            assert "password_hash" in output
            for shown in ("hunter2", "5f4dcc3b", "dXJ3SW6G7P50"):
                assert shown not in output

    def test_are_one_line_each_for_people(self, run: Callable[..., Result], table: Table) -> None:
        result = run("import", "users", table("username,id", "ada,x", ",7"))
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr == (
            "jwtauth: row 1: id: expected a whole number\n"
            "jwtauth: row 2: username: is missing\n"
            "jwtauth: 2 of 2 rows have problems; nothing was imported\n"
        )

    def test_include_names_and_ids_that_are_taken(
        self, people: Callable[..., Result], problems: Callable[..., list[dict[str, Any]]], table: Table
    ) -> None:
        path = table("username,id", "alice,", "bob,1", "cleo,9", "dora,9", "cleo,")
        found = problems("users", path)
        assert [(problem["row"], problem["column"]) for problem in found] == [
            (1, "username"),
            (2, "id"),
            (4, "id"),
            (5, "username"),
        ]
        assert "is taken here already" in found[0]["problem"]
        assert "is that of row 3 too" in found[2]["problem"]

    def test_do_not_include_who_is_here_already_where_they_are_skipped(
        self,
        people: Callable[..., Result],
        read: Callable[..., Any],
        table: Table,
        users: Callable[[], dict[str, User]],
    ) -> None:
        before = users()["alice"]
        counts = read("import", "users", table("username,name", "alice,Other", "bob,"), "--on-conflict", "skip")
        assert (counts["imported"], counts["skipped"]) == (1, 1)
        assert users()["alice"] == before

    def test_include_an_id_that_is_somebody_elses_even_where_rows_are_skipped(
        self, people: Callable[..., Result], problems: Callable[..., list[dict[str, Any]]], table: Table
    ) -> None:
        (found,) = problems("users", table("username,id", "bob,1"), "--on-conflict", "skip")
        assert (found["column"], found["row"]) == ("id", 1)

    def test_include_roles_without_a_realm(self, problems: Callable[..., list[dict[str, Any]]], table: Table) -> None:
        (found,) = problems("users", table("username,roles", "ada,reader"))
        assert "--realm" in found["problem"]

    def test_include_rows_that_are_none_and_do_not_hide_others(
        self, problems: Callable[..., list[dict[str, Any]]], table: Table
    ) -> None:
        csv = "username,password_hash,id\nada\nbob,{MD5}x,9\nbob,{MD5}x,9\n"
        found = problems("users", "-", "--format", "csv", text=csv)
        assert [(problem["row"], problem["column"]) for problem in found] == [
            (1, ""),
            (2, "password_hash"),
            (3, "password_hash"),
            (3, "username"),
            (3, "id"),
        ]
        assert found[0]["problem"] == "has 1 values for 3 columns"
        (other,) = problems("users", "-", "--format", "json", text='[{"username": "ada"}, 1]')
        assert (other["row"], other["problem"]) == (2, "is no JSON object")

    def test_name_columns_as_the_file_does_and_say_what_may_stand_there(
        self, problems: Callable[..., list[dict[str, Any]]], table: Table
    ) -> None:
        path = table("USER_NAME,Active,Password,ID,mail", "ada,maybe,{MD5}x,x,nowhere", ",,,0,")
        found = problems("users", path)
        assert [(problem["row"], problem["column"]) for problem in found] == [
            (1, "Active"),
            (1, "ID"),
            (1, "Password"),
            (2, "ID"),
            (2, "username"),
        ]
        assert found[0]["problem"] == "expected true, t, yes, y or 1, or false, f, no, n or 0"
        assert found[1]["problem"] == "expected a whole number"
        assert found[3]["problem"] == "expected a whole number >= 1"

    def test_say_what_to_do_about_a_name_or_an_id_that_is_taken(
        self, people: Callable[..., Result], problems: Callable[..., list[dict[str, Any]]], table: Table
    ) -> None:
        name, number = problems("users", table("username,id", "alice,1", "bob,1"), "--realm", "portal")[:2]
        assert name["problem"].startswith("alice is taken here already; if it is the same person, --on-conflict join")
        assert (number["row"], number["problem"][:38]) == (2, "1 is taken here already, by alice; --i")

    def test_include_a_plain_password_that_is_too_long(
        self, problems: Callable[..., list[dict[str, Any]]], table: Table
    ) -> None:
        (found,) = problems("users", table("username,password", "ada,{noop}" + "x" * 1025))
        assert "longer than 1024 bytes" in found["problem"]


@pytest.mark.usefixtures("realm", "people")
class TestPeopleOfSeveralSystems:
    """Usernames and ids are one for all realms."""

    def test_join_another_realm_and_keep_all_else(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        before = users()["alice"]
        path = table(
            "username,password,id,roles,name",
            f"alice,{BCRYPT},77,reader editor,Other",
            "bob,{noop}wonderland,8,,",
        )
        arguments = ("import", "users", path, "--realm", "portal", "--role", "reader", "--on-conflict", "join")
        counts = read(*arguments, "--dry-run")
        assert (counts["to_import"], counts["to_join"], counts["joined"]) == (1, 1, 0)
        assert users() == {"alice": before}
        counts = read(*arguments)
        assert (counts["imported"], counts["joined"], counts["skipped"]) == (1, 1, 0)
        assert counts["notes"] == [f"row 1: id: alice keeps {before.id}, the one here"]
        after = users()["alice"]
        assert after.roles == {"default": (), "portal": ("reader", "editor")}
        assert replace(after, roles=before.roles, epoch=before.epoch) == before

    def test_keep_the_roles_that_they_have_where_they_are_members(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        path = table("username,roles", "alice,editor")
        for counted in ((1, 0), (0, 1)):
            counts = read("import", "users", path, "--realm", "portal", "--on-conflict", "join")
            assert (counts["joined"], counts["skipped"]) == counted
            read("user", "change", "alice", "--role", "portal:reader", "--remove-role", "portal:editor")
        assert users()["alice"].roles["portal"] == ("reader",)

    def test_do_not_join_where_they_are_disabled(
        self, read: Callable[..., Any], table: Table, users: Callable[[], dict[str, User]]
    ) -> None:
        path = table("username,active", "alice,0")
        counts = read("import", "users", path, "--realm", "portal", "--on-conflict", "join")
        assert (counts["joined"], counts["skipped"]) == (0, 1)
        assert counts["notes"] == ["row 1: username: alice is disabled in this file and does not join portal"]
        assert "portal" not in users()["alice"].roles

    def test_are_looked_at_where_the_address_is_another(self, read: Callable[..., Any], table: Table) -> None:
        read("user", "change", "alice", "--claim", "email=alice@example.com")
        for email, noted in (("ALICE@example.com", 0), ("alice@other.example", 1)):
            path = table("username,mail", f"alice,{email}")
            counts = read("import", "users", path, "--realm", "portal", "--on-conflict", "join", "--dry-run")
            assert len(counts["notes"]) == noted
        assert counts["notes"][0].startswith("row 1: mail: is not that of alice here; see that both are")

    def test_need_no_hash_that_can_be_verified_here(self, read: Callable[..., Any], table: Table) -> None:
        path = table("username,password", "alice,{MD5}x")
        assert read("import", "users", path, "--realm", "portal", "--on-conflict", "join")["joined"] == 1

    def test_are_still_checked(self, problems: Callable[..., list[dict[str, Any]]], table: Table) -> None:
        path = table("username,roles", "alice,chief", "bob,", "alice,")
        found = problems("users", path, "--realm", "portal", "--on-conflict", "join")
        assert [(problem["row"], problem["column"]) for problem in found] == [(1, ""), (3, "username")]

    def test_who_are_skipped_are_told_from_members(self, run: Callable[..., Result], table: Table) -> None:
        arguments = ("import", "users", table("username", "alice"), "--on-conflict", "skip")
        result = run(*arguments, "--realm", "portal")
        assert result.exit_code == 0
        assert "1 of the skipped are no members of portal and cannot sign in there: alice; if" in result.stderr
        assert "--on-conflict join" in result.stderr
        assert "imported   0" in result.stdout
        assert run(*arguments, "--realm", "default").stderr == ""
        assert run(*arguments).stderr == ""

    def test_are_compared_by_eye_where_names_look_alike(self, read: Callable[..., Any], table: Table) -> None:
        path = table("username", "Alice", "\u00e9t\u00e9", "e\u0301te\u0301", "alice", "bob")
        notes = read("import", "users", path, "--realm", "portal", "--on-conflict", "join", "--dry-run")["notes"]
        assert [note.partition(", though")[0] for note in notes] == [
            "row 1: username: Alice is not alice",
            "row 3: username: e\u0301te\u0301 is not \u00e9t\u00e9",
        ]

    def test_need_a_realm_to_join(self, run: Callable[..., Result], table: Table) -> None:
        result = run("import", "users", table("username", "alice"), "--on-conflict", "join")
        assert result.exit_code == 2
        assert "name the --realm that they join" in result.stderr


class TestFiles:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_may_have_one_of_three_delimiters(
        self, service: Callable[..., Result], read: Callable[..., Any], delimiter: str
    ) -> None:
        text = delimiter.join(("username", "name")) + "\nada" + delimiter + "Ada Lovelace\n"
        read("import", "users", "-", "--format", "csv", text=text)
        assert read("user", "show", "ada")["profile"] == {"name": "Ada Lovelace"}

    def test_may_spell_a_column_in_two_ways_in_different_rows(
        self, service: Callable[..., Result], read: Callable[..., Any], users: Callable[[], dict[str, User]]
    ) -> None:
        rows = [{"username": "ada", "password": BCRYPT}, {"Username": "bob", "password_hash": BCRYPT}]
        assert read("import", "users", "-", "--format", "json", text=json.dumps(rows))["imported"] == 2
        assert all(matches(user.password_hash, "password") for user in users().values())

    @pytest.mark.parametrize(
        ("text", "form", "reason"),
        [
            ("", "csv", "no rows"),
            ("username\n", "csv", "no rows"),
            ('username\n"ada\n', "csv", "line 2: is no CSV"),
            ("username,username\nada,ada\n", "csv", "twice"),
            ("username,User_Name\nada,\nbob,bob\n", "csv", "'username' and 'User_Name': mean the same, and row 2 has"),
            ("username,colour,user_id\nada,red,7\n", "csv", "'colour', 'user_id': is not known here"),
            ("{}", "json", "expected a JSON list"),
            ("[", "json", "expected a JSON list"),
        ],
    )
    def test_that_cannot_be_read_are_refused(
        self, service: Callable[..., Result], refused: Callable[..., str], text: str, form: str, reason: str
    ) -> None:
        assert reason in refused("import", "users", "-", "--format", form, text=text)

    def test_are_utf_8(self, service: Callable[..., Result], refused: Callable[..., str], tmp_path: Path) -> None:
        (tmp_path / "latin.csv").write_bytes("username\nad\xe4\n".encode("latin-1"))
        assert "no UTF-8" in refused("import", "users", str(tmp_path / "latin.csv"))

    @pytest.mark.parametrize(
        "options",
        [
            [],
            ["--format", "xml"],
            ["--format", "csv", "--default", "colour=red"],
            ["--format", "csv", "--default", "password_hash=x"],
            ["--format", "csv", "--default", "locale"],
        ],
    )
    def test_need_a_format_and_known_defaults(self, service: Callable[..., Result], options: list[str]) -> None:
        assert service("import", "users", "-", *options, text="username\nada\n").exit_code == 2

    def test_need_a_realm_that_exists(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        for what in ("users", "clients"):
            text = "username\nada\n" if what == "users" else "client_id\napp\n"
            arguments = ("import", what, "-", "--format", "csv", "--realm", "none")
            assert "there is no realm none" in refused(*arguments, text=text)


@pytest.mark.usefixtures("realm")
class TestClients:
    def test_come_with_their_settings_and_secrets(
        self, read: Callable[..., Any], table: Table, clients: Callable[[], dict[str, Client]]
    ) -> None:
        path = table(
            {
                "client_id": "hashed",
                "secret_hash": BCRYPT,
                "name": "Reports",
                "grant_types": ["client_credentials"],
                "scope": "read write",
                "default_scope": ["read"],
                "authorities": ["reader"],
                "auth_method": "client_secret_post",
            },
            {
                "client_id": "plain",
                "client_secret": "wonderland",
                "redirect_uris": "https://a.example/cb https://b.example/cb",
                "default_redirect_uri": "https://b.example/cb",
                "requires_pkce": False,
                "access_token_in": 600,
            },
            {"client_id": "app", "public": True, "grant_types": "password refresh_token", "client_secret": "unused"},
        )
        (note,) = read("import", "clients", path, "--realm", "portal")["notes"]
        assert note == "row 3: client_secret: is not moved, as a public client has none"
        found = clients()
        hashed, plain, app = found["hashed"], found["plain"], found["app"]
        assert {client.realm.name for client in found.values()} == {"portal"}
        assert matches(hashed.secrets[0].digest, "password")
        assert matches(plain.secrets[0].digest, "wonderland")
        assert plain.secrets[0].digest.startswith("$argon2id$")
        assert app.secrets == ()
        assert app.is_public
        assert (hashed.name, hashed.scope, hashed.default_scope) == ("Reports", ("read", "write"), ("read",))
        assert (hashed.authorities, hashed.auth_method) == (("reader",), "client_secret_post")
        assert plain.redirect_uris == ("https://a.example/cb", "https://b.example/cb")
        assert plain.default_redirect_uri == "https://b.example/cb"
        assert plain.grant_types == ("authorization_code", "refresh_token")
        assert (plain.requires_pkce, plain.access_token_in) == (False, 600)

    def test_of_spring_come_as_oauth_client_details_has_them(
        self, read: Callable[..., Any], table: Table, clients: Callable[[], dict[str, Client]]
    ) -> None:
        path = table(
            "client_id,resource_ids,client_secret,scope,authorized_grant_types,web_server_redirect_uri,authorities,"
            "access_token_validity,refresh_token_validity,additional_information,autoapprove",
            f'one,,{{bcrypt}}{BCRYPT},"read,write","authorization_code,implicit,refresh_token",'
            "https://one.example/cb,ROLE_CLIENT,43200,2592000,,true",
            "two,api,{noop}wonderland,read,client_credentials,,,,,,read",
        )
        notes = read("import", "clients", path, "--realm", "portal")["notes"]
        assert [note.partition(": ")[2].partition(":")[0] for note in notes] == [
            "refresh_token_validity",
            "resource_ids",
            "autoapprove",
        ]
        one, two = clients()["one"], clients()["two"]
        assert one.grant_types == ("authorization_code", "refresh_token")
        assert (one.allows_implicit, one.asks_consent, one.access_token_in) == (True, False, 43_200)
        assert (one.scope, one.authorities) == (("read", "write"), ("ROLE_CLIENT",))
        assert (two.allows_implicit, two.asks_consent) == (False, True)
        assert matches(one.secrets[0].digest, "password")
        assert matches(two.secrets[0].digest, "wonderland")

    def test_of_flask_oauthlib_come_as_its_models_have_them(
        self, read: Callable[..., Any], table: Table, clients: Callable[[], dict[str, Client]]
    ) -> None:
        path = table(
            "client_id,client_secret,is_confidential,_redirect_uris,_default_scopes,name",
            "viewer,abcd,0,https://viewer.example/cb,read,Viewer",
            "service,abcd,1,,read write,",
        )
        read("import", "clients", path, "--realm", "portal")
        viewer, service = clients()["viewer"], clients()["service"]
        assert viewer.is_public
        assert (viewer.scope, viewer.default_scope) == (("read",), ("read",))
        assert service.grant_types == ("client_credentials",)
        assert matches(service.secrets[0].digest, "abcd")

    @pytest.mark.parametrize(
        ("column", "text", "expected"),
        [
            ("is_confidential", "1", ()),
            ("client_type", "confidential", ()),
            ("public", "false", ()),
            ("is_confidential,secretless_grants", "1,password", ("password",)),
            ("name", "Viewer", SECRETLESS),
        ],
    )
    def test_that_are_said_to_be_confidential_need_their_secret_whatever_the_dialect_lets_others_do(
        self,
        service: Callable[..., Result],
        read: Callable[..., Any],
        table: Table,
        clients: Callable[[], dict[str, Client]],
        column: str,
        text: str,
        expected: tuple[str, ...],
    ) -> None:
        service("realm", "create", "plant", "--dialect", "flarecast")
        path = table(f"client_id,client_secret,grant_types,{column}", f"viewer,abcd,password,{text}")
        read("import", "clients", path, "--realm", "plant", "--default", f"secretless_grants={','.join(SECRETLESS)}")
        assert clients()["viewer"].secretless_grants == expected

    def test_that_are_wrong_are_reported_and_none_is_written(
        self, problems: Callable[..., list[dict[str, Any]]], table: Table, clients: Callable[[], dict[str, Client]]
    ) -> None:
        path = table(
            "client_id,client_secret,grant_types,redirect_uris,access_token_in,id_token_algorithm",
            "fine,secret,client_credentials,,,",
            "none,,client_credentials,,,",
            ",secret,client_credentials,,soon,",
            "bad id,secret,client_credentials,,,",
            "odd,secret,magic,,,",
            "far,secret,,http://far.example/cb,,",
            "long,secret,client_credentials,,999999999,",
            "fine,secret,client_credentials,,,",
            "web,secret,,https://web.example/cb,,ES256",
            "huge," + "x" * 1025 + ",client_credentials,,,",
            "hash,{MD5}hunter2,client_credentials,,,",
        )
        found = problems("clients", path, "--realm", "portal", "--default", "name=Moved")
        assert [(problem["row"], problem["column"]) for problem in found] == [
            (2, "client_secret"),
            (3, "access_token_in"),
            (3, "client_id"),
            (4, ""),
            (5, ""),
            (6, ""),
            (7, ""),
            (8, "client_id"),
            (10, "client_secret"),
            (11, "client_secret"),
        ]
        assert "hunter2" not in str(found)
        assert clients() == {}

    def test_for_whose_id_tokens_there_is_no_key_are_refused(
        self, problems: Callable[..., list[dict[str, Any]]], table: Table
    ) -> None:
        path = table("client_id,client_secret,redirect_uris,id_token_algorithm", "web,x,https://w.example/cb,PS256")
        (found,) = problems("clients", path, "--realm", "portal")
        assert "jwtauth keys create --algorithm PS256" in found["problem"]

    def test_that_are_here_already_can_be_skipped(
        self,
        people: Callable[..., Result],
        read: Callable[..., Any],
        problems: Callable[..., list[dict[str, Any]]],
        table: Table,
        clients: Callable[[], dict[str, Client]],
    ) -> None:
        path = table("client_id,client_secret,name", "portal,x,Other", "new,x,New")
        (found,) = problems("clients", path, "--realm", "portal")
        assert (found["row"], found["column"]) == (1, "client_id")
        before = clients()["portal"]
        counts = read("import", "clients", path, "--realm", "portal", "--on-conflict", "skip")
        assert (counts["imported"], counts["skipped"]) == (1, 1)
        assert clients()["portal"] == before
