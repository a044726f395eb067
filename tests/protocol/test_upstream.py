"""Which upstreams a realm may have."""

from typing import Any

import pytest

from jwtauth.errors import ConfigurationError
from jwtauth.protocol.upstream import Upstream, check

HOST = "https://upstream.example"


def upstream(**changes: Any) -> Upstream:
    """One that is asked by introspection, and where people may sign in."""
    settings: dict[str, Any] = {
        "name": "Example Login",
        "client_id": "jwtauth",
        "client_secret": "env:UPSTREAM_SECRET",
        "access_token_uri": f"{HOST}/token",
        "user_authorization_uri": f"{HOST}/authorize",
        "introspection_uri": f"{HOST}/introspect",
    }
    return Upstream(**{**settings, **changes})


def by_keys(**changes: Any) -> Upstream:
    """One whose access tokens are JWTs."""
    settings = {
        "introspection_uri": None,
        "jwks_uri": f"{HOST}/jwks",
        "issuer": HOST,
        "audience": "https://api.example",
    }
    return upstream(**{**settings, **changes})


class TestCheck:
    @pytest.mark.parametrize(
        "good",
        [
            upstream(),
            upstream(issuer=HOST, sends_iss=True, audience="https://api.example", checks_passwords=True),
            upstream(introspection_uri=None, userinfo_uri=f"{HOST}/userinfo", client_secret=""),
            upstream(introspection_uri=None, userinfo_uri=f"{HOST}/userinfo", jwks_uri=f"{HOST}/jwks", issuer=HOST),
            by_keys(client_secret="file:/run/secrets/upstream"),
            upstream(access_token_uri="http://127.0.0.1:8000/token", user_authorization_uri=None),
            upstream(access_token_uri="http://[::1]/token?tenant=1"),
        ],
    )
    def test_lets_what_can_be_asked_pass(self, good: Upstream) -> None:
        check(good)

    @pytest.mark.parametrize(
        ("bad", "named"),
        [
            (upstream(introspection_uri=None), "cannot be proven"),
            (upstream(name=""), "name"),
            (upstream(name="two\nlines"), "name"),
            (upstream(client_id=""), "client_id"),
            (upstream(username_claim=""), "username_claim"),
            (upstream(client_secret="the secret itself"), "client_secret"),
            (upstream(client_secret="file:relative"), "client_secret"),
            (upstream(client_secret="env:"), "client_secret"),
            (upstream(client_secret=""), "introspection_uri: needs a client_secret"),
            (upstream(scope=("two words",)), "scope"),
            (upstream(scope=("",)), "scope"),
            (upstream(sends_iss=True), "issuer"),
            (by_keys(issuer=None), "issuer"),
            (by_keys(audience=None), "audience"),
            (upstream(introspection_uri=None, userinfo_uri=HOST, audience="https://api.example"), "audience"),
        ],
    )
    def test_names_the_member_that_is_wrong(self, bad: Upstream, named: str) -> None:
        with pytest.raises(ConfigurationError, match=named):
            check(bad)

    def test_does_not_repeat_a_secret_that_stands_in_the_wrong_place(self) -> None:
        with pytest.raises(ConfigurationError) as refusal:
            check(upstream(client_secret="hunter2"))
        assert "hunter2" not in str(refusal.value)

    @pytest.mark.parametrize(
        "name", ["access_token_uri", "user_authorization_uri", "introspection_uri", "userinfo_uri", "jwks_uri"]
    )
    @pytest.mark.parametrize(
        "uri",
        [
            "",
            "token",
            "http://upstream.example/token",
            "http://localhost/token",
            "http://127.0.0.1.upstream.example/token",
            "http://127.1/token",
            "ftp://127.0.0.1/token",
            "javascript:alert(1)",
            "https:///token",
            "https://ada:secret@upstream.example/token",
            "https://upstream.example/token#fragment",
            "https://upstream.example/to ken",
            "https://upstream.example/to\nken",
            "https://upstream.example\\@other.example/token",
            "https://[::1/token",
            "https://upstream.example:0/token",
            f"https://upstream.example/{'x' * 2_048}",
        ],
    )
    def test_takes_only_uris_that_are_safe_to_call(self, name: str, uri: str) -> None:
        with pytest.raises(ConfigurationError, match=name):
            check(upstream(**{"issuer": HOST, name: uri}))
