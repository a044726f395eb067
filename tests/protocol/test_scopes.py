"""Scope values: RFC 6749 section 3.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import InvalidScope
from jwtauth.protocol import scopes

scope_tokens = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"\\'), min_size=1)


class TestParsing:
    @pytest.mark.parametrize(
        ("text", "values"),
        [
            ("read", ("read",)),
            ("read write", ("read", "write")),
            ("write read write", ("write", "read")),
            ("  read   write ", ("read", "write")),
            ("", ()),
            ("Read read", ("Read", "read")),
            ("https://a.example/x !#$%&'()", ("https://a.example/x", "!#$%&'()")),
        ],
    )
    def test_gives_each_value_once_in_order(self, text: str, values: tuple[str, ...]) -> None:
        assert scopes.parse(text) == values

    @pytest.mark.parametrize(
        "text", ['"read"', "a\\b", "read\twrite", "read\nwrite", "réad", "a\x7f", "a\x00", "read,ü"]
    )
    def test_refuses_characters_that_scope_values_cannot_have(self, text: str) -> None:
        with pytest.raises(InvalidScope):
            scopes.parse(text)

    def test_refuses_a_scope_that_is_too_long(self) -> None:
        assert scopes.parse("x" * scopes.MAX_LENGTH)
        with pytest.raises(InvalidScope):
            scopes.parse("x" * (scopes.MAX_LENGTH + 1))

    @given(st.lists(scope_tokens, unique=True, max_size=9))
    def test_reads_back_what_was_written(self, values: list[str]) -> None:
        assert scopes.parse(scopes.text(values)) == tuple(values)


class TestNarrowing:
    @pytest.mark.parametrize(
        ("asked", "granted"),
        [(None, ("b",)), (" ", ("b",)), ("a", ("a",)), ("b a", ("b", "a"))],
    )
    def test_grants_what_was_asked_for_or_the_default(self, asked: str | None, granted: tuple[str, ...]) -> None:
        assert scopes.narrow(asked, allowed=("a", "b"), default=("b",)) == granted

    def test_grants_all_or_nothing_and_names_the_surplus(self) -> None:
        with pytest.raises(InvalidScope, match="scope: c d is not allowed"):
            scopes.narrow("a d c", allowed=("a", "b"), default=())

    @pytest.mark.parametrize("asked", ["A", "aa", "a*", "*"])
    def test_compares_exactly(self, asked: str) -> None:
        with pytest.raises(InvalidScope):
            scopes.narrow(asked, allowed=("a", "b"), default=())
