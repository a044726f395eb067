"""What may be registered (RFC 7591 section 2, OpenID Connect Registration 1.0 section 2, SECURITY R-01)."""

from typing import Any

import pytest

from jwtauth.errors import ConfigurationError, InvalidScope
from jwtauth.keyring import jws
from jwtauth.protocol import id_token, registration
from jwtauth.protocol.profile import Address, Profile
from jwtauth.protocol.records import (
    ApplicationType,
    AuthMethod,
    Client,
    ClientSecret,
    GrantType,
    Realm,
    SecretKind,
    User,
)
from tests.protocol.test_upstream import upstream

DAY = 86_400
CODE = (GrantType.AUTHORIZATION_CODE,)
CALLBACK = ("https://c.example/cb",)
TEXTS = [name for name in Profile.__struct_fields__ if name != "address" and not name.endswith("_verified")]


def realm(**members: Any) -> Realm:
    return Realm(**{"id": 1, "name": "portal", "audience": "https://issuer.example/realms/portal", **members})


def client(**members: Any) -> Client:
    return Client(**{"id": 1, "client_id": "reports", "realm": realm(), **members})


def user(**members: Any) -> User:
    return User(**{"id": 1, "sub": "u.x", "username": "alice", **members})


def secret(digest: str, *, expires_at: int | None = None) -> ClientSecret:
    return ClientSecret(kind=SecretKind.GENERATED, digest=digest, created_at=0, expires_at=expires_at)


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
            {"grant_types": tuple(GrantType), "redirect_uris": CALLBACK, "realm": realm(upstream=upstream())},
            {"redirect_uris": CALLBACK, "requires_pkce": False, "asks_consent": False},
            {"redirect_uris": CALLBACK, "allows_implicit": True},
            {"auth_method": AuthMethod.NONE, "grant_types": CODE, "redirect_uris": CALLBACK, "allows_implicit": True},
            {"auth_method": AuthMethod.NONE, "grant_types": CODE, "redirect_uris": CALLBACK, "asks_consent": False},
            {"application_type": ApplicationType.NATIVE, "redirect_uris": ("com.example.app:/cb",)},
            {"post_logout_redirect_uris": ("https://c.example/", "com.example.app:/out")},
            {"backchannel_logout_uri": "http://127.0.0.1:9000/out"},
            {"backchannel_logout_uri": "https://c.example/out"},
            {"id_token_algorithm": "EdDSA"},
            {"scope": ("read", "write"), "default_scope": ("read",)},
            {"resources": ("https://api.example/v1", "urn:example:api")},
            {"authorities": ("ROLE_BATCH",)},
            {"access_token_in": DAY},
            {"refresh_token_is_reusable": True},
            {"introspects_realms": ("portal",)},
            {"auth_method": AuthMethod.NONE, "grant_types": (GrantType.PASSWORD, GrantType.REFRESH_TOKEN)},
            {"redirect_uris": (*CALLBACK, "https://c.example/2"), "default_redirect_uri": "https://c.example/2"},
            {"redirect_uris": ("http://c.example/cb",), "realm": realm(allows_http_redirect_uris=True)},
            {"secretless_grants": ("authorization_code", "password", "refresh_token"), "secrets": (secret("a"),)},
            {"redeemed_by": "SkyVaultapp"},
            {"redeemed_by": "SkyVaultapp", "redirect_uris": CALLBACK, "grant_types": CODE, "requires_pkce": False},
            {"grant_types": ("urn:example:sms",), "realm": realm(custom_grants={"urn:example:sms": "example.sms"})},
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
            ({"grant_types": CODE}, "grant_type authorization_code: needs a redirect_uri"),
            ({"allows_implicit": True}, "implicit: needs a redirect_uri"),
            (
                {
                    "auth_method": AuthMethod.NONE,
                    "grant_types": CODE,
                    "redirect_uris": CALLBACK,
                    "requires_pkce": False,
                },
                "no PKCE: is only for clients that can keep a secret",
            ),
            ({"redirect_uris": (*CALLBACK, "https://*/")}, "^redirect_uri 'https://.* wildcard"),
            ({"redirect_uris": ("http://c.example/cb",)}, "^redirect_uri .* http is only for"),
            ({"post_logout_redirect_uris": (*CALLBACK, "http://c.example/")}, "^post_logout_redirect_uri .* http is"),
            ({"backchannel_logout_uri": "http://c.example/out"}, "^backchannel_logout_uri .* http is only for"),
            ({"backchannel_logout_uri": "com.example.app:/out"}, "^backchannel_logout_uri .* use https$"),
            ({"backchannel_logout_uri": ""}, "^backchannel_logout_uri '': expected an absolute URI"),
            ({"id_token_algorithm": "none"}, "id_token_algorithm 'none': is unknown"),
            ({"id_token_algorithm": "HS256"}, "id_token_algorithm 'HS256': is unknown"),
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
            (
                {"redirect_uris": CALLBACK, "default_redirect_uri": "https://c.example/2"},
                "default_redirect_uri: is none",
            ),
            ({"default_redirect_uri": "https://c.example/cb"}, "default_redirect_uri: is none"),
            (
                {"redirect_uris": ("http://c.example/#x",), "realm": realm(allows_http_redirect_uris=True)},
                "^redirect_uri .* a fragment",
            ),
            (
                {
                    "post_logout_redirect_uris": ("http://c.example/",),
                    "realm": realm(allows_http_redirect_uris=True),
                },
                "^post_logout_redirect_uri .* http is only for",
            ),
            (
                {
                    "backchannel_logout_uri": "http://c.example/out",
                    "realm": realm(allows_http_redirect_uris=True),
                },
                "^backchannel_logout_uri .* http is only for",
            ),
            ({"secretless_grants": ("client_credentials",)}, "secretless grant 'client_credentials'"),
            ({"secretless_grants": ("password", "external_token")}, "secretless grant 'external_token'"),
            ({"secretless_grants": ("urn:example:sms",)}, "secretless grant 'urn:example:sms'"),
            ({"secretless_grants": ("",)}, "secretless grant ''"),
            ({"redeemed_by": "SkyVaultapp", "secrets": (secret("a"),)}, "redeemed_by: is only for a client without"),
            ({"redeemed_by": "SkyVaultapp", "auth_method": AuthMethod.NONE, "grant_types": ()}, "redeemed_by: is only"),
            (
                {"redeemed_by": "SkyVaultapp", "secretless_grants": ("authorization_code",)},
                "redeemed_by",
            ),
            (
                {"secretless_grants": ("refresh_token",), "refresh_token_is_reusable": True},
                "reusable refresh tokens: are only for clients that send their secret with them",
            ),
            ({"grant_types": (GrantType.EXTERNAL_TOKEN,)}, "realm portal names no upstream"),
            ({"grant_types": ("urn:example:sms",)}, "grant_type 'urn:example:sms': is unknown"),
            (
                {"grant_types": (GrantType.PASSWORD,), "realm": realm(access_token_in_by={"password": DAY + 1})},
                "max_token_lifetime",
            ),
        ],
    )
    def test_is_refused(self, members: dict[str, Any], reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            registration.check_client(client(**members), [realm()], max_token_lifetime=DAY)

    def test_is_refused_the_audience_of_another_realm(self) -> None:  # SECURITY J-14
        other = realm(name="other", audience="https://issuer.example/realms/other")
        with pytest.raises(ConfigurationError, match="audience of realm other"):
            registration.check_client(client(resources=(other.audience,)), [realm(), other], max_token_lifetime=DAY)

    def test_may_choose_every_algorithm_that_keys_can_have(self) -> None:
        assert set(id_token.ALGORITHMS) == set(jws.ALGORITHMS)

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
            ({"parent": "other"}, "there is no realm other"),
            ({"parent": "portal"}, "there is no realm portal"),
            ({"parent": ""}, "there is no realm"),
            ({"access_token_in_by": {"implicit": 60}}, "grant_type 'implicit': is unknown"),
            ({"access_token_in_by": {"urn:example:sms": 60}}, "grant_type 'urn:example:sms': is unknown"),
            ({"access_token_in_by": {"password": 0}}, "access_token_in of password"),
            ({"access_token_in_by": {"password": DAY + 1}}, "access_token_in of password: .* max_token_lifetime"),
            ({"custom_grants": {"password": "example.sms"}}, "custom grant 'password'"),
            ({"custom_grants": {"client_credentials": "example.sms"}}, "custom grant 'client_credentials'"),
            ({"custom_grants": {"": "example.sms"}}, "custom grant ''"),
            ({"custom_grants": {"a b": "example.sms"}}, "custom grant 'a b'"),
            ({"custom_grants": {"a\n": "example.sms"}}, "custom grant"),
        ],
    )
    def test_is_refused(self, members: dict[str, Any], reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            registration.check_realm(realm(**members), [], max_token_lifetime=DAY)

    def test_shares_its_audience_with_no_other(self) -> None:
        with pytest.raises(ConfigurationError, match="is that of realm other"):
            registration.check_realm(realm(), [realm(), realm(name="other")], max_token_lifetime=DAY)
        registration.check_realm(realm(), [realm()], max_token_lifetime=DAY)

    @pytest.mark.parametrize(
        "members",
        [
            {"parent": "other"},
            {"access_token_in_by": {"password": 1_800, "authorization_code": 600, "external_token": DAY}},
            {"custom_grants": {"urn:example:sms": "example.sms"}, "access_token_in_by": {"urn:example:sms": 60}},
            {"custom_grants": {"sms": "example.sms"}},
            {"dialect": "klingon", "sunset_at": 1, "names_grant_type": True, "allows_http_redirect_uris": True},
        ],
    )
    def test_is_taken_as_old_systems_need_it(self, members: dict[str, Any]) -> None:
        others = [realm(), realm(name="other", audience="https://other.example")]
        registration.check_realm(realm(**members), others, max_token_lifetime=DAY, dialects=("standard", "klingon"))

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


class TestProfile:  # OpenID Connect Core 1.0 section 5.1
    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"name": "Ada Lovelace", "family_name": "Łukasiewicz", "nickname": "x" * 1024},
            {"email": "ada@example.com", "email_verified": False},
            {"email": "ada.l+news@localhost"},
            {"birthdate": "1815-12-10"},
            {"birthdate": "0000-12-31"},
            {"birthdate": "1815"},
            {"locale": "en"},
            {"locale": "zh-Hant-TW"},
            {"locale": "de-CH-1996"},
            {"zoneinfo": "Europe/Paris", "phone_number": "+1 (425) 555-1212;ext=5678"},
            {"profile": "https://people.example/ada#me", "website": "http://ada.example:8080"},
            {"picture": "https://people.example/ada.png?size=64"},
            {"address": Address(formatted="1 Street\nTown", street_address="1\nStreet", country="UK")},
        ],
    )
    def test_is_taken(self, members: dict[str, Any]) -> None:
        registration.check_user(user(profile=Profile(**members)), [])

    @pytest.mark.parametrize(
        ("members", "reason"),
        [
            *(({name: "a\x1b[2J"}, f"claim {name}: has a character") for name in TEXTS),
            *(({name: "a\nb"}, f"claim {name}: ") for name in TEXTS),
            *(({name: "x" * 1025}, f"claim {name}: expected 1 to 1024 characters") for name in TEXTS),
            *(({name: ""}, f"claim {name}: expected 1 to 1024 characters") for name in TEXTS),
            ({"email": "ada"}, "claim email: expected an address"),
            ({"email": "ada@"}, "claim email"),
            ({"email": "@example.com"}, "claim email"),
            ({"email": "ada@b@example.com"}, "claim email"),
            ({"email": "ada lovelace@example.com"}, "claim email"),
            ({"email": "ada@example..com"}, "claim email"),
            ({"birthdate": "10.12.1815"}, "claim birthdate: expected YYYY-MM-DD"),
            ({"birthdate": "1815-13-10"}, "claim birthdate"),
            ({"birthdate": "1815-12-32"}, "claim birthdate"),
            ({"birthdate": "1815-12"}, "claim birthdate"),
            ({"birthdate": "١٨١٥"}, "claim birthdate"),
            ({"locale": "en_GB"}, "claim locale: expected a language tag"),
            ({"locale": "en-"}, "claim locale"),
            ({"locale": "e"}, "claim locale"),
            ({"picture": "javascript:alert(1)"}, "claim picture: expected an https or http URL"),
            ({"profile": "people.example/ada"}, "claim profile"),
            ({"website": "https:///ada"}, "claim website"),
            ({"website": "https://user@ada.example"}, "claim website"),
            ({"website": "https://ada.example/a b"}, "claim website"),
            ({"address": Address(locality="Pa\nris")}, r"claim address\.locality: has a character"),
            ({"address": Address(formatted="a\x00")}, r"claim address\.formatted: has a character"),
            ({"address": Address(country="")}, r"claim address\.country: expected 1"),
        ],
    )
    def test_is_refused(self, members: dict[str, Any], reason: str) -> None:
        with pytest.raises(ConfigurationError, match=reason):
            registration.check_user(user(profile=Profile(**members)), [])


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
