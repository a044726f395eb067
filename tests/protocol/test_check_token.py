"""check_token: the names that Spring Security OAuth 2.x resource servers read."""

from typing import Any

import msgspec
import pytest

from jwtauth.protocol import check_token, introspection
from jwtauth.protocol.introspection import Active
from tests.protocol import records
from tests.protocol.records import NOW


def answer(**claims: Any) -> dict[str, Any]:
    owner = records.client()
    active = introspection.decide(records.access_token(**claims), owner, owner)
    assert isinstance(active, Active)
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(check_token.answer(active)))
    return decoded


class TestAnswer:
    def test_gives_springs_names(self) -> None:
        assert answer() == {
            "active": True,
            "user_name": "ada",
            "scope": ["read", "write"],
            "exp": NOW + 3_540,
            "authorities": ["ROLE_USER"],
            "jti": "token-1",
            "client_id": "player",
            "aud": ["https://music.example"],
        }

    @pytest.mark.parametrize(
        ("aud", "listed"), [("https://a", ["https://a"]), (("https://a", "https://b"), ["https://a", "https://b"])]
    )
    def test_lists_the_audience_always(self, aud: Any, listed: list[str]) -> None:
        assert answer(aud=aud)["aud"] == listed

    def test_names_no_user_for_a_machine(self) -> None:
        assert "user_name" not in answer(username=msgspec.UNSET, uid=msgspec.UNSET)

    def test_lists_no_scope_where_there_is_none(self) -> None:
        assert answer(scope="")["scope"] == []
