"""Resource indicators: RFC 8707 section 2, SECURITY J-14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import InvalidTarget
from jwtauth.protocol import resources

API, FILES, URN = "https://api.example", "https://files.example/v1?x=y", "urn:example:queue"
ALLOWED = (API, FILES, URN)


class TestNarrowing:
    @pytest.mark.parametrize(
        ("asked", "granted"),
        [((), ()), ((API,), (API,)), ((URN, API), (URN, API)), ((API, API, FILES), (API, FILES))],
    )
    def test_grants_each_one_once_in_order(self, asked: tuple[str, ...], granted: tuple[str, ...]) -> None:
        assert resources.narrow(asked, allowed=ALLOWED) == granted

    @pytest.mark.parametrize(
        "asked",
        ["https://elsewhere.example", API + "/", API.upper(), API + ".evil.example", API + "/path", "https://api"],
    )
    def test_refuses_any_other_by_exact_comparison(self, asked: str) -> None:
        with pytest.raises(InvalidTarget):
            resources.narrow((asked,), allowed=ALLOWED)

    def test_refuses_all_where_one_is_not_allowed(self) -> None:
        with pytest.raises(InvalidTarget):
            resources.narrow((API, "https://elsewhere.example"), allowed=ALLOWED)

    def test_refuses_more_than_eight(self) -> None:
        assert resources.narrow((API,) * resources.MAX_COUNT, allowed=ALLOWED) == (API,)
        with pytest.raises(InvalidTarget):
            resources.narrow((API,) * (resources.MAX_COUNT + 1), allowed=ALLOWED)


class TestAResource:  # RFC 8707 section 2: an absolute URI without fragment
    @pytest.mark.parametrize(
        "value", ["api", "/api", "//api.example", "https:", f"{API}#part", f"{API}#", "http://[::1"]
    )
    def test_is_refused_where_it_is_no_absolute_uri_even_if_registered(self, value: str) -> None:
        with pytest.raises(InvalidTarget, match="absolute URI"):
            resources.narrow((value,), allowed=(value,))

    @given(st.text())
    def test_is_taken_or_refused_whatever_it_is(self, value: str) -> None:
        with pytest.raises(InvalidTarget):
            resources.narrow((value,), allowed=())
