"""Where a bearer token stands: RFC 6750 section 2."""

import pytest

from jwtauth.errors import InvalidRequest, InvalidTokenRequest, MissingToken
from jwtauth.protocol import bearer
from jwtauth.protocol.parameters import Parameters


class TestOne:
    @pytest.mark.parametrize(
        ("authorization", "other"),
        [
            (["Bearer abc"], {}),
            (["bearer abc"], {}),
            (["BEARER  abc "], {}),
            ([], {"access_token": "abc"}),
            (["Bearer abc"], {"scope": "read"}),
        ],
    )
    def test_is_found_in_either_place(self, authorization: list[str], other: Parameters) -> None:
        assert bearer.one(authorization, other) == "abc"

    @pytest.mark.parametrize(
        ("authorization", "other"),
        [
            pytest.param(["Bearer a"], {"access_token": "a"}, id="two places"),
            pytest.param(["Bearer a", "Bearer a"], {}, id="two headers"),
            pytest.param(["Basic x"], {"access_token": "a"}, id="another scheme beside it"),
            pytest.param([], {}, id="none"),
            pytest.param([], {"access_token": ("a",)}, id="a list"),
            pytest.param(["Basic abc"], {}, id="another scheme"),
            pytest.param(["Bearer"], {}, id="no token"),
            pytest.param(["Bearer  "], {}, id="an empty token"),
            pytest.param([""], {}, id="an empty header"),
        ],
    )
    def test_is_refused_otherwise(self, authorization: list[str], other: Parameters) -> None:
        with pytest.raises(InvalidRequest):
            bearer.one(authorization, other)


class TestPresented:  # section 2: at a protected resource
    @pytest.mark.parametrize(
        ("authorization", "form"),
        [
            (["Bearer abc"], {}),
            (["bearer abc"], {}),
            ([], {"access_token": "abc"}),
            (["Bearer abc"], {"scope": "read"}),
        ],
    )
    def test_is_found_in_the_header_or_in_the_form(self, authorization: list[str], form: Parameters) -> None:
        assert bearer.presented(authorization, form, {}) == "abc"

    @pytest.mark.parametrize("authorization", [[], [""], ["Basic x"], ["Bearer"], ["Bearer "], ["Bearerabc"]])
    @pytest.mark.parametrize("form", [{}, {"scope": "read"}])
    def test_is_missed_with_a_challenge_that_has_no_error(self, authorization: list[str], form: Parameters) -> None:
        """Section 3.1: whoever uses another scheme, or none, learns only which one is asked for."""
        with pytest.raises(MissingToken):
            bearer.presented(authorization, form, {"schema": "openid"})

    @pytest.mark.parametrize(
        ("authorization", "form"),
        [
            pytest.param(["Bearer a"], {"access_token": "a"}, id="two places"),
            pytest.param(["Bearer a", "Bearer a"], {}, id="two headers"),
            pytest.param(["Basic x"], {"access_token": "a"}, id="another scheme beside it"),
            pytest.param(["Bearer"], {"access_token": "a"}, id="a header without a token beside it"),
        ],
    )
    def test_is_refused_where_it_is_ambiguous(self, authorization: list[str], form: Parameters) -> None:
        with pytest.raises(InvalidTokenRequest):
            bearer.presented(authorization, form, {})

    @pytest.mark.parametrize("authorization", [[], ["Bearer a"]])
    def test_i_10_is_refused_in_the_query_whatever_else_is_sent(self, authorization: list[str]) -> None:
        with pytest.raises(InvalidTokenRequest, match="query"):
            bearer.presented(authorization, {}, {"access_token": "a"})
