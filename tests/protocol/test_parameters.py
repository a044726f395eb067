"""Parameters: RFC 6749 sections 3.1 and 3.2, RFC 8707 section 2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import InvalidRequest
from jwtauth.protocol import parameters


class TestReading:
    def test_takes_each_parameter(self) -> None:
        assert parameters.read([("grant_type", "password"), ("scope", "a b")]) == {
            "grant_type": "password",
            "scope": "a b",
        }

    def test_treats_an_empty_one_as_absent(self) -> None:
        assert parameters.read([("scope", ""), ("resource", "")]) == {}

    @pytest.mark.parametrize("values", [("a", "b"), ("a", "a"), ("", "a"), ("a", ""), ("", "")])
    def test_refuses_a_repeated_one_even_where_a_value_is_empty_or_the_same(self, values: tuple[str, str]) -> None:
        with pytest.raises(InvalidRequest, match="client_id"):
            parameters.read([("client_id", value) for value in values])

    def test_lets_resource_repeat_in_order(self) -> None:
        pairs = [("resource", "https://b"), ("resource", ""), ("resource", "https://a")]
        assert parameters.read(pairs) == {"resource": ("https://b", "https://a")}

    def test_gives_a_tuple_for_a_single_resource_too(self) -> None:
        assert parameters.read([("resource", "https://a")]) == {"resource": ("https://a",)}

    @pytest.mark.parametrize("name", ["username", "resource"])
    def test_refuses_a_nul(self, name: str) -> None:
        with pytest.raises(InvalidRequest):
            parameters.read([(name, "a\x00b")])

    def test_tells_names_apart_by_case(self) -> None:
        assert parameters.read([("scope", "a"), ("Scope", "b")]) == {"scope": "a", "Scope": "b"}

    def test_shortens_a_foreign_name_in_its_refusal(self) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            parameters.read([("x" * 500, "1"), ("x" * 500, "2")])
        assert len(str(refusal.value)) < 100

    @given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3))))
    def test_reads_or_refuses_whatever_is_sent(self, pairs: list[tuple[str, str]]) -> None:
        try:
            found = parameters.read(pairs)
        except InvalidRequest:
            return
        assert all(found.values())

    @pytest.mark.parametrize("name", ["a\r\nSet-Cookie: x", 'a"b', "a\\b", "naïve"])
    def test_quotes_a_foreign_name_without_what_error_description_must_not_contain(self, name: str) -> None:
        """SECURITY D-06, RFC 6749 section 5.2."""
        with pytest.raises(InvalidRequest) as refusal:
            parameters.read([(name, "1"), (name, "2")])
        assert all(" " <= character <= "~" and character not in '\\"' for character in str(refusal.value))


class TestReadingEach:
    """An authorization request: where its refusal goes depends on what was sent twice (SECURITY R-03, Z-03)."""

    def test_gives_what_was_sent_once_and_names_what_was_not(self) -> None:
        pairs = (("state", "a"), ("scope", "b"), ("scope", "c"), ("nonce", ""), ("client_id", "x"), ("client_id", "x"))
        assert parameters.read_each(pairs) == ({"state": "a"}, ("client_id", "scope"))

    @pytest.mark.parametrize("values", [("", "a"), ("a", ""), ("", "")])
    def test_names_an_empty_one_too(self, values: tuple[str, str]) -> None:
        assert parameters.read_each(tuple(("state", value) for value in values)) == ({}, ("state",))

    def test_lets_resource_repeat(self) -> None:
        pairs = (("resource", "https://b"), ("resource", "https://a"))
        assert parameters.read_each(pairs) == ({"resource": ("https://b", "https://a")}, ())

    def test_refuses_a_nul(self) -> None:
        with pytest.raises(InvalidRequest):
            parameters.read_each((("state", "a\x00b"),))

    @given(st.lists(st.tuples(st.text(max_size=2), st.text(max_size=3))).map(tuple))
    def test_reads_what_read_reads_and_names_what_it_refuses(self, pairs: tuple[tuple[str, str], ...]) -> None:
        try:
            found, repeated = parameters.read_each(pairs)
        except InvalidRequest:
            assert any("\x00" in value for _, value in pairs)
            return
        assert not {*found} & {*repeated}
        if repeated:
            with pytest.raises(InvalidRequest):
                parameters.read(pairs)
        else:
            assert found == parameters.read(pairs)


class TestOne:
    def test_is_the_value_or_none(self) -> None:
        assert parameters.one({"scope": "a"}, "scope") == "a"
        assert parameters.one({}, "scope") is None

    def test_is_none_for_a_parameter_that_may_repeat(self) -> None:
        assert parameters.one({"resource": ("https://a",)}, "resource") is None


class TestRequired:
    def test_is_the_value(self) -> None:
        assert parameters.required({"token": "t"}, "token", expected="a token") == "t"

    def test_refusal_says_what_was_expected(self) -> None:
        with pytest.raises(InvalidRequest, match="token: is missing; expected a token"):
            parameters.required({}, "token", expected="a token")
