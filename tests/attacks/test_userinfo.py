"""Tokens shown to the wrong endpoint, and ID tokens in the wrong hands (SECURITY I-10 to I-13, J, H-02; RFC 6750)."""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, Final

import httpx
import jwt
import pytest
from click.testing import CliRunner

from jwtauth.cli.commands import root
from tests.attacks.forging import INJECTIONS, unsigned
from tests.support.home import SECRET
from tests.support.person import Person, answer
from tests.web.people import RESOURCE, Service
from tests.web.site import basic, claims_of

MACHINE: Final = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def tokens(service: Service, ada: Person) -> dict[str, Any]:
    """What `web` holds for ada; no test ends it."""
    return service.tokens(ada, prompt="consent", scope="openid profile offline_access")


def asked(service: Service, *authorization: str, method: str = "GET", **sent: Any) -> httpx.Response:
    headers = [("authorization", value) for value in authorization]
    return service.http.request(method, "/oauth/userinfo", headers=headers, **sent)


def assert_challenged(response: httpx.Response, status: int, error: str | None) -> None:
    """The refusal names the scheme, and the error where there is one (RFC 6750 section 3)."""
    assert response.status_code == status, response.text
    challenge = response.headers["www-authenticate"]
    assert challenge.startswith("Bearer")
    assert ("error=" in challenge) is (error is not None)
    assert error is None or f'error="{error}"' in challenge
    assert response.headers["cache-control"] == "no-store"
    assert "sub" not in response.json()


class TestUserinfo:  # OpenID Connect Core 1.0 section 5.3, RFC 6750 sections 2 and 3
    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_i_10_without_a_token_is_challenged_without_an_error(self, service: Service, method: str) -> None:
        assert_challenged(asked(service, method=method), 401, None)

    @pytest.mark.parametrize(
        "authorization", ["Basic d2ViOng=", "Digest x", "Negotiate", "DPoP x", basic("web", SECRET)]
    )
    def test_i_10_with_another_scheme_is_challenged_as_if_nothing_was_sent(
        self, service: Service, authorization: str
    ) -> None:
        """RFC 6750 section 3.1: an unsupported authentication method is a request without authentication."""
        assert_challenged(asked(service, authorization), 401, None)

    @pytest.mark.parametrize("token", ["x", "e30.e30.", "..", "a.b.c.d.e", "x" * 16_000, *INJECTIONS])
    def test_i_10_with_garbage_is_refused(self, service: Service, token: str) -> None:
        assert_challenged(asked(service, f"Bearer {token}"), 401, "invalid_token")

    def test_i_10_with_an_empty_token_is_challenged(self, service: Service) -> None:
        response = asked(service, "Bearer")
        assert response.status_code in (400, 401)
        assert response.headers["www-authenticate"].startswith("Bearer")

    def test_i_10_with_what_is_no_access_token_is_refused(self, service: Service, tokens: dict[str, Any]) -> None:
        """An ID token, a refresh token, or an access token under no signature."""
        for token in (tokens["id_token"], tokens["refresh_token"], unsigned(tokens["access_token"])):
            assert_challenged(asked(service, f"Bearer {token}"), 401, "invalid_token")

    def test_j_01_j_02_j_03_with_another_token_of_ours_is_refused_wherever_one_is_taken(
        self, service: Service, ada: Person, tokens: dict[str, Any]
    ) -> None:
        """What is signed or made by us for something else: for the client, for a refresh, for one exchange."""
        others = [tokens["id_token"], tokens["refresh_token"], ada.grant()["code"], tokens["id_token"] + "="]
        status = claims_of(tokens["access_token"])["status"]["status_list"]["uri"]
        others.append(service.http.get(status, headers={"accept": "application/statuslist+jwt"}).text)
        assert len(others[-1].split(".")) == 3, "a status list is a JWT of ours as well"
        for token in others:
            assert_challenged(asked(service, f"Bearer {token}"), 401, "invalid_token")
            shown = service.http.get("/oauth/tokeninfo", headers={"authorization": f"Bearer {token}"})
            assert shown.status_code == 401
            for path, status_code in (("/oauth/introspect", 200), ("/oauth/check_token", 400)):
                told = service.post(path, {"token": token}, auth=("web", SECRET))
                assert (told.status_code, told.json().get("active", False)) == (status_code, False)

    def test_i_11_in_the_query_is_refused(self, service: Service, tokens: dict[str, Any]) -> None:
        """Where every log on the way would keep it (RFC 9700 section 4.3.2)."""
        token = tokens["access_token"]
        for method in ("GET", "POST"):
            for header in ((), (f"Bearer {token}",)):
                response = asked(service, *header, method=method, params={"access_token": token})
                assert_challenged(response, 400, "invalid_request")

    def test_i_11_in_two_places_is_refused(self, service: Service, tokens: dict[str, Any]) -> None:
        header = f"Bearer {tokens['access_token']}"
        body = {"access_token": tokens["access_token"]}
        assert_challenged(asked(service, header, method="POST", data=body), 400, "invalid_request")
        assert_challenged(asked(service, header, header), 400, "invalid_request")
        assert_challenged(asked(service, header, "Bearer x"), 400, "invalid_request")

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
    def test_i_12_the_scheme_has_no_case(self, service: Service, tokens: dict[str, Any], scheme: str) -> None:
        assert asked(service, f"{scheme} {tokens['access_token']}").json()["sub"] == "u.ada"

    def test_i_12_by_post_in_the_header_and_in_the_form(self, service: Service, tokens: dict[str, Any]) -> None:
        header, body = f"Bearer {tokens['access_token']}", {"access_token": tokens["access_token"]}
        answers = [
            asked(service, header),
            asked(service, header, method="POST"),
            asked(service, method="POST", data=body),
        ]
        assert len({response.text for response in answers}) == 1
        assert {response.headers["cache-control"] for response in answers} == {"no-store"}

    def test_i_13_of_a_machine_tells_nothing(self, service: Service) -> None:
        service.home.client("service")
        token = service.granted(MACHINE)["access_token"]
        response = asked(service, f"Bearer {token}")
        assert_challenged(response, 403, "insufficient_scope")
        assert 'scope="openid"' in response.headers["www-authenticate"]

    def test_i_13_without_openid_tells_nothing(self, service: Service) -> None:
        with service.browser() as person:
            token = service.tokens(person, "own", scope="profile email")["access_token"]
        assert_challenged(asked(service, f"Bearer {token}"), 403, "insufficient_scope")

    def test_j_12_for_another_resource_tells_nothing(self, service: Service) -> None:
        """A resource server could otherwise read its visitors' profiles with the tokens that they bring."""
        with service.browser() as person:
            token = service.tokens(person, "own", resource=RESOURCE)["access_token"]
        assert_challenged(asked(service, f"Bearer {token}"), 401, "invalid_token")

    def test_tells_no_more_than_was_allowed(self, service: Service, tokens: dict[str, Any]) -> None:
        told = service.userinfo(tokens["access_token"]).json()
        assert not {"email", "email_verified", "phone_number", "address", "password_hash", "uid"} & {*told}


class TestOtherOrigins:
    @pytest.mark.parametrize("path", ["/oauth/userinfo", "/oauth/token", "/oauth/revoke"])
    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "null",
            "https://app.example.evil.example",
            "https://evilapp.example",
            "http://app.example",
            "https://app.example:8443",
            "https://app.example/",
            "https://APP.example",
            "com.example.app",
            "com.example.app://callback",
            "*",
            "",
            "https://app.example, https://evil.example",
            *INJECTIONS,
        ],
    )
    def test_h_02_that_nobody_registered_may_not_read(self, service: Service, path: str, origin: str) -> None:
        for method in ("OPTIONS", "POST"):
            headers = {"origin": origin, "access-control-request-method": "POST"}
            answered = service.http.request(method, path, headers=headers).headers
            assert "access-control-allow-origin" not in answered
            assert "access-control-allow-credentials" not in answered

    @pytest.mark.parametrize("path", ["/oauth/userinfo", "/oauth/token", "/oauth/revoke"])
    def test_h_02_of_a_registered_client_may_read_without_cookies(self, service: Service, path: str) -> None:
        for method in ("OPTIONS", "POST"):
            headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
            answered = service.http.request(method, path, headers=headers).headers
            assert answered["access-control-allow-origin"] == "https://app.example"
            assert "origin" in answered["vary"].lower()
            assert "access-control-allow-credentials" not in answered

    @pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/check_token", "/oauth/tokeninfo"])
    def test_h_02_have_no_business_with_what_servers_ask(self, service: Service, path: str) -> None:
        for method in ("OPTIONS", "GET", "POST"):
            headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
            assert "access-control-allow-origin" not in service.http.request(method, path, headers=headers).headers

    def test_h_02_a_cookie_is_worth_nothing_at_the_machines_endpoints(self, service: Service, ada: Person) -> None:
        for path in ("/oauth/userinfo", "/oauth/tokeninfo"):
            assert ada.http.get(path).status_code in (400, 401)


class TestIdTokens:  # OpenID Connect Core 1.0 sections 2 and 3.1.3.6
    def test_j_04_each_kind_of_token_says_what_it_is(self, service: Service, tokens: dict[str, Any]) -> None:
        """RFC 8725 section 3.11: no two kinds share a type, and each names one algorithm and a published key."""
        status = claims_of(tokens["access_token"])["status"]["status_list"]["uri"]
        found = [tokens["access_token"], tokens["id_token"], service.http.get(status).text]
        headers = [jwt.get_unverified_header(token) for token in found]
        assert [header["typ"] for header in headers] == ["at+jwt", "JWT", "statuslist+jwt"]
        published = {key["kid"]: key["alg"] for key in service.http.get("/.well-known/jwks.json").json()["keys"]}
        for header in headers:
            assert published[header["kid"]] == header["alg"]
            assert header["alg"] in ("ES256", "RS256")
            assert not {"jwk", "jku", "x5c", "x5u", "crit", "zip"} & {*header}

    def test_j_05_an_access_token_says_for_whom_how_long_and_no_more(self, tokens: dict[str, Any]) -> None:
        claims = claims_of(tokens["access_token"])
        required = {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "status"}
        assert required <= {*claims}
        assert {*claims} - required <= {"authorities", "username", "uid", "userinfo_claims"}
        assert 0 < claims["exp"] - claims["iat"] <= 86_400
        assert len(claims["jti"]) >= 16

    def test_j_06_the_published_keys_are_public(self, service: Service) -> None:
        """Neither a member of a private key nor a key that could be taken for a secret, in any document."""
        public = {"kty", "crv", "x", "y", "n", "e", "use", "alg", "kid"}
        keys = service.http.get("/.well-known/jwks.json").json()["keys"]
        assert {key["kty"] for key in keys} == {"EC", "RSA"}
        assert not [key for key in keys if {*key} - public]
        private = [line for path in service.home.source.keys.iterdir() for line in private_lines(path.read_text())]
        assert len(private) > 20
        for path in ("/.well-known/jwks.json", "/.well-known/openid-configuration", "/openapi.json", "/", "/login"):
            text = service.http.get(path).text
            assert [line for line in private if line in text] == []

    def test_j_13_no_client_and_no_person_are_called_alike(self, service: Service) -> None:
        """A person may be named like a client; the subject stays another."""
        folder = ["--folder", str(service.home.path)]
        arguments = ["user", "create", "machine", "--realm", "default", "--password-stdin"]
        assert CliRunner().invoke(root, [*folder, *arguments], input="a long password of it\n").exit_code == 0
        with service.browser() as person:
            person.sign_in(person.open("/login"), "machine", "a long password of it")
            subject = claims_of(service.tokens(person, "own")["access_token"])["sub"]
        assert subject.startswith("u.")
        machine = service.granted(MACHINE, auth=("machine", SECRET))["access_token"]
        assert claims_of(machine)["sub"] == "machine"
        refused = CliRunner().invoke(root, [*folder, "client", "create", subject])
        assert refused.exit_code == 1
        assert "must not begin with" in refused.stderr

    def test_j_16_are_for_the_client_alone_and_bound_to_its_request(
        self, service: Service, tokens: dict[str, Any]
    ) -> None:
        claims = verified(service, tokens["id_token"])
        assert claims["aud"] == "web"
        assert claims.get("azp", "web") == "web"
        assert claims["nonce"] == "a-nonce"
        assert claims["iss"] == service.server.url
        assert claims["sub"] == "u.ada"
        digest = sha256(tokens["access_token"].encode()).digest()
        assert claims["at_hash"] == urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
        assert claims["exp"] - claims["iat"] <= 3_600

    def test_j_16_carry_the_nonce_as_it_was_sent_or_none(self, service: Service, ada: Person) -> None:
        nonce = "\"'<>\\ é\r\n日本 " + "n" * 900
        assert claims_of(service.tokens(ada, nonce=nonce)["id_token"])["nonce"] == nonce
        assert "nonce" not in claims_of(service.tokens(ada, nonce="")["id_token"])

    def test_j_16_are_not_given_without_openid(self, service: Service, ada: Person) -> None:
        assert "id_token" not in service.tokens(ada, "own", scope="profile")

    def test_j_01_and_access_tokens_cannot_be_mistaken_for_each_other(
        self, service: Service, tokens: dict[str, Any]
    ) -> None:
        headers = [jwt.get_unverified_header(tokens[name]) for name in ("id_token", "access_token")]
        assert headers[1]["typ"] == "at+jwt"
        assert headers[0].get("typ") != headers[1]["typ"]
        assert claims_of(tokens["access_token"])["aud"] != "web"
        for token in (tokens["id_token"], tokens["id_token"] + "="):
            assert not service.is_active(token, auth=("web", SECRET))

    def test_j_16_one_client_s_token_is_no_hint_for_another(self, service: Service, ada: Person) -> None:
        hint = service.tokens(ada)["id_token"]
        assert answer(ada.authorize("web", prompt="none", id_token_hint=hint))["state"] == "a-state"
        assert "id_token" not in service.redeem(hint).json()


def verified(service: Service, token: str) -> dict[str, Any]:
    """The claims as a client verifies them: by the published keys, with the algorithm that discovery names."""
    keys = jwt.PyJWKSet.from_dict(service.http.get("/.well-known/jwks.json").json())
    header = jwt.get_unverified_header(token)
    algorithms = service.http.get("/.well-known/openid-configuration").json()["id_token_signing_alg_values_supported"]
    found: dict[str, Any] = jwt.decode(token, keys[header["kid"]].key, algorithms=algorithms, audience="web")
    return found


def private_lines(text: str) -> list[str]:
    """What stands in a file of the keys folder and must stand nowhere else."""
    file = json.loads(text)
    pem = [line for line in file.get("private_key", "").splitlines() if not line.startswith("-")]
    return pem + [one["secret"].rstrip("=") for one in file.get("secrets", [])]
