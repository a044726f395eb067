"""Cutting a form apart: the short way says what the library says (RFC 6749 appendix B)."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jwtauth.web.asgi import MAX_PARAMETERS, pairs_of


def by_the_library(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)


class TestAForm:
    @given(st.text(alphabet="ab=&;._-~ \x00", max_size=40))
    @example("")
    @example("&&a&=&a=b=c&")
    def test_with_nothing_encoded_is_read_as_the_library_reads_it(self, text: str) -> None:
        assert pairs_of(text) == by_the_library(text)

    @pytest.mark.parametrize("text", ["a=b&" * 63 + "a=b", "&" * 63])
    def test_may_have_so_many_pairs(self, text: str) -> None:
        assert pairs_of(text) == by_the_library(text)

    @pytest.mark.parametrize("text", ["a=b&" * 64 + "a=b", "&" * 64, "a=%20&" * 64 + "a"])
    def test_has_no_more_pairs(self, text: str) -> None:
        for read in (pairs_of, by_the_library):
            with pytest.raises(ValueError):
                read(text)
