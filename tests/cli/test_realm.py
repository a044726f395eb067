"""`jwtauth realm`."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import Result

from jwtauth.cli.running import with_store
from jwtauth.dialects.dialect import STANDARD_NAME
from jwtauth.dialects.registry import DIALECTS, NAMES
from jwtauth.passwords import Passwords
from jwtauth.protocol import client_auth
from jwtauth.protocol.records import Client, ClientSecret, Grant, SecretKind
from jwtauth.settings import Source
from jwtauth.store.ports import Store

UPSTREAM = (
    *("--upstream-name", "Old Server", "--upstream-client-id", "new-server"),
    *("--upstream-client-secret", "env:OLD_SECRET", "--upstream-access-token-uri", "https://old.example/token"),
    *("--upstream-user-authorization-uri", "https://old.example/authorize"),
    *("--upstream-issuer", "https://old.example", "--upstream-sends-iss"),
    *("--upstream-introspection-uri", "https://old.example/introspect"),
    *("--upstream-userinfo-uri", "https://old.example/userinfo", "--upstream-jwks-uri", "https://old.example/jwks"),
    *("--upstream-audience", "https://portal.example", "--upstream-scope", "openid profile"),
    *("--upstream-username-claim", "preferred_username", "--upstream-checks-passwords"),
)
DEFAULT_KEY = "onesaitplatform"


@pytest.fixture
def secrets_of(source: Source) -> Callable[[str], tuple[ClientSecret, ...]]:
    """The stored secrets of a client."""

    async def find(store: Store, client_id: str) -> Client:
        found = await store.directory.client(client_id)
        assert found is not None
        return found

    return lambda client_id: with_store(source, lambda store: find(store, client_id)).secrets


def is_key(secret: ClientSecret, key: str) -> bool:
    """Whether a chosen key is this one."""
    passwords = Passwords(memory=8_192, passes=1, threads=1, queue=0)
    try:
        return secret.kind is SecretKind.CHOSEN and asyncio.run(passwords.verify(secret.digest, key))
    finally:
        passwords.close()


class TestCreate:
    def test_gives_an_audience_of_its_own_unless_told(
        self, service: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        assert read("realm", "create", "portal")["audience"] == "http://127.0.0.1:8000/realms/portal"

    def test_takes_every_setting(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        created = read(
            *("realm", "create", "portal", "--audience", "https://portal.example", "--dialect", "standard"),
            *("--role", "reader", "--role", "editor", "--access-token-in", "60", "--refresh-token-in", "120"),
            *("--grant-in", "240", "--retry-in", "0", "--renews-position", "--names-grant-type"),
            *("--access-token-in-for", "password=30", "--access-token-in-for", "urn:example:card=20"),
            *("--custom-grant", "urn:example:card=example.card", "--http-redirect-uris", "--parent", "default"),
            *("--sunset", "2030-12-31", *UPSTREAM),
        )
        assert created == {
            "name": "portal",
            "audience": "https://portal.example",
            "dialect": "standard",
            "roles": ["reader", "editor"],
            "access_token_in": 60,
            "access_token_in_by": {"password": 30, "urn:example:card": 20},
            "refresh_token_in": 120,
            "grant_in": 240,
            "retry_in": 0,
            "renews_position": True,
            "names_grant_type": True,
            "allows_http_redirect_uris": True,
            "parent": "default",
            "upstream": {
                "name": "Old Server",
                "client_id": "new-server",
                "client_secret": "env:OLD_SECRET",
                "access_token_uri": "https://old.example/token",
                "user_authorization_uri": "https://old.example/authorize",
                "issuer": "https://old.example",
                "sends_iss": True,
                "introspection_uri": "https://old.example/introspect",
                "userinfo_uri": "https://old.example/userinfo",
                "jwks_uri": "https://old.example/jwks",
                "audience": "https://portal.example",
                "scope": ["openid", "profile"],
                "username_claim": "preferred_username",
                "checks_passwords": True,
            },
            "custom_grants": {"urn:example:card": "example.card"},
            "sunset_at": 1_924_905_600,
            "disabled_at": None,
            "is_demo": False,
        }
        assert read("realm", "show", "portal") == created

    @pytest.mark.parametrize("name", [name for name in NAMES if name != STANDARD_NAME])
    def test_starts_from_what_its_dialect_needs_and_options_win(
        self, service: Callable[..., Result], read: Callable[..., Any], name: str
    ) -> None:
        created = read("realm", "create", "plant", "--dialect", name)
        expected = json.loads(msgspec.json.encode({**DIALECTS[name].realm, "dialect": name}))
        assert {member: created[member] for member in expected} == expected
        assert read("realm", "create", "mill", "--dialect", name, "--access-token-in", "77")["access_token_in"] == 77

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["Portal"], "realm name"),
            (["default"], "taken"),
            (["portal", "--audience", "http://127.0.0.1:8000/realms/default"], "no two may share one"),
            (["portal", "--access-token-in", "0"], "access_token_in"),
            (["portal", "--access-token-in", "86401"], "max_token_lifetime"),
            (["portal", "--role", "two words"], "role"),
            (["portal", "--access-token-in-for", "password=86401"], "max_token_lifetime"),
            (["portal", "--access-token-in-for", "password=soon"], "'soon' is no number of seconds"),
            (["portal", "--access-token-in-for", "nonsense=60"], "grant_type 'nonsense'"),
            (["portal", "--custom-grant", "password=example.card"], "custom grant"),
            (["portal", "--parent", "nowhere"], "there is no realm nowhere"),
            (["portal", "--upstream-name", "Old"], "name --upstream-client-id too"),
            (["portal", *UPSTREAM, "--upstream-access-token-uri", ""], "name --upstream-access-token-uri too"),
            (["portal", *UPSTREAM, "--upstream-jwks-uri", "http://old.example/jwks"], "jwks_uri"),
        ],
    )
    def test_refuses_what_cannot_be_registered(
        self, service: Callable[..., Result], refused: Callable[..., str], arguments: list[str], reason: str
    ) -> None:
        assert reason in refused("realm", "create", *arguments)
        assert service("realm", "list").stdout.count("\n") == 2


class TestKey:
    """A realm that is itself a client, with the realm's KEY as its secret (SEEDS O1)."""

    def test_is_the_one_of_the_manual_unless_told(
        self, service: Callable[..., Result], secrets_of: Callable[[str], tuple[ClientSecret, ...]]
    ) -> None:
        made = service("realm", "create", "plant", "--dialect", "onesait")
        assert "jwtauth realm change plant --key-stdin" in made.stderr
        (secret,) = secrets_of("plant")
        assert (secret.kind, secret.digest) == (SecretKind.GENERATED, client_auth.digest(DEFAULT_KEY))

    def test_is_hashed_slowly_where_it_was_chosen(
        self, service: Callable[..., Result], secrets_of: Callable[[str], tuple[ClientSecret, ...]]
    ) -> None:
        made = service("realm", "create", "plant", "--dialect", "onesait", "--key-stdin", text="better_key_1\n")
        assert "better_key_1" not in made.output
        (secret,) = secrets_of("plant")
        assert is_key(secret, "better_key_1")

    def test_is_replaced_at_once(
        self, service: Callable[..., Result], secrets_of: Callable[[str], tuple[ClientSecret, ...]]
    ) -> None:
        service("realm", "create", "plant", "--dialect", "onesait")
        assert service("realm", "change", "plant", "--key-stdin", text="better_key_1\n").exit_code == 0
        (secret,) = secrets_of("plant")
        assert is_key(secret, "better_key_1")

    @pytest.mark.parametrize("options", [["--public", "--redirect-uri", "https://a.example/cb"], []])
    def test_is_not_given_to_a_client_of_the_same_name_elsewhere(
        self,
        service: Callable[..., Result],
        secrets_of: Callable[[str], tuple[ClientSecret, ...]],
        refused: Callable[..., str],
        options: list[str],
    ) -> None:
        service("realm", "create", "plant")
        service("client", "create", "plant", "--realm", "default", *options)
        before = secrets_of("plant")
        arguments = ("realm", "change", "plant", "--dialect", "onesait", "--key-stdin")
        assert "the key of realm plant is not for it" in refused(*arguments, text="better_key_1\n")
        assert secrets_of("plant") == before

    def test_of_the_manual_is_known_again_however_it_was_given(
        self, service: Callable[..., Result], secrets_of: Callable[[str], tuple[ClientSecret, ...]]
    ) -> None:
        service("client", "create", "pump", "--secret-stdin", text=f"{DEFAULT_KEY}\n")
        assert [secret.digest for secret in secrets_of("pump")] == [client_auth.digest(DEFAULT_KEY)]

    def test_is_only_of_realms_that_have_one(self, service: Callable[..., Result]) -> None:
        for arguments in (["create", "plant"], ["change", "default"]):
            result = service("realm", *arguments, "--key-stdin", text="better_key_1\n")
            assert result.exit_code != 0
        assert service("realm", "list").stdout.count("\n") == 2

    def test_makes_nothing_where_its_client_id_is_taken(
        self, service: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        service("client", "create", "plant")
        assert "client plant: the client_id is taken" in refused("realm", "create", "plant", "--dialect", "onesait")
        assert service("realm", "list").stdout.count("\n") == 2


class TestList:
    def test_shows_a_table_to_people(self, service: Callable[..., Result]) -> None:
        heading, row = service("realm", "list").stdout.splitlines()
        assert heading.split() == [
            "name",
            "audience",
            "dialect",
            "roles",
            "access_token_in",
            "sunset_at",
            "disabled_at",
        ]
        assert row.split() == [
            "default",
            "http://127.0.0.1:8000/realms/default",
            "standard",
            "-",
            "3600",
            "s",
            "-",
            "-",
        ]


class TestShow:
    def test_prints_what_is_inside_a_setting_line_by_line(self, service: Callable[..., Result]) -> None:
        service("realm", "create", "portal", "--access-token-in-for", "password=30", *UPSTREAM)
        lines = service("realm", "show", "portal").stdout.splitlines()
        found = {line.split()[0]: " ".join(line.split()[1:]) for line in lines}
        assert found["access_token_in_by"] == "password: 30"
        assert found["upstream.name"] == "Old Server"
        assert found["upstream.scope"] == "openid profile"
        assert found["upstream.checks_passwords"] == "yes"
        assert found["custom_grants"] == "-"

    def test_says_that_a_realm_does_not_exist(
        self, service: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "there is no realm portal; `jwtauth realm list`" in refused("realm", "show", "portal")


class TestChange:
    def test_leaves_what_was_not_named(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        before = read("realm", "show", "default")
        assert read("realm", "change", "default", "--retry-in", "0") == {**before, "retry_in": 0}
        assert read("realm", "show", "default") == {**before, "retry_in": 0}

    def test_empties_a_list_by_an_empty_value(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        read("realm", "change", "default", "--role", "reader")
        assert read("realm", "change", "default", "--role", "")["roles"] == []

    def test_keeps_lifetimes_and_grants_that_were_not_named_and_drops_emptied_ones(
        self, service: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        read("realm", "change", "default", "--access-token-in-for", "password=30", "--custom-grant", "urn:a=a.b")
        changed = read("realm", "change", "default", "--access-token-in-for", "client_credentials=40")
        assert changed["access_token_in_by"] == {"password": 30, "client_credentials": 40}
        changed = read("realm", "change", "default", "--access-token-in-for", "password=", "--custom-grant", "urn:a=")
        assert changed["access_token_in_by"] == {"client_credentials": 40}
        assert changed["custom_grants"] == {}

    @pytest.mark.parametrize(
        ("date", "instant"),
        [
            ("2030-12-31", 1_924_905_600),
            ("2030-12-31T12:00:00", 1_924_948_800),
            ("2030-12-31T12:00:00Z", 1_924_948_800),
            ("2030-12-31T12:00:00+01:00", 1_924_945_200),
        ],
    )
    def test_takes_a_date_or_an_instant_and_takes_it_back(
        self, service: Callable[..., Result], read: Callable[..., Any], date: str, instant: int
    ) -> None:
        assert read("realm", "change", "default", "--sunset", date)["sunset_at"] == instant
        assert read("realm", "change", "default", "--retry-in", "1")["sunset_at"] == instant
        assert read("realm", "change", "default", "--sunset", "none")["sunset_at"] is None

    def test_changes_one_member_of_an_upstream_or_removes_all_of_it(
        self, service: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        before = read("realm", "change", "default", *UPSTREAM)["upstream"]
        changed = read("realm", "change", "default", "--upstream-name", "Older", "--upstream-jwks-uri", "")["upstream"]
        assert changed == {**before, "name": "Older", "jwks_uri": None}
        assert read("realm", "change", "default", "--retry-in", "1")["upstream"] == changed
        assert read("realm", "change", "default", "--no-upstream")["upstream"] is None

    def test_takes_a_parent_away(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        read("realm", "create", "portal", "--parent", "default")
        assert read("realm", "change", "portal", "--parent", "")["parent"] is None

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--sunset", "soon"],
            ["--sunset", "9999-12-31T23:59:59-12:00"],
            ["--sunset", "0001-01-01T00:00:00+12:00"],
            ["--access-token-in-for", "password"],
            ["--custom-grant", "=example.card"],
            ["--no-upstream", "--upstream-name", "Old"],
            ["--dialect", "klingon"],
        ],
    )
    def test_refuses_what_cannot_be_meant(self, service: Callable[..., Result], arguments: list[str]) -> None:
        assert service("realm", "change", "default", *arguments).exit_code == 2

    def test_refuses_to_drop_a_role_that_somebody_holds(
        self, people: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        people("realm", "change", "default", "--role", "reader")
        people("user", "change", "alice", "--role", "default:reader")
        assert "user alice holds it" in refused("realm", "change", "default", "--role", "editor")

    def test_refuses_what_cannot_be_registered(
        self, service: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "max_token_lifetime" in refused("realm", "change", "default", "--access-token-in", "99999")


class TestDisable:
    def test_ends_the_grants_of_its_clients_and_denies_their_tokens(
        self,
        start_grant: Callable[[], Grant],
        grant_now: Callable[[Grant], Grant],
        is_denied: Callable[[Grant], bool],
        read: Callable[..., Any],
    ) -> None:
        grant = start_grant()
        assert read("realm", "disable", "default") == {"realm": "default", "grants_ended": 1}
        assert grant_now(grant).ended_at is not None
        assert is_denied(grant)

    def test_is_undone_by_enable(
        self, service: Callable[..., Result], read: Callable[..., Any], refused: Callable[..., str]
    ) -> None:
        read("realm", "disable", "default")
        assert isinstance(read("realm", "show", "default")["disabled_at"], int)
        assert "Z\n" in service("realm", "list").stdout
        assert read("realm", "enable", "default") == {"realm": "default", "enabled": True}
        assert read("realm", "show", "default")["disabled_at"] is None
        assert "there is no disabled realm default" in refused("realm", "enable", "default")
