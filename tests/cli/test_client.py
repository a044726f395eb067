"""`jwtauth client`, and secrets of which two may be valid at once."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from click.testing import Result

from jwtauth.cli.running import with_store
from jwtauth.dialects.registry import DIALECTS, NAMES
from jwtauth.errors import InvalidClient
from jwtauth.passwords import Passwords
from jwtauth.protocol import client_auth
from jwtauth.protocol.client_auth import Authenticated, CheckHashes, Credentials
from jwtauth.protocol.records import AuthMethod, Client, Grant
from jwtauth.settings import Source
from jwtauth.store.ports import Store

CHOSEN = "a secret that a human chose"


@pytest.fixture
def stored(source: Source) -> Callable[[str], Client]:
    """The client as the database has it."""

    async def find(store: Store, client_id: str) -> Client:
        found = await store.directory.client(client_id)
        assert found is not None
        return found

    return lambda client_id: with_store(source, lambda store: find(store, client_id))


def decide(client: Client, secret: str, *, now: int) -> Authenticated | CheckHashes:
    presented = Credentials(client_id=client.client_id, method=AuthMethod.BASIC, secrets=(secret,))
    return client_auth.decide(presented, client, now=now)


def is_hash_of(hashed: str, secret: str) -> bool:
    passwords = Passwords(memory=8192, passes=1, threads=1, queue=0)
    try:
        return asyncio.run(passwords.verify(hashed, secret))
    finally:
        passwords.close()


class TestCreate:
    def test_prints_a_secret_of_256_bits_exactly_once(self, service: Callable[..., Result]) -> None:
        result = service("client", "create", "reports")
        secret = result.stdout.split("client_secret ")[-1].strip()
        assert len(secret) == 43
        assert result.output.count(secret) == 1
        assert "shown only now" in result.stderr
        for command in (["show", "reports"], ["list", "--json"], ["show", "reports", "--json"]):
            assert secret not in service("client", *command).output

    def test_makes_a_client_that_the_printed_secret_authenticates(
        self, service: Callable[..., Result], read: Callable[..., Any], stored: Callable[[str], Client]
    ) -> None:
        secret = read("client", "create", "reports")["client_secret"]
        assert isinstance(decide(stored("reports"), secret, now=0), Authenticated)
        with pytest.raises(InvalidClient):
            decide(stored("reports"), secret + "x", now=0)

    def test_takes_a_chosen_secret_from_standard_input_and_hashes_it_slowly(
        self, service: Callable[..., Result], read: Callable[..., Any], stored: Callable[[str], Client]
    ) -> None:
        created = read("client", "create", "legacy", "--secret-stdin", text=CHOSEN + "\n")
        assert "client_secret" not in created
        assert created["secrets"][0]["kind"] == "argon2id"
        decision = decide(stored("legacy"), CHOSEN, now=0)
        assert isinstance(decision, CheckHashes)
        assert is_hash_of(decision.hashes[0], CHOSEN)

    @pytest.mark.parametrize("text", ["", "\n", "x" * 1025 + "\n", "a\x00b\n", "\x1b[2J\n"])
    def test_refuses_a_chosen_secret_that_could_not_be_sent(
        self, service: Callable[..., Result], refused: Callable[..., str], text: str
    ) -> None:
        assert "secret: " in refused("client", "create", "legacy", "--secret-stdin", text=text)

    def test_gives_a_public_client_no_secret(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        created = read("client", "create", "app", "--public", "--grant-type", "password")
        assert created["auth_method"] == "none"
        assert created["secrets"] == []
        assert "client_secret" not in created

    def test_takes_every_setting(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        service("realm", "create", "portal")
        created = read(
            *("client", "create", "reports", "--realm", "portal", "--name", "Reports"),
            *("--auth-method", "client_secret_post", "--grant-type", "password", "--grant-type", "refresh_token"),
            *(
                "--scope",
                "read write",
                "--scope",
                "admin",
                "--default-scope",
                "read",
                "--resource",
                "https://r.example",
            ),
            *("--authority", "ROLE_BATCH", "--redirect-uri", "https://c.example/cb", "--access-token-in", "60"),
            *("--reusable-refresh", "--introspects-realm", "default", "--native", "--no-pkce", "--no-consent"),
            *("--secretless-grant", "password", "--default-redirect-uri", "https://c.example/cb"),
            *("--implicit", "--id-token-algorithm", "ES256", "--post-logout-redirect-uri", "https://c.example/"),
            *(
                "--post-logout-redirect-uri",
                "com.example.app:/out",
                "--backchannel-logout-uri",
                "https://c.example/out",
            ),
        )
        created.pop("client_secret")
        (secret,) = created.pop("secrets")
        assert (secret["kind"], secret["expires_at"]) == ("sha256", None)
        assert created == {
            "client_id": "reports",
            "realm": "portal",
            "name": "Reports",
            "auth_method": "client_secret_post",
            "grant_types": ["password", "refresh_token"],
            "scope": ["read", "write", "admin"],
            "default_scope": ["read"],
            "resources": ["https://r.example"],
            "authorities": ["ROLE_BATCH"],
            "redirect_uris": ["https://c.example/cb"],
            "default_redirect_uri": "https://c.example/cb",
            "application_type": "native",
            "requires_pkce": False,
            "asks_consent": False,
            "allows_implicit": True,
            "id_token_algorithm": "ES256",
            "post_logout_redirect_uris": ["https://c.example/", "com.example.app:/out"],
            "backchannel_logout_uri": "https://c.example/out",
            "access_token_in": 60,
            "refresh_token_is_reusable": True,
            "secretless_grants": ["password"],
            "redeemed_by": None,
            "introspects_realms": ["default"],
            "disabled_at": None,
            "is_demo": False,
        }

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["u.reports"], "must not begin with"),
            (["two words"], "client_id"),
            (["reports", "--realm", "none"], "there is no realm none"),
            (["reports", "--introspects-realm", "none"], "there is no realm none"),
            (["reports", "--grant-type", "implicit"], "grant_type 'implicit'"),
            (["reports", "--public"], "client_credentials"),
            (["reports", "--public", "--grant-type", "password", "--reusable-refresh"], "reusable"),
            (["reports", "--scope", 'read "write"'], "scope"),
            (["reports", "--default-scope", "read"], "default scope"),
            (["reports", "--resource", "relative/path"], "resource"),
            (["reports", "--access-token-in", "-1"], "access_token_in"),
            (["reports", "--access-token-in", "86401"], "max_token_lifetime"),
            (["reports", "--redirect-uri", "https://*.example/cb"], "wildcard"),
            (["reports", "--redirect-uri", "https://c.example/cb#x"], "fragment"),
            (["reports", "--redirect-uri", "javascript:alert(1)"], "scheme javascript is refused"),
            (["reports", "--redirect-uri", "data:text/html,x"], "scheme data is refused"),
            (["reports", "--redirect-uri", "http://c.example/cb"], "http is only for"),
            (["reports", "--grant-type", "authorization_code"], "needs a redirect_uri"),
            (["reports", "--implicit"], "implicit: needs a redirect_uri"),
            (["reports", "--public", "--redirect-uri", "https://c.example/cb", "--no-pkce"], "no PKCE"),
            (["reports", "--post-logout-redirect-uri", "http://c.example/"], "post_logout_redirect_uri"),
            (["reports", "--backchannel-logout-uri", "com.example.app:/out"], "backchannel_logout_uri"),
            (["reports", "--id-token-algorithm", "EdDSA"], "run `jwtauth keys create --algorithm EdDSA`"),
        ],
    )
    def test_refuses_what_cannot_be_registered(
        self, service: Callable[..., Result], refused: Callable[..., str], arguments: list[str], reason: str
    ) -> None:
        assert reason in refused("client", "create", *arguments)
        assert service("client", "list").stdout.count("\n") == 1

    def test_refuses_a_client_id_that_is_taken(
        self, people: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "taken" in refused("client", "create", "portal")


class TestCreateForSignIn:
    def test_gives_a_client_with_a_redirect_uri_code_and_refresh(
        self, service: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        created = read("client", "create", "shop", "--redirect-uri", "https://shop.example/cb")
        assert created["grant_types"] == ["authorization_code", "refresh_token"]
        assert (created["application_type"], created["id_token_algorithm"]) == ("web", "RS256")
        assert (created["requires_pkce"], created["asks_consent"], created["allows_implicit"]) == (True, True, False)

    def test_gives_a_public_client_with_a_redirect_uri_the_same(
        self, service: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        created = read("client", "create", "app", "--public", "--native", "--redirect-uri", "com.example.app:/cb")
        assert created["grant_types"] == ["authorization_code", "refresh_token"]
        assert created["application_type"] == "native"

    @pytest.mark.parametrize(
        ("arguments", "grant_types"),
        [
            ([], ["client_credentials"]),
            (["--redirect-uri", ""], ["client_credentials"]),
            (["--redirect-uri", "https://c.example/cb", "--grant-type", "password"], ["password"]),
            (["--redirect-uri", "https://c.example/cb", "--grant-type", ""], []),
        ],
    )
    def test_follows_what_was_named(
        self, service: Callable[..., Result], read: Callable[..., Any], arguments: list[str], grant_types: list[str]
    ) -> None:
        assert read("client", "create", "reports", *arguments)["grant_types"] == grant_types

    def test_needs_a_key_for_its_id_tokens_and_says_how_to_make_it(
        self, service: Callable[..., Result], read: Callable[..., Any], refused: Callable[..., str]
    ) -> None:
        wanted = ["client", "create", "shop", "--redirect-uri", "https://c.example/cb", "--id-token-algorithm", "PS256"]
        command = refused(*wanted).split("`")[1]
        assert command == "jwtauth keys create --algorithm PS256"
        assert service(*command.split()[1:]).exit_code == 0
        assert read(*wanted)["id_token_algorithm"] == "PS256"

    def test_needs_the_key_of_an_installation_brought_up_to_date(
        self, service: Callable[..., Result], read: Callable[..., Any], refused: Callable[..., str], source: Source
    ) -> None:
        (path,) = source.keys.glob("RS256-*")
        path.unlink()
        sign_in = ["--redirect-uri", "https://c.example/cb"]
        assert "there is no RS256 key" in refused("client", "create", "shop", *sign_in)
        assert read("client", "create", "reports")["grant_types"] == ["client_credentials"]
        service("init")
        assert read("client", "create", "shop", *sign_in)["client_id"] == "shop"


class TestShowAndList:
    def test_never_show_a_digest(self, service: Callable[..., Result], stored: Callable[[str], Client]) -> None:
        service("client", "create", "reports")
        (secret,) = stored("reports").secrets
        for command in (["show", "reports"], ["list"]):
            for more in ([], ["--json"]):
                assert secret.digest not in service("client", *command, *more).output

    def test_say_that_a_client_does_not_exist(
        self, service: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "there is no client ghost; `jwtauth client list`" in refused("client", "show", "ghost")

    def test_can_be_limited_to_a_realm(self, people: Callable[..., Result], read: Callable[..., Any]) -> None:
        people("realm", "create", "other")
        people("client", "create", "elsewhere", "--realm", "other")
        assert [client["client_id"] for client in read("client", "list")] == ["elsewhere", "portal"]
        assert [client["client_id"] for client in read("client", "list", "--realm", "other")] == ["elsewhere"]


class TestChange:
    def test_leaves_what_was_not_named_and_lets_grants_live(
        self,
        start_grant: Callable[[], Grant],
        grant_now: Callable[[Grant], Grant],
        read: Callable[..., Any],
    ) -> None:
        grant, before = start_grant(), read("client", "show", "portal")
        assert read("client", "change", "portal", "--name", "Portal") == {**before, "name": "Portal"}
        assert read("client", "show", "portal") == {**before, "name": "Portal"}
        assert grant_now(grant).ended_at is None

    def test_gives_back_the_lifetime_of_the_realm(
        self, people: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        assert read("client", "change", "portal", "--access-token-in", "60")["access_token_in"] == 60
        assert read("client", "change", "portal", "--access-token-in", "0")["access_token_in"] is None

    def test_names_and_forgets_a_back_channel(self, people: Callable[..., Result], read: Callable[..., Any]) -> None:
        uri = "https://c.example/out"
        assert read("client", "change", "portal", "--backchannel-logout-uri", uri)["backchannel_logout_uri"] == uri
        assert read("client", "change", "portal", "--name", "Portal")["backchannel_logout_uri"] == uri
        assert read("client", "change", "portal", "--backchannel-logout-uri", "")["backchannel_logout_uri"] is None

    def test_turns_every_switch_on_and_off(self, people: Callable[..., Result], read: Callable[..., Any]) -> None:
        read("client", "change", "portal", "--redirect-uri", "http://127.0.0.1/cb")
        for flags, values in (
            (("--native", "--no-pkce", "--no-consent", "--implicit"), ("native", False, False, True)),
            (("--web", "--pkce", "--consent", "--no-implicit"), ("web", True, True, False)),
        ):
            read("client", "change", "portal", *flags)
            found = read("client", "show", "portal")
            names = ("application_type", "requires_pkce", "asks_consent", "allows_implicit")
            assert tuple(found[name] for name in names) == values

    def test_does_not_give_grants_to_a_client_that_gets_a_redirect_uri(
        self, people: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        changed = read("client", "change", "portal", "--redirect-uri", "https://c.example/cb")
        assert changed["grant_types"] == ["password", "refresh_token"]

    def test_keeps_a_client_that_needs_no_pkce_from_becoming_public(
        self, people: Callable[..., Result], read: Callable[..., Any], refused: Callable[..., str]
    ) -> None:
        read("client", "change", "portal", "--no-pkce")
        assert "no PKCE" in refused("client", "change", "portal", "--public")

    def test_to_a_public_client_takes_its_secret_away(
        self, people: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        assert read("client", "change", "portal", "--public")["secrets"] == []
        assert read("client", "show", "portal")["secrets"] == []

    def test_refuses_what_cannot_be_registered(
        self, people: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        assert "wildcard" in refused("client", "change", "portal", "--redirect-uri", "https://c.example/*")
        assert "there is no client ghost" in refused("client", "change", "ghost", "--name", "Ghost")


class TestDisable:
    def test_ends_its_grants_and_denies_their_tokens(
        self,
        start_grant: Callable[[], Grant],
        grant_now: Callable[[Grant], Grant],
        is_denied: Callable[[Grant], bool],
        read: Callable[..., Any],
    ) -> None:
        grant = start_grant()
        assert read("client", "disable", "portal") == {"client_id": "portal", "grants_ended": 1}
        assert grant_now(grant).ended_at is not None
        assert is_denied(grant)

    def test_is_undone_by_enable(
        self, people: Callable[..., Result], read: Callable[..., Any], refused: Callable[..., str]
    ) -> None:
        read("client", "disable", "portal")
        assert "there is no enabled client portal" in refused("client", "disable", "portal")
        assert read("client", "enable", "portal") == {"client_id": "portal", "enabled": True}
        assert read("client", "show", "portal")["disabled_at"] is None


class TestSecretRotate:
    def test_lets_old_and_new_authenticate_until_the_old_one_ends(
        self, service: Callable[..., Result], read: Callable[..., Any], stored: Callable[[str], Client]
    ) -> None:
        old = read("client", "create", "reports")["client_secret"]
        new = read("client", "secret", "rotate", "reports", "--keep-old-for", "100")["client_secret"]
        client = stored("reports")
        rotated_at = client.secrets[-1].created_at
        for secret in (old, new):
            assert isinstance(decide(client, secret, now=rotated_at + 99), Authenticated)
        assert isinstance(decide(client, new, now=rotated_at + 100), Authenticated)
        with pytest.raises(InvalidClient):
            decide(client, old, now=rotated_at + 100)

    def test_keeps_the_old_secret_for_a_day_unless_told(
        self, people: Callable[..., Result], read: Callable[..., Any]
    ) -> None:
        old, new = read("client", "secret", "rotate", "portal")["secrets"]
        assert old["expires_at"] == new["created_at"] + 86_400
        assert new["expires_at"] is None

    def test_never_leaves_more_than_two(
        self, service: Callable[..., Result], read: Callable[..., Any], stored: Callable[[str], Client]
    ) -> None:
        first = read("client", "create", "reports")["client_secret"]
        second = read("client", "secret", "rotate", "reports")["client_secret"]
        third = read("client", "secret", "rotate", "reports")["client_secret"]
        client = stored("reports")
        assert len(client.secrets) == 2
        for secret in (second, third):
            assert isinstance(decide(client, secret, now=client.secrets[-1].created_at), Authenticated)
        with pytest.raises(InvalidClient):
            decide(client, first, now=client.secrets[-1].created_at)

    def test_can_end_the_old_one_at_once(self, people: Callable[..., Result], read: Callable[..., Any]) -> None:
        assert len(read("client", "secret", "rotate", "portal", "--keep-old-for", "0")["secrets"]) == 1

    def test_takes_a_chosen_secret(self, people: Callable[..., Result], read: Callable[..., Any]) -> None:
        rotated = read("client", "secret", "rotate", "portal", "--secret-stdin", text="chosen by a human\n")
        assert [secret["kind"] for secret in rotated["secrets"]] == ["sha256", "argon2id"]
        assert "client_secret" not in rotated

    def test_refuses_a_public_client(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        service("client", "create", "app", "--public", "--grant-type", "password")
        assert "is public and has no secret" in refused("client", "secret", "rotate", "app")

    def test_refuses_a_negative_duration(self, people: Callable[..., Result], refused: Callable[..., str]) -> None:
        assert "keep-old-for" in refused("client", "secret", "rotate", "portal", "--keep-old-for", "-1")


class TestForOldClients:
    """Settings for those that cannot move yet."""

    def test_are_set_and_taken_back(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        uris = ("--redirect-uri", "https://old.example/a", "--redirect-uri", "https://old.example/b")
        created = read(
            *("client", "create", "old", *uris, "--default-redirect-uri", "https://old.example/b"),
            *("--secretless-grant", "password", "--secretless-grant", "refresh_token"),
        )
        assert created["default_redirect_uri"] == "https://old.example/b"
        assert created["secretless_grants"] == ["password", "refresh_token"]
        changed = read("client", "change", "old", "--default-redirect-uri", "", "--secretless-grant", "")
        assert changed["default_redirect_uri"] is None
        assert changed["secretless_grants"] == []

    def test_refuse_what_nothing_would_protect(
        self, service: Callable[..., Result], refused: Callable[..., str]
    ) -> None:
        arguments = ("client", "create", "old", "--secretless-grant", "client_credentials")
        assert "secretless grant 'client_credentials'" in refused(*arguments)
        arguments = ("client", "create", "old", "--default-redirect-uri", "https://old.example/b")
        assert "default_redirect_uri: is none of" in refused(*arguments)


class TestRedeemedBy:
    """A client whose codes another one redeems, with that one's secret (SEEDS S1)."""

    def test_has_no_secret(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        service("client", "create", "partner")
        created = read("client", "create", "old", "--redeemed-by", "partner")
        assert (created["redeemed_by"], created["secrets"]) == ("partner", [])
        assert "client_secret" not in created

    def test_loses_the_secret_that_it_had(self, service: Callable[..., Result], read: Callable[..., Any]) -> None:
        service("client", "create", "partner")
        service("client", "create", "old")
        assert read("client", "change", "old", "--redeemed-by", "partner")["secrets"] == []
        assert read("client", "show", "old")["secrets"] == []
        assert read("client", "change", "old", "--redeemed-by", "")["redeemed_by"] is None

    def test_gets_no_secret_either(self, service: Callable[..., Result], refused: Callable[..., str]) -> None:
        service("client", "create", "partner")
        service("client", "create", "old", "--redeemed-by", "partner")
        assert "partner redeems for it" in refused("client", "secret", "rotate", "old")
        result = service("client", "create", "older", "--redeemed-by", "partner", "--secret-stdin", text="a secret\n")
        assert result.exit_code == 2

    @pytest.mark.parametrize(
        ("partner", "words"),
        [
            ("nobody", "there is no client nobody"),
            ("stranger", "redeemed_by stranger: is no other client of realm default"),
            ("old", "redeemed_by old: is no other client"),
        ],
    )
    def test_is_another_client_of_the_same_realm(
        self, service: Callable[..., Result], refused: Callable[..., str], partner: str, words: str
    ) -> None:
        service("realm", "create", "elsewhere")
        service("client", "create", "stranger", "--realm", "elsewhere")
        service("client", "create", "old")
        assert words in refused("client", "change", "old", "--redeemed-by", partner)


class TestOfADialect:
    """A new client starts from what its realm's dialect needs."""

    @pytest.fixture
    def realms(self, service: Callable[..., Result]) -> Callable[..., Result]:
        for name in NAMES:
            assert service("realm", "create", f"r-{name}", "--dialect", name).exit_code == 0
        return service

    @pytest.mark.parametrize("name", NAMES)
    def test_gets_its_defaults(self, realms: Callable[..., Result], read: Callable[..., Any], name: str) -> None:
        created = read("client", "create", "old", "--realm", f"r-{name}", "--redirect-uri", "https://old.example/back")
        expected = json.loads(msgspec.json.encode(DIALECTS[name].client))
        expected["grant_types"] = [
            found
            for found in expected.get("grant_types", ["authorization_code", "refresh_token"])
            if found != "external_token"
        ]
        assert {member: created[member] for member in expected} == expected

    @pytest.mark.parametrize("name", NAMES)
    def test_is_made_whatever_kind_of_client_it_is(self, realms: Callable[..., Result], name: str) -> None:
        of_realm = ("--realm", f"r-{name}")
        uri = ("--redirect-uri", "https://old.example/back")
        for number, arguments in enumerate(
            (
                [],
                ["--scope", "other"],
                ["--public", "--grant-type", "password"],
                ["--public", *uri],
                ["--pkce", "--rotating-refresh", *uri],
            )
        ):
            result = realms("client", "create", f"old-{number}", *of_realm, *arguments)
            assert result.exit_code == 0, result.output

    def test_gets_what_was_named_instead(self, realms: Callable[..., Result], read: Callable[..., Any]) -> None:
        created = read(
            *("client", "create", "old", "--realm", "r-flarecast", "--pkce", "--secretless-grant", ""),
            *("--auth-method", "client_secret_basic"),
        )
        assert created["requires_pkce"] is True
        assert created["secretless_grants"] == []
        assert created["auth_method"] == "client_secret_basic"
