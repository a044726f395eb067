"""What may be registered (RFC 7591 section 2, RFC 8252 section 7, SECURITY R-01)."""

from typing import Any

import pytest

from jwtauth.errors import ConfigurationError, InvalidScope
from jwtauth.protocol import registration
from jwtauth.protocol.records import AuthMethod, Client, ClientSecret, GrantType, Realm, SecretKind, User

DAY = 86_400


def realm(**members: Any) -> Realm:
    return Realm(**{"id": 1, "name": "portal", "audience": "https://issuer.example/realms/portal", **members})


def client(**members: Any) -> Client:
    return Client(**{"id": 1, "client_id": "reports", "realm": realm(), **members})


def user(**members: Any) -> User:
    return User(**{"id": 1, "sub": "u.x", "username": "alice", **members})


def secret(digest: str, *, expires_at: int | None = None) -> ClientSecret:
    return ClientSecret(kind=SecretKind.GENERATED, digest=digest, created_at=0, expires_at=expires_at)


class TestRedirectUri:  # RFC 6749 section 3.1.2, RFC 8252 section 7
    @pytest.mark.parametrize(
        "uri",
        [
            "https://client.example",
            "https://client.example/cb",
            "https://client.example:8443/cb?a=b&c=%20d",
            "https://xn--bcher-kva.example/cb",
            "https://[2001:db8::1]/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:49152/cb",
            "http://[::1]:8080/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
        ],
    )
    def test_is_taken(self, uri: str) -> None:
        registration.check_redirect_uri(uri)

    @pytest.mark.parametrize(
        "uri",
        [
            "",
            "/cb",
            "//client.example/cb",
            "client.example/cb",
            "https:",
            "https://",
            "https:///cb",
            "https:/cb",
            "https:client.example",
            "https://*.client.example/cb",
            "https://client.example/*",
            "https://client.example/cb#",
            "https://client.example/cb#fragment",
            "http://client.example/cb",
            "http://localhost/cb",
            "http://127.0.0.1.client.example/cb",
            "http://127.0.0.2/cb",
            "http://2130706433/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "vbscript:x",
            "blob:https://client.example/x",
            "myapp:/cb",
            "urn:ietf:wg:oauth:2.0:oob",
            "https://user@client.example/cb",
            "https://user:password@client.example/cb",
            "https://client.example@evil.example/cb",
            "https://client.example\\@evil.example/cb",
            "https:\\\\client.example/cb",
            "https://client.example/a/../b",
            "https://client.example/./cb",
            "https://client.example/a/%2e%2e/b",
            "https://client.example/a/%252E%252e/b",
            "https://client.example/a%2f..%2fb",
            "https://client.example/a/..%5cb",
            "https://client.example/%5cb",
            "https://client.example/cb\r\nSet-Cookie:x",
            "https://client.example/cb%0d%0aSet-Cookie:x",
            "https://client.example/cb?x=%00",
            "https://client.example/cb\x00",
            "https://client.example/c b",
            "https://client.example/cb\t",
            " https://client.example/cb",
            "https://bücher.example/cb",
            "https://client.example/\u202ecb",
            "https://client.example:0/cb",
            "https://client.example:99999/cb",
            "https://client.example:port/cb",
            "https://[::1/cb",
            "https://client..example/cb",
            "https://.client.example/cb",
            "https://client.example%2eevil.example/cb",
            "https://client.example/%zz",
            'https://client.example/"onload=',
            "https://client.example/<script>",
            "https://client.example/" + "x" * 2048,
            "com.example.app:",
            "com.example.app://user@cb",
            "com.example.app:/a/../b",
        ],
    )
    def test_is_refused(self, uri: str) -> None:
        with pytest.raises(ConfigurationError, match="redirect_uri"):
            registration.check_redirect_uri(uri)

    def test_is_checked_with_its_client(self) -> None:
        with pytest.raises(ConfigurationError, match="wildcard"):
            registration.check_client(
                client(redirect_uris=("https://ok.example/cb", "https://*/")), [], max_token_lifetime=DAY
            )


class TestClientId:
    @pytest.mark.parametrize("client_id", ["a", "alfrescoapp", "A-Z_a.z~0", "u", "user", "x" * 128])
    def test_is_taken(self, client_id: str) -> None:
        registration.check_client_id(client_id)

    @pytest.mark.parametrize("client_id", ["", "u.", "u.abc", "a b", "a:b", "a/b", "a\n", "é", "%41", "x" * 129])
    def test_is_refused(self, client_id: str) -> None:
        with pytest.raises(ConfigurationError, match="client_id"):
            registration.check_client_id(client_id)


class TestClient:
    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"grant_types": tuple(GrantType)},
            {"scope": ("read", "write"), "default_scope": ("read",)},
            {"resources": ("https://api.example/v1", "urn:example:api")},
            {"authorities": ("ROLE_BATCH",)},
            {"access_token_in": DAY},
            {"refresh_token_is_reusable": True},
            {"introspects_realms": ("portal",)},
            {"auth_method": AuthMethod.NONE, "grant_types": (GrantType.PASSWORD, GrantType.REFRESH_TOKEN)},
        ],
    )
    def test_is_taken(self, members: dict[str, Any]) -> None:
        registration.check_client(client(**members), [realm()], max_token_lifetime=DAY)

    @pytest.mark.parametrize(
        ("members", "reason"),
        [
            ({"client_id": "u.x"}, "client_id"),
            ({"name": "a\x1b[2J"}, "name"),
            ({"name": "x" * 257}, "name"),
            ({"grant_types": ("implicit",)}, "grant_type 'implicit'"),
            ({"auth_method": AuthMethod.NONE}, "client_credentials"),
            ({"auth_method": AuthMethod.NONE, "grant_types": (), "refresh_token_is_reusable": True}, "reusable"),
            ({"scope": ("read write",)}, "scope"),
            ({"scope": ("read", "read")}, "scope"),
            ({"scope": ("",)}, "scope"),
            ({"scope": ("read",), "default_scope": ("write",)}, "default scope 'write'"),
            ({"resources": ("api",)}, "resource"),
            ({"resources": ("https://api.example/#x",)}, "resource"),
            ({"resources": ("https://api.example/a b",)}, "resource"),
            ({"authorities": ("a b",)}, "role"),
            ({"access_token_in": -1}, "access_token_in"),
            ({"access_token_in": DAY + 1}, "max_token_lifetime"),
            ({"realm": realm(access_token_in=DAY + 1)}, "max_token_lifetime"),
            ({"introspects_realms": ("other",)}, "there is no realm other"),
        ],
    )
    def test_is_refused(self, members: dict[str, Any], reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            registration.check_client(client(**members), [realm()], max_token_lifetime=DAY)

    def test_is_refused_the_audience_of_another_realm(self) -> None:  # SECURITY J-14
        other = realm(name="other", audience="https://issuer.example/realms/other")
        with pytest.raises(ConfigurationError, match="audience of realm other"):
            registration.check_client(client(resources=(other.audience,)), [realm(), other], max_token_lifetime=DAY)

    def test_is_refused_with_a_scope_that_cannot_be_sent(self) -> None:
        with pytest.raises(InvalidScope):
            registration.check_client(client(scope=('"read"',)), [], max_token_lifetime=DAY)


class TestRealm:
    @pytest.mark.parametrize("name", ["a", "0", "default", "a-b", "x" * 63])
    def test_name_is_taken(self, name: str) -> None:
        registration.check_realm(realm(name=name), [], max_token_lifetime=DAY)

    @pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "a.b", "a/b", "a:b", "a\n", "é", "x" * 64])
    def test_name_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigurationError, match="realm name"):
            registration.check_realm(realm(name=name), [], max_token_lifetime=DAY)

    @pytest.mark.parametrize(
        ("members", "reason"),
        [
            ({"dialect": "klingon"}, "dialect"),
            ({"audience": ""}, "audience"),
            ({"audience": "portal"}, "audience"),
            ({"audience": "https://x.example/#a"}, "audience"),
            ({"roles": ("a b",)}, "role"),
            ({"roles": ("",)}, "role"),
            ({"roles": ("a\x00",)}, "role"),
            ({"roles": ("a\u00a0b",)}, "role"),
            ({"access_token_in": 0}, "access_token_in"),
            ({"access_token_in": DAY + 1}, "max_token_lifetime"),
            ({"refresh_token_in": 0}, "refresh_token_in"),
            ({"grant_in": 0}, "grant_in"),
            ({"grant_in": 2**63}, "grant_in"),
            ({"retry_in": -1}, "retry_in"),
        ],
    )
    def test_is_refused(self, members: dict[str, Any], reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            registration.check_realm(realm(**members), [], max_token_lifetime=DAY)

    def test_shares_its_audience_with_no_other(self) -> None:
        with pytest.raises(ConfigurationError, match="is that of realm other"):
            registration.check_realm(realm(), [realm(), realm(name="other")], max_token_lifetime=DAY)
        registration.check_realm(realm(), [realm()], max_token_lifetime=DAY)

    def test_keeps_the_roles_that_its_members_hold(self) -> None:
        members = [user(roles={"portal": ("reader",), "other": ("king",)})]
        registration.check_roles_in_use(realm(roles=("reader",)), members)
        with pytest.raises(ConfigurationError, match="user alice holds it"):
            registration.check_roles_in_use(realm(roles=("editor",)), members)


class TestUser:
    @pytest.mark.parametrize("username", ["alice", "Alice B", "alice@example.com", "älice"])
    def test_username_is_taken(self, username: str) -> None:
        registration.check_user(user(username=username), [])

    @pytest.mark.parametrize("username", ["", " alice", "alice ", "a\nb", "a\x00", "x" * 257])
    def test_username_is_refused(self, username: str) -> None:
        with pytest.raises(ConfigurationError, match="username"):
            registration.check_user(user(username=username), [])

    def test_holds_only_roles_of_realms_that_exist(self) -> None:
        registration.check_user(user(roles={"portal": ("reader",)}), [realm(roles=("reader",))])
        with pytest.raises(ConfigurationError, match="no such role; it has reader"):
            registration.check_user(user(roles={"portal": ("king",)}), [realm(roles=("reader",))])
        with pytest.raises(ConfigurationError, match="there is no realm other"):
            registration.check_user(user(roles={"other": ()}), [realm()])


class TestSucceedSecret:
    def test_keeps_the_last_secret_for_a_while(self) -> None:
        kept, new = registration.succeed_secret([secret("old")], secret("new"), keep_old_in=10, now=100)
        assert (kept.digest, kept.expires_at) == ("old", 110)
        assert (new.digest, new.expires_at) == ("new", None)

    def test_keeps_at_most_one_beside_the_new(self) -> None:
        before = [secret("older", expires_at=500), secret("old")]
        found = registration.succeed_secret(before, secret("new"), keep_old_in=10, now=100)
        assert [stored.digest for stored in found] == ["old", "new"]

    def test_never_lengthens_a_life(self) -> None:
        kept, _ = registration.succeed_secret([secret("old", expires_at=105)], secret("new"), keep_old_in=10, now=100)
        assert kept.expires_at == 105

    def test_forgets_what_has_expired(self) -> None:
        found = registration.succeed_secret([secret("old", expires_at=100)], secret("new"), keep_old_in=10, now=100)
        assert [stored.digest for stored in found] == ["new"]

    def test_ends_the_old_at_once_for_0_seconds(self) -> None:
        assert len(registration.succeed_secret([secret("old")], secret("new"), keep_old_in=0, now=100)) == 1

    def test_refuses_a_negative_duration(self) -> None:
        with pytest.raises(ConfigurationError, match="keep-old-for"):
            registration.succeed_secret([], secret("new"), keep_old_in=-1, now=100)
