"""The `claims` parameter: OpenID Connect Core 1.0 section 5.5."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import InvalidRequest
from jwtauth.protocol import requested_claims
from jwtauth.protocol.profile import CLAIMS
from jwtauth.protocol.records import RequestedClaims
from jwtauth.protocol.requested_claims import MAX_LENGTH, Wish

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id_token", "userinfo", "sub", "acr", "value", "values", "essential", "name"]) | st.text(),
            inner,
        )
    ),
)


class TestAClaim:  # section 5.5.1
    @pytest.mark.parametrize(
        "asked",
        ["null", '{"essential":true}', '{"essential":false}', '{"value":"x"}', '{"values":["x"]}', '{"odd":{}}', "{}"],
    )
    def test_is_asked_for_by_its_name_however(self, asked: str) -> None:
        found = requested_claims.read(f'{{"userinfo":{{"name":{asked}}},"id_token":{{"email":{asked}}}}}')
        assert found == Wish(claims=RequestedClaims(id_token=("email",), userinfo=("name",)))

    def test_that_is_not_known_is_ignored(self) -> None:
        text = (
            '{"userinfo":{"https://example.org/shoe_size":null,"sub":null},"id_token":{"auth_time":{}},"verified":[1]}'
        )
        assert requested_claims.read(text) == Wish()

    @pytest.mark.parametrize("text", [None, "{}", '{"id_token":null}', '{"userinfo":{},"id_token":{}}'])
    def test_is_not_asked_for_where_nothing_says_so(self, text: str | None) -> None:
        assert requested_claims.read(text) == Wish()
        assert not requested_claims.read(text).claims

    def test_is_kept_once_in_an_order_of_ours(self) -> None:
        """So that two requests for the same are remembered as one."""
        backwards = json.dumps({"userinfo": dict.fromkeys(reversed(CLAIMS))})
        assert requested_claims.read(backwards).claims.userinfo == CLAIMS


class TestTheSubject:  # section 5.5.1: sub with a value
    def test_is_the_value_in_the_id_token(self) -> None:
        assert requested_claims.read('{"id_token":{"sub":{"value":"u.ada","essential":true}}}').subject == "u.ada"

    @pytest.mark.parametrize(
        "text",
        [
            '{"id_token":{"sub":null}}',
            '{"id_token":{"sub":{"essential":true}}}',
            '{"id_token":{"sub":{"value":7}}}',
            '{"id_token":{"sub":["u.ada"]}}',
            '{"id_token":{"sub":"u.ada"}}',
        ],
    )
    def test_is_anybody_where_no_value_says_who(self, text: str) -> None:
        assert requested_claims.read(text).subject is None


class TestRefusal:
    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "[",
            "[]",
            '"name"',
            "null",
            "7",
            '{"id_token":[]}',
            '{"userinfo":"name"}',
            '{"userinfo":{"name":nil}}',
            '{"userinfo":{}} x',
            "{'userinfo':{}}",
            '{"userinfo":{"name":"\\ud800"}}',
            '{"userinfo":' * 500,
            '{"userinfo":{"name":' + "[" * 3_000 + "]" * 1_000 + "}}",
        ],
    )
    def test_says_what_was_expected_where_it_is_no_object_of_objects(self, text: str) -> None:
        with pytest.raises(InvalidRequest, match=r"claims: (expected a JSON object|is longer)"):
            requested_claims.read(text)

    def test_is_for_what_is_too_long_to_be_looked_at(self) -> None:
        text = '{"userinfo":{"name":"%s"}}'
        longest = text % ("x" * (MAX_LENGTH - len(text) + 2))
        assert len(longest) == MAX_LENGTH
        assert requested_claims.read(longest).claims.userinfo == ("name",)
        with pytest.raises(InvalidRequest, match="longer"):
            requested_claims.read(longest + " ")


class TestWhateverIsSent:
    @given(st.text() | VALUES.map(json.dumps))
    def test_is_read_or_refused(self, text: str) -> None:
        try:
            wish = requested_claims.read(text)
        except InvalidRequest:
            return
        assert {*wish.claims.id_token, *wish.claims.userinfo} <= {*CLAIMS}
        assert wish.subject is None or isinstance(wish.subject, str)
