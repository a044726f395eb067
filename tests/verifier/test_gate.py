"""Who may pass, and what everybody else is told (RFC 6750 section 3, RFC 9728 sections 3 and 5.1)."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import InsufficientScope, OAuthError
from jwtauth.verifier import Claims, Unavailable, Verifier
from jwtauth.verifier.gate import Answer, Gate, Unauthenticated
from tests.verifier.issuing import AUDIENCE, JWKS, Issuing
from tests.verifier.issuing import Answer as Lie
from tests.verifier.test_status import warm

METADATA_URI = "https://reports.example.com/.well-known/oauth-protected-resource/v1"
REALM = f'realm="{AUDIENCE}"'


def gate_of(issuing: Issuing, **requirements: Any) -> Gate:
    return Gate(issuing.verifier(), **requirements)


def asked(gate: Gate, *authorization: str) -> Claims | Answer:
    """The claims of who sent these Authorization headers, or what they are told."""
    try:
        return gate.admit(authorization)
    except (OAuthError, Unauthenticated, Unavailable) as problem:
        return gate.refusal(problem)


def told(gate: Gate, *authorization: str) -> tuple[int, str]:
    """The status and the challenge that these Authorization headers get."""
    answer = asked(gate, *authorization)
    assert isinstance(answer, Answer)
    headers = dict(answer.headers)
    assert headers["cache-control"] == "no-store"
    assert set(json.loads(answer.body)) == {"error", "error_description"}
    return answer.status, headers.get("www-authenticate", "")


class TestToken:  # RFC 6750 section 2.1
    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", " Bearer ", "Bearer  "])
    def test_is_read_from_the_header_whatever_its_case(self, issuing: Issuing, scheme: str) -> None:
        assert isinstance(asked(gate_of(issuing), f"{scheme} {issuing.token()}"), Claims)

    def test_that_is_not_sent_is_asked_for_without_an_error(self, issuing: Issuing) -> None:
        assert told(gate_of(issuing)) == (401, f"Bearer {REALM}")

    @pytest.mark.parametrize("header", ["", "Basic YTpi", "DPoP {}", "Bearer{}", "{}", "Token {}"])
    def test_in_another_scheme_is_none(self, issuing: Issuing, header: str) -> None:
        assert told(gate_of(issuing), header.format(issuing.token())) == (401, f"Bearer {REALM}")

    @pytest.mark.parametrize("headers", [["Bearer"], ["Bearer "], ["Bearer {}", "Bearer {}"], ["Bearer {}", "Basic x"]])
    def test_that_cannot_be_read_is_an_invalid_request(self, issuing: Issuing, headers: list[str]) -> None:
        status, challenge = told(gate_of(issuing), *(header.format(issuing.token()) for header in headers))
        assert status == 400
        assert 'error="invalid_request"' in challenge

    @pytest.mark.parametrize("header", ["Bearer {},Bearer {}", "Bearer {} {}", "Bearer {}x", "Bearer x"])
    def test_that_is_not_good_is_invalid(self, issuing: Issuing, header: str) -> None:
        token = issuing.token()
        status, challenge = told(gate_of(issuing), header.format(token, token))
        assert status == 401
        assert 'error="invalid_token"' in challenge
        assert token not in challenge

    def test_that_was_revoked_is_invalid(self, issuing: Issuing) -> None:
        issuing.revoke(4)
        status, challenge = told(gate_of(issuing), f"Bearer {issuing.old_token(4)}")
        assert (status, 'error_description="the token was revoked"' in challenge) == (401, True)

    def test_for_another_audience_is_invalid(self, issuing: Issuing) -> None:
        status, _ = told(gate_of(issuing), f"Bearer {issuing.token(aud='https://other.example.com')}")
        assert status == 401

    @pytest.mark.parametrize("cnf", [{"jkt": "x"}, {"x5t#S256": "x"}, {}, None, "x"])
    def test_that_is_bound_to_a_key_is_no_bearer_token(self, issuing: Issuing, cnf: Any) -> None:
        """RFC 9449 section 7.2."""
        status, challenge = told(gate_of(issuing), f"Bearer {issuing.token(cnf=cnf)}")
        assert (status, 'error="invalid_token"' in challenge) == (401, True)

    def test_that_cannot_be_checked_is_told_when_to_try_again(self, issuing: Issuing) -> None:
        issuing.answers[JWKS] = Lie(500)
        answer = asked(gate_of(issuing), f"Bearer {issuing.token()}")
        assert isinstance(answer, Answer)
        assert answer.status == 503
        assert int(dict(answer.headers)["retry-after"]) > 0
        assert "www-authenticate" not in dict(answer.headers)

    def test_whose_list_cannot_be_had_is_told_when_to_try_again(self, issuing: Issuing) -> None:
        verifier = warm(issuing, stale_for=0)
        issuing.stop()
        issuing.monotonic.move(issuing.ttl)
        answer = asked(Gate(verifier), f"Bearer {issuing.old_token()}")
        assert isinstance(answer, Answer)
        assert (answer.status, dict(answer.headers)["retry-after"]) == (503, "5")
        issuing.restart()


class TestRequirements:
    def test_of_scope_are_all_needed(self, issuing: Issuing) -> None:  # RFC 6750 section 3.1
        bearer = f"Bearer {issuing.token()}"
        assert isinstance(asked(gate_of(issuing, scope=["reports:read", "reports:write"]), bearer), Claims)
        status, challenge = told(gate_of(issuing, scope=["reports:read", "reports:delete"]), bearer)
        assert status == 403
        assert 'error="insufficient_scope"' in challenge
        assert 'scope="reports:read reports:delete"' in challenge

    def test_of_authorities_are_all_needed(self, issuing: Issuing) -> None:
        bearer = f"Bearer {issuing.token(authorities=['ROLE_USER', 'ROLE_ADMIN'])}"
        assert isinstance(asked(gate_of(issuing, authorities=["ROLE_USER", "ROLE_ADMIN"]), bearer), Claims)
        status, challenge = told(gate_of(issuing, authorities=["ROLE_USER"]), f"Bearer {issuing.token(authorities=[])}")
        assert (status, "scope=" in challenge) == (403, False)

    def test_are_asked_after_the_token(self, issuing: Issuing) -> None:
        status, _ = told(gate_of(issuing, scope=["reports:delete"]), "Bearer forged")
        assert status == 401

    def test_of_a_handler_get_the_same_answer(self, issuing: Issuing) -> None:
        gate = gate_of(issuing)
        claims = gate.admit([f"Bearer {issuing.token()}"])
        with pytest.raises(InsufficientScope) as refusal:
            claims.require_scope("reports:delete")
        answer = gate.refusal(refusal.value)
        assert answer.status == 403
        assert 'scope="reports:delete"' in dict(answer.headers)["www-authenticate"]

    @pytest.mark.parametrize(
        ("name", "requirements"),
        [
            ("scope", {"scope": "reports:read"}),
            ("scope", {"scope": [""]}),
            ("authorities", {"authorities": "ROLE_ADMIN"}),
            ("public", {"public": "/healthz"}),
            ("public", {"public": ["healthz"]}),
            ("resource", {"resource": "reports.example.com"}),
            ("resource", {"resource": "https://reports.example.com#x"}),
            ("resource", {"resource": "https://reports.example.com?x"}),
            ("resource", {"resource": ""}),
        ],
    )
    def test_that_cannot_work_are_named(self, issuing: Issuing, name: str, requirements: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=f"^{name}: "):
            gate_of(issuing, **requirements)


class TestPublicPath:
    @pytest.mark.parametrize(
        ("path", "is_public"),
        [
            ("/healthz", True),
            ("/docs/", True),
            ("/docs/a/b.css", True),
            ("/", True),
            ("/healthz/", False),
            ("/healthzz", False),
            ("/docs", False),
            ("/reports", False),
            ("//healthz", False),
            ("/docs/../reports", False),
            ("/docs/..", False),
            ("/docs/./reports", False),
            ("/docs//reports", False),
            ("/docs/..\\reports", False),
            ("/docs/%2e%2e/reports", False),
            ("/docs/..;/reports", False),
            ("/DOCS/", False),
            ("", False),
        ],
    )
    def test_is_what_was_named_and_cannot_be_read_otherwise(self, issuing: Issuing, path: str, is_public: bool) -> None:
        assert gate_of(issuing, public=["/healthz", "/docs/", "/"]).is_public(path) is is_public

    def test_is_none_unless_named(self, issuing: Issuing) -> None:
        assert not any(gate_of(issuing).is_public(path) for path in ("/", "/healthz", ""))


class TestMetadata:  # RFC 9728 section 2
    RESOURCE = "https://reports.example.com/v1"

    def test_says_how_a_client_gets_in(self, issuing: Issuing) -> None:
        gate = gate_of(issuing, resource=self.RESOURCE, scope=["reports:read"])
        answer = gate.publication("/.well-known/oauth-protected-resource/v1")
        assert answer is not None
        assert json.loads(answer.body) == {
            "resource": self.RESOURCE,
            "authorization_servers": [issuing.issuer],
            "scopes_supported": ["reports:read"],
            "bearer_methods_supported": ["header"],
        }

    @pytest.mark.parametrize("path", ["/.well-known/oauth-protected-resource", "/v1", "/", ""])
    def test_is_nowhere_else(self, issuing: Issuing, path: str) -> None:
        assert gate_of(issuing, resource=self.RESOURCE).publication(path) is None
        assert gate_of(issuing).publication(path) is None

    @pytest.mark.parametrize("resource", ["https://reports.example.com", "https://reports.example.com/"])
    def test_of_a_whole_host_has_no_path_behind_it(self, issuing: Issuing, resource: str) -> None:
        assert gate_of(issuing, resource=resource).publication("/.well-known/oauth-protected-resource") is not None

    def test_is_named_by_every_challenge(self, issuing: Issuing) -> None:  # section 5.1
        gate = gate_of(issuing, resource=self.RESOURCE, scope=["reports:delete"])
        expected = f'resource_metadata="{METADATA_URI}"'
        for authorization in ([], ["Bearer x"], [f"Bearer {issuing.token()}"], ["Bearer"]):
            assert expected in told(gate, *authorization)[1]


class TestChallenge:
    @given(st.text(min_size=1))
    def test_is_one_header_whatever_the_audience(self, audience: str) -> None:
        _, challenge = told(Gate(Verifier("https://id.example.com", audience)))
        assert re.fullmatch(r'Bearer realm="[ !#-\[\]-~]*"', challenge)
