"""Where a bearer token stands: RFC 6750 section 2."""

import pytest

from jwtauth.errors import InvalidRequest
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
