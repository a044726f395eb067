"""Settings of browser sessions, error pages and proxies, as every command reads them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth import settings
from jwtauth.errors import ConfigurationError
from jwtauth.settings import Settings

NETWORKS = ["10.0.0.7", "10.0.0.0/8", "::1", "2001:db8::/32", "0.0.0.0/0"]


def load(folder: Path, environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return settings.load(folder, environ or {}, **overrides).settings


class TestSessions:
    @pytest.mark.parametrize("name", ["session_idle_in", "session_in", "transaction_in"])
    def test_last_above_0(self, tmp_path: Path, name: str) -> None:
        assert getattr(load(tmp_path, {}, **{"session_idle_in": 1, name: 1}), name) == 1
        for wrong in (0, -1):
            with pytest.raises(ConfigurationError, match=f"setting {name}: expected a number above 0"):
                load(tmp_path, {}, **{name: wrong})

    def test_are_idle_no_longer_than_they_last(self, tmp_path: Path) -> None:
        assert load(tmp_path, session_idle_in=5, session_in=5).session_in == 5
        with pytest.raises(
            ConfigurationError, match="setting session_idle_in: expected at most session_in, which is 5"
        ):
            load(tmp_path, session_idle_in=6, session_in=5)


class TestTrustedProxies:
    def test_are_nobody_unless_told(self, tmp_path: Path) -> None:
        assert load(tmp_path).trusted_proxies == ()
        assert load(tmp_path, {"JWTAUTH_TRUSTED_PROXIES": ""}).trusted_proxies == ()

    def test_are_a_list_in_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "jwtauth.toml").write_text('trusted_proxies = ["10.0.0.7", "::1"]')
        assert load(tmp_path).trusted_proxies == ("10.0.0.7", "::1")

    def test_are_separated_by_commas_in_the_environment(self, tmp_path: Path) -> None:
        environ = {"JWTAUTH_TRUSTED_PROXIES": " 10.0.0.0/8, ::1 ,"}
        assert load(tmp_path, environ).trusted_proxies == ("10.0.0.0/8", "::1")

    @pytest.mark.parametrize("proxy", NETWORKS)
    def test_are_addresses_or_networks(self, tmp_path: Path, proxy: str) -> None:
        assert load(tmp_path, trusted_proxies=(proxy,)).trusted_proxies == (proxy,)

    @pytest.mark.parametrize("proxy", ["", "proxy.example", "10.0.0", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.7:80", "*"])
    def test_are_nothing_else(self, tmp_path: Path, proxy: str) -> None:
        with pytest.raises(
            ConfigurationError, match=r"setting trusted_proxies: .* is neither an address nor a network"
        ):
            load(tmp_path, trusted_proxies=("10.0.0.7", proxy))

    def test_are_no_text_in_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "jwtauth.toml").write_text('trusted_proxies = "10.0.0.7"')
        with pytest.raises(ConfigurationError, match="trusted_proxies"):
            load(tmp_path)


class TestWorkers:
    @given(
        st.builds(
            Settings,
            explain_errors=st.booleans(),
            trusted_proxies=st.lists(st.sampled_from(NETWORKS)).map(tuple),
            session_idle_in=st.integers(1, 10),
            session_in=st.integers(10, 20),
        )
    )
    def test_see_exactly_what_their_parent_decided(self, decided: Settings) -> None:
        assert load(Path("nowhere"), settings.to_environment(decided)) == decided
