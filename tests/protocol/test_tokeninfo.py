"""tokeninfo: the members that Connexion and flask-oauthlib clients read."""

from typing import Any

import msgspec

from jwtauth.protocol import tokeninfo
from tests.protocol import records
from tests.protocol.records import NOW


def answer(now: int = NOW, **claims: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(
        msgspec.json.encode(tokeninfo.answer(records.access_token(**claims), now=now))
    )
    return decoded


class TestAnswer:
    def test_gives_a_person_by_integer_id(self) -> None:
        assert answer() == {
            "id": 42,
            "uid": 42,
            "sub": "u.ada",
            "scope": ["read", "write"],
            "client_id": "player",
            "exp": NOW + 3_540,
            "expires_in": 3_540,
        }

    def test_gives_null_for_a_machine(self) -> None:
        machine = answer(uid=msgspec.UNSET)
        assert (machine["id"], machine["uid"]) == (None, None)

    def test_never_gives_a_negative_expires_in(self) -> None:
        """SECURITY S-06."""
        assert answer(now=NOW + 10_000)["expires_in"] == 0
