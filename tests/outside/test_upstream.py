"""What an upstream is asked, how we say who we are, and which answers count."""

import asyncio
import json
import os
from base64 import b64decode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from jwtauth.outside import upstream as calls
from jwtauth.outside.http import NoAnswer, Outside
from jwtauth.outside.upstream import Redeemed
from jwtauth.protocol.upstream import Upstream
from tests.outside.liar import Liar, Saying

T = TypeVar("T")
Call = Callable[[Outside, Upstream], Awaitable[Any]]

SECRET = "a secret+with/odd=characters:é"


@pytest.fixture
def liar() -> Iterator[Liar]:
    with Liar() as liar:
        yield liar


@pytest.fixture
def upstream(liar: Liar, tmp_path: Path) -> Upstream:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    return Upstream(
        name="Liar",
        client_id="our name",
        client_secret=f"file:{secret}",
        access_token_uri=f"{liar.url}/token",
        introspection_uri=f"{liar.url}/introspect",
        userinfo_uri=f"{liar.url}/userinfo",
        jwks_uri=f"{liar.url}/jwks",
    )


def ask(call: Callable[[Outside], Awaitable[T]]) -> T:
    async def run() -> T:
        outside = Outside()
        try:
            return await call(outside)
        finally:
            await outside.close()

    return asyncio.run(run())


def introspect(outside: Outside, upstream: Upstream) -> Awaitable[Any]:
    return calls.introspect(outside, upstream, "t")


def userinfo(outside: Outside, upstream: Upstream) -> Awaitable[Any]:
    return calls.userinfo(outside, upstream, "t")


def has_password(outside: Outside, upstream: Upstream) -> Awaitable[Any]:
    return calls.has_password(outside, upstream, "ada", "pass word")


def redeem(outside: Outside, upstream: Upstream) -> Awaitable[Any]:
    return calls.redeem(outside, upstream, "c", redirect_uri="https://here.example/back", code_verifier="v")


def says(**members: Any) -> bytes:
    return json.dumps(members).encode()


class TestQuestions:
    @pytest.mark.parametrize(
        ("call", "path", "form"),
        [
            (introspect, "/introspect", {"token": ["t"], "token_type_hint": ["access_token"]}),
            (has_password, "/token", {"grant_type": ["password"], "username": ["ada"], "password": ["pass word"]}),
            (
                redeem,
                "/token",
                {
                    "grant_type": ["authorization_code"],
                    "code": ["c"],
                    "redirect_uri": ["https://here.example/back"],
                    "code_verifier": ["v"],
                },
            ),
        ],
    )
    def test_are_forms_with_our_name_and_secret_in_the_header(
        self, liar: Liar, upstream: Upstream, call: Call, path: str, form: dict[str, list[str]]
    ) -> None:
        liar.saying = Saying(body=says(access_token="a"))
        ask(lambda outside: call(outside, upstream))
        (asked,) = liar.asked
        assert (asked.method, asked.path, asked.form) == ("POST", path, form)
        scheme, _, credentials = asked.headers["authorization"].partition(" ")
        assert scheme == "Basic"
        assert b64decode(credentials) == b"our+name:a+secret%2Bwith%2Fodd%3Dcharacters%3A%C3%A9"
        assert asked.headers["accept"] == "application/json"

    def test_of_a_public_client_name_it_in_the_form(self, liar: Liar, upstream: Upstream) -> None:
        public = Upstream(name="Liar", client_id="us", access_token_uri=upstream.access_token_uri)
        liar.saying = Saying(body=says(access_token="a"))
        ask(lambda outside: redeem(outside, public))
        assert liar.asked[0].form["client_id"] == ["us"]
        assert "authorization" not in liar.asked[0].headers

    def test_about_the_person_carry_the_token_and_nothing_of_ours(self, liar: Liar, upstream: Upstream) -> None:
        liar.saying = Saying(body=says(sub="u-1"))
        assert ask(lambda outside: userinfo(outside, upstream)) == {"sub": "u-1"}
        (asked,) = liar.asked
        assert (asked.method, asked.path, asked.headers["authorization"]) == ("GET", "/userinfo", "Bearer t")

    def test_about_keys_say_nothing_about_us(self, liar: Liar, upstream: Upstream) -> None:
        liar.saying = Saying(body=says(keys=[]), media_type="application/jwk-set+json; charset=utf-8")
        assert ask(lambda outside: calls.keys(outside, upstream)) == {"keys": []}
        assert "authorization" not in liar.asked[0].headers


class TestSecret:
    def test_may_stand_in_the_environment(
        self, liar: Liar, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(os.environ, "THE_SECRET", "from the environment")
        there = Upstream(
            name="Liar",
            client_id="us",
            client_secret="env:THE_SECRET",
            access_token_uri=upstream.access_token_uri,
            introspection_uri=upstream.introspection_uri,
        )
        ask(lambda outside: introspect(outside, there))
        assert b64decode(liar.asked[0].headers["authorization"].split()[1]) == b"us:from+the+environment"

    @pytest.mark.parametrize("reference", ["file:/no/such/file", "env:NO_SUCH_VARIABLE", "file:/"])
    def test_that_cannot_be_read_asks_nothing(self, liar: Liar, upstream: Upstream, reference: str) -> None:
        there = Upstream(
            name="Liar", client_id="us", client_secret=reference, access_token_uri=upstream.access_token_uri
        )
        with pytest.raises(NoAnswer, match="cannot be read"):
            ask(lambda outside: redeem(outside, there))
        assert not liar.asked


class TestAnswers:
    @pytest.mark.parametrize("call", [introspect, userinfo, calls.keys, has_password, redeem])
    @pytest.mark.parametrize(
        "saying",
        [
            Saying(body=b"garbage"),
            Saying(body=b""),
            Saying(body=b"[]"),
            Saying(body=b'{"active": true, "active": true}'),
            Saying(body=b"{}" + b" " * 10_000_000 + b"x", media_type="text/plain"),
            Saying(body=b'{"x": "' + b"x" * 10_000_000 + b'"}'),
            Saying(body=says(active=True, access_token="a", keys=[]), media_type="text/html"),
            Saying(body=says(active=True, access_token="a", keys=[]), media_type=""),
            Saying(status=302, headers={"Location": "/elsewhere"}, body=says(active=True, access_token="a")),
            Saying(status=500, body=says(active=True, access_token="a")),
            Saying(status=204, body=b""),
            Saying(status=404, body=says(error="invalid_grant")),
        ],
        ids=lambda saying: f"{saying.status}-{saying.media_type}-{saying.body[:12]!r}",
    )
    def test_that_cannot_be_understood_are_none(
        self, liar: Liar, upstream: Upstream, call: Call, saying: Saying
    ) -> None:
        liar.saying = saying
        with pytest.raises(NoAnswer) as refusal:
            ask(lambda outside: call(outside, upstream))
        assert "secret" not in str(refusal.value)
        assert [asked.path for asked in liar.asked if asked.path == "/elsewhere"] == []

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_of_userinfo_may_refuse_the_token(self, liar: Liar, upstream: Upstream, status: int) -> None:
        liar.saying = Saying(status=status, body=b"", media_type="")
        assert ask(lambda outside: userinfo(outside, upstream)) is None

    @pytest.mark.parametrize("status", [400, 401, 403])
    def test_of_introspection_may_not(self, liar: Liar, upstream: Upstream, status: int) -> None:
        """It is we who are refused then, and nothing is known about the token."""
        liar.saying = Saying(status=status, body=says(active=True))
        with pytest.raises(NoAnswer, match=str(status)):
            ask(lambda outside: introspect(outside, upstream))

    @pytest.mark.parametrize("status", [400, 401])
    def test_of_the_token_endpoint_may_refuse_what_was_sent(self, liar: Liar, upstream: Upstream, status: int) -> None:
        liar.saying = Saying(status=status, body=says(error="invalid_grant"))
        assert ask(lambda outside: has_password(outside, upstream)) is False
        assert ask(lambda outside: redeem(outside, upstream)) is None

    @pytest.mark.parametrize("error", ["invalid_client", "unauthorized_client", "server_error", None])
    def test_that_refuse_us_say_nothing_about_a_password(
        self, liar: Liar, upstream: Upstream, error: str | None
    ) -> None:
        liar.saying = Saying(status=400, body=says(error=error))
        with pytest.raises(NoAnswer):
            ask(lambda outside: has_password(outside, upstream))

    @pytest.mark.parametrize(
        "body", [says(), says(access_token=None), says(access_token=7), says(access_token="a", id_token=7)]
    )
    def test_without_a_token_are_none(self, liar: Liar, upstream: Upstream, body: bytes) -> None:
        liar.saying = Saying(body=body)
        with pytest.raises(NoAnswer):
            ask(lambda outside: has_password(outside, upstream))

    def test_with_tokens_are_what_a_code_is_worth(self, liar: Liar, upstream: Upstream) -> None:
        liar.saying = Saying(body=says(access_token="a", id_token="i", refresh_token="r"))
        found = ask(lambda outside: redeem(outside, upstream))
        assert found == Redeemed(access_token="a", id_token="i")
        assert ask(lambda outside: has_password(outside, upstream)) is True
