"""Client authentication: RFC 6749 section 2.3, RFC 7617, SECURITY group C."""

from base64 import b64encode
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jwtauth.errors import InvalidClient, InvalidRequest, OAuthError
from jwtauth.protocol import client_auth
from jwtauth.protocol.client_auth import MAX_SECRET_LENGTH, Authenticated, CheckHashes, Credentials
from jwtauth.protocol.parameters import Parameters
from jwtauth.protocol.records import AuthMethod, Client, ClientSecret, GrantType, SecretKind
from tests.protocol import records
from tests.protocol.records import NOW

SECRET = "s3cret"


def encode(raw: bytes) -> str:
    return "Basic " + b64encode(raw).decode()


def basic(client_id: str = "player", secret: str = SECRET) -> str:
    return encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode())


def generated(secret: str, expires_at: int | None = None) -> ClientSecret:
    digest = client_auth.digest(secret)
    return ClientSecret(kind=SecretKind.GENERATED, digest=digest, created_at=0, expires_at=expires_at)


def chosen(digest: str, expires_at: int | None = None) -> ClientSecret:
    return ClientSecret(kind=SecretKind.CHOSEN, digest=digest, created_at=0, expires_at=expires_at)


def presented(*secrets: str, method: AuthMethod = AuthMethod.BASIC) -> Credentials:
    return Credentials(client_id="player", method=method, secrets=secrets)


CLIENT = records.client(secrets=(generated(SECRET),))


class TestOneMethod:  # RFC 6749 section 2.3: not more than one method in each request
    def test_reads_http_basic(self) -> None:
        found = client_auth.credentials([basic()], {})
        assert found == Credentials(client_id="player", method=AuthMethod.BASIC, secrets=(SECRET,))

    def test_reads_the_form(self) -> None:
        found = client_auth.credentials([], {"client_id": "player", "client_secret": SECRET})
        assert found == Credentials(client_id="player", method=AuthMethod.POST, secrets=(SECRET,))

    def test_reads_a_public_client(self) -> None:
        assert client_auth.credentials([], {"client_id": "player"}).method is AuthMethod.NONE

    def test_accepts_the_same_client_id_in_header_and_form(self) -> None:
        assert client_auth.credentials([basic()], {"client_id": "player"}).client_id == "player"

    @pytest.mark.parametrize(
        ("authorization", "form"),
        [
            pytest.param([basic()], {"client_secret": SECRET}, id="C-03 header and form"),
            pytest.param([basic()], {"client_id": "player", "client_secret": SECRET}, id="C-03 both whole"),
            pytest.param([basic()], {"client_id": "other"}, id="C-04 header client, other body client"),
            pytest.param([basic(), basic()], {}, id="C-04 two headers"),
            pytest.param([basic(), basic("other")], {"client_id": "player"}, id="C-04 two clients"),
        ],
    )
    def test_refuses_two(self, authorization: list[str], form: Parameters) -> None:
        with pytest.raises(InvalidRequest):
            client_auth.credentials(authorization, form)

    @pytest.mark.parametrize("form", [{}, {"client_secret": SECRET}, {"client_id": ("player",)}])
    def test_refuses_nobody(self, form: Parameters) -> None:
        with pytest.raises(InvalidClient) as refusal:
            client_auth.credentials([], form)
        assert not refusal.value.by_basic

    def test_keeps_a_form_secret_as_it_was_sent(self) -> None:
        assert client_auth.credentials([], {"client_id": "p", "client_secret": "a%2Bb"}).secrets == ("a%2Bb",)

    def test_refuses_a_secret_that_is_too_long_to_hash(self) -> None:
        form: Parameters = {"client_id": "player", "client_secret": "x" * (MAX_SECRET_LENGTH + 1)}
        with pytest.raises(InvalidClient):
            client_auth.credentials([], form)


class TestBasic:  # RFC 7617 section 2, RFC 6749 section 2.3.1
    @pytest.mark.parametrize(
        "header",
        [
            pytest.param("Bearer abc", id="another scheme"),
            pytest.param("Basic", id="nothing"),
            pytest.param("Basic !!!", id="no base64"),
            pytest.param("Basic cGxheWVyOnM=cGxheWVy", id="text after the padding"),
            pytest.param("Basic cGxheWVyOnM", id="no padding"),
            pytest.param("Basic " + "é", id="not ASCII"),
            pytest.param(encode(b"player"), id="no colon"),
            pytest.param(encode(b"player:"), id="C-10 empty secret"),
            pytest.param(encode(b":secret"), id="empty client_id"),
            pytest.param(encode(b"\xff\xfe:secret"), id="no UTF-8"),
            pytest.param(encode(b"player:%ff"), id="percent-encoded, no UTF-8"),
            pytest.param(encode(b"pl%ffayer:secret"), id="client_id percent-encoded, no UTF-8"),
            pytest.param(encode(b"player:se\x00cret"), id="NUL"),
            pytest.param(encode(b"player:se%00cret"), id="encoded NUL"),
            pytest.param(encode(b"pl%00ayer:secret"), id="encoded NUL in the client_id"),
            pytest.param(encode(b"player:" + b"x" * 60_000), id="60 kB"),
        ],
    )
    def test_refuses_what_is_malformed(self, header: str) -> None:
        """SECURITY C-06; the answer must carry WWW-Authenticate (RFC 6749 section 5.2)."""
        with pytest.raises(InvalidClient) as refusal:
            client_auth.basic(header)
        assert refusal.value.by_basic

    @given(st.text() | st.binary().map(encode) | st.text().map(lambda text: encode(text.encode("utf-8", "replace"))))
    def test_reads_or_refuses_whatever_is_sent(self, header: str) -> None:
        try:
            found = client_auth.basic(header)
        except InvalidClient:
            return
        assert found.client_id
        assert all(found.secrets)

    @pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
    def test_knows_its_scheme_in_any_case(self, scheme: str) -> None:
        assert client_auth.basic(basic().replace("Basic", scheme)).client_id == "player"

    @pytest.mark.parametrize("secret", ["a+b/c=%é :", "plain", "with:colon", "100%", "%41", " ", "ключ"])
    def test_offers_the_secret_that_was_form_encoded_first(self, secret: str) -> None:
        """SECURITY C-07: encoded as RFC 6749 section 2.3.1 demands."""
        assert client_auth.basic(basic(secret=secret)).secrets[0] == secret

    @pytest.mark.parametrize("secret", ["a+b/c=%é :", "plain", "with:colon", "100%", "a+b", "ключ"])
    def test_offers_the_secret_as_sent_too(self, secret: str) -> None:
        """SECURITY C-07: sent raw, as many clients do."""
        assert secret in client_auth.basic(encode(f"player:{secret}".encode())).secrets

    def test_decodes_the_client_id(self) -> None:
        assert client_auth.basic(basic("https://player.example/?a=b")).client_id == "https://player.example/?a=b"


class TestGeneratedSecrets:
    def test_authenticate(self) -> None:
        assert client_auth.decide(presented(SECRET), CLIENT, now=NOW) == Authenticated(CLIENT)

    @pytest.mark.parametrize("second", ["as sent", SECRET])
    def test_are_found_in_either_reading_of_the_header(self, second: str) -> None:
        assert client_auth.decide(presented(second, SECRET), CLIENT, now=NOW) == Authenticated(CLIENT)

    @pytest.mark.parametrize("secret", ["one", "two"])
    def test_may_be_two_at_once(self, secret: str) -> None:
        client = records.client(secrets=(generated("one"), generated("two")))
        assert client_auth.decide(presented(secret), client, now=NOW) == Authenticated(client)

    @pytest.mark.parametrize(("expires_at", "is_good"), [(NOW + 1, True), (NOW, False), (NOW - 1, False)])
    def test_end_at_their_instant(self, expires_at: int, is_good: bool) -> None:
        client = records.client(secrets=(generated(SECRET, expires_at), generated("other")))
        if is_good:
            assert client_auth.decide(presented(SECRET), client, now=NOW) == Authenticated(client)
        else:
            with pytest.raises(InvalidClient):
                client_auth.decide(presented(SECRET), client, now=NOW)

    def test_are_kept_as_sha_256(self) -> None:
        assert client_auth.digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class TestChosenSecrets:
    def test_are_left_to_the_slow_hashes(self) -> None:
        client = records.client(secrets=(chosen("$one"), chosen("$over", expires_at=NOW), chosen("$two")))
        decision = client_auth.decide(presented("a", "b"), client, now=NOW)
        assert decision == CheckHashes(client, ("a", "b"), ("$one", "$two"))

    def test_are_not_asked_where_a_generated_one_matches(self) -> None:
        client = records.client(secrets=(chosen("$one"), generated(SECRET)))
        assert client_auth.decide(presented(SECRET), client, now=NOW) == Authenticated(client)

    def test_are_never_compared_as_generated_ones(self) -> None:
        client = records.client(secrets=(chosen(client_auth.digest(SECRET)),))
        assert isinstance(client_auth.decide(presented(SECRET), client, now=NOW), CheckHashes)


class TestRefusal:  # RFC 6749 section 5.2: invalid_client
    @pytest.mark.parametrize(
        ("credentials", "client"),
        [
            pytest.param(presented(SECRET), None, id="unknown"),
            pytest.param(presented("wrong"), CLIENT, id="C-02 wrong"),
            pytest.param(presented(), CLIENT, id="C-01 none"),
            pytest.param(presented(""), CLIENT, id="C-10 empty"),
            pytest.param(presented(SECRET), records.client(), id="C-10 without any secret"),
            pytest.param(presented(client_auth.digest(SECRET)), CLIENT, id="the digest itself"),
            pytest.param(presented(method=AuthMethod.NONE), CLIENT, id="C-08 downgrade to none"),
            pytest.param(presented(SECRET, method=AuthMethod.POST), CLIENT, id="C-09 other than registered"),
            pytest.param(
                presented(SECRET),
                records.client(auth_method=AuthMethod.POST, secrets=CLIENT.secrets),
                id="C-09 reverse",
            ),
            pytest.param(
                presented(SECRET, method=AuthMethod.POST),
                records.client(auth_method=AuthMethod.NONE),
                id="C-09 public client with a secret",
            ),
            pytest.param(presented(SECRET), records.client(disabled_at=1, secrets=CLIENT.secrets), id="disabled"),
            pytest.param(
                presented(SECRET),
                records.client(realm=records.realm(disabled_at=1), secrets=CLIENT.secrets),
                id="of a disabled realm",
            ),
        ],
    )
    def test_is_the_same_for_every_reason(self, credentials: Credentials, client: Client | None) -> None:
        with pytest.raises(InvalidClient) as refusal:
            client_auth.decide(credentials, client, now=NOW)
        assert str(refusal.value) == str(client_auth.refused(credentials))
        assert refusal.value.by_basic is (credentials.method is AuthMethod.BASIC)

    def test_of_a_disabled_public_client(self) -> None:
        client = records.client(auth_method=AuthMethod.NONE, disabled_at=1)
        with pytest.raises(OAuthError):
            client_auth.decide(presented(method=AuthMethod.NONE), client, now=NOW)


class TestPublicClients:  # RFC 6749 section 2.1
    def test_need_no_secret(self) -> None:
        client = records.client(auth_method=AuthMethod.NONE)
        assert client_auth.decide(presented(method=AuthMethod.NONE), client, now=NOW) == Authenticated(client)


class TestClientsWithoutASecretForSomeGrants:
    """Old clients that never sent one (setting secretless_grants): for the named grants, and for nothing else."""

    OLD = records.client(secrets=(generated(SECRET),), secretless_grants=(GrantType.PASSWORD, GrantType.REFRESH_TOKEN))
    UNPROVEN = presented(method=AuthMethod.NONE)

    @pytest.mark.parametrize("grant_type", [GrantType.PASSWORD, GrantType.REFRESH_TOKEN])
    def test_need_none_for_a_grant_that_is_named(self, grant_type: str) -> None:
        found = client_auth.decide(self.UNPROVEN, self.OLD, grant_type=grant_type, now=NOW)
        assert found == Authenticated(self.OLD)

    @pytest.mark.parametrize(
        "grant_type",
        [None, "", "authorization_code", "client_credentials", "external_token", "urn:x", "PASSWORD", "password "],
    )
    def test_c_08_need_it_for_every_other_and_where_no_grant_is_asked_for(self, grant_type: str | None) -> None:
        with pytest.raises(InvalidClient) as refusal:
            client_auth.decide(self.UNPROVEN, self.OLD, grant_type=grant_type, now=NOW)
        assert str(refusal.value) == client_auth.REFUSED

    @pytest.mark.parametrize("method", [AuthMethod.BASIC, AuthMethod.POST])
    def test_c_02_are_refused_with_a_wrong_one_all_the_same(self, method: AuthMethod) -> None:
        client = replace(self.OLD, auth_method=method)
        with pytest.raises(InvalidClient):
            client_auth.decide(presented("wrong", method=method), client, grant_type="password", now=NOW)

    def test_c_09_are_refused_with_the_right_one_sent_in_another_way_than_registered(self) -> None:
        with pytest.raises(InvalidClient):
            client_auth.decide(presented(SECRET, method=AuthMethod.POST), self.OLD, grant_type="password", now=NOW)

    def test_may_send_it(self) -> None:
        assert client_auth.decide(presented(SECRET), self.OLD, grant_type="password", now=NOW) == Authenticated(
            self.OLD
        )

    def test_have_to_be_enabled(self) -> None:
        for client in (replace(self.OLD, disabled_at=1), replace(self.OLD, realm=records.realm(disabled_at=1))):
            with pytest.raises(InvalidClient):
                client_auth.decide(self.UNPROVEN, client, grant_type="password", now=NOW)

    @pytest.mark.parametrize("grant_type", list(GrantType))
    def test_leave_every_other_client_unaffected(self, grant_type: str) -> None:
        with pytest.raises(InvalidClient):
            client_auth.decide(self.UNPROVEN, CLIENT, grant_type=grant_type, now=NOW)


class TestWhomARequestNames:
    """Proven or not: only the dialect that is spoken depends on it, nothing that is granted."""

    @pytest.mark.parametrize(
        ("authorization", "sent", "named"),
        [
            pytest.param([basic()], {}, "player", id="Basic"),
            pytest.param([basic(secret="wrong")], {}, "player", id="Basic, unproven"),
            pytest.param([], {"client_id": "player"}, "player", id="client_id"),
            pytest.param([basic()], {"client_id": "other"}, "player", id="two: Basic counts"),
            pytest.param([basic(), basic("other")], {}, "player", id="two headers: the first counts"),
            pytest.param(["Basic ?"], {"client_id": "player"}, None, id="an unreadable header hides client_id"),
            pytest.param(["Bearer abc"], {"client_id": "player"}, None, id="another scheme"),
            pytest.param([], {}, None, id="nobody"),
            pytest.param([], {"client_id": ("player", "other")}, None, id="several"),
        ],
    )
    def test_is(self, authorization: list[str], sent: Parameters, named: str | None) -> None:
        assert client_auth.named(authorization, sent) == named

    @given(header=st.text(max_size=60), client_id=st.text(max_size=20))
    def test_is_somebody_or_nobody_whatever_is_sent(self, header: str, client_id: str) -> None:
        assert client_auth.named([header], {"client_id": client_id}) != ""
