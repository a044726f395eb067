"""Settings: defaults, file, environment, overrides; every mistake is named."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth import settings
from jwtauth.errors import ConfigurationError
from jwtauth.settings import Settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "jwtauth.toml").write_text(text, encoding="utf-8")


def load(folder: Path, environ: dict[str, str] | None = None, **overrides: Any) -> Settings:
    return settings.load(folder, environ or {}, **overrides).settings


class TestWhereValuesComeFrom:
    def test_defaults_need_no_file(self, folder: Path) -> None:
        assert load(folder) == Settings()

    def test_the_file_comes_first(self, folder: Path) -> None:
        write(folder, 'port = 9000\nhost = "0.0.0.0"\n')
        found = load(folder)
        assert (found.port, found.host) == (9_000, "0.0.0.0")

    def test_the_environment_goes_before_the_file(self, folder: Path) -> None:
        write(folder, "port = 9000\nworkers = 2\n")
        found = load(folder, {"JWTAUTH_PORT": "9001", "PORT": "1", "jwtauth_workers": "7"})
        assert (found.port, found.workers) == (9_001, 2)

    def test_overrides_go_before_the_environment_unless_they_are_none(self, folder: Path) -> None:
        found = load(folder, {"JWTAUTH_PORT": "9001", "JWTAUTH_HOST": "::1"}, port=9_002, host=None)
        assert (found.port, found.host) == (9_002, "::1")

    @pytest.mark.parametrize("name", ["JWTAUTH_FOLDER", "JWTAUTH_METRICS_FOLDER"])
    def test_a_variable_that_names_a_folder_is_no_setting(self, folder: Path, name: str) -> None:
        assert load(folder, {name: "elsewhere"}) == Settings()

    def test_the_process_environment_is_read_unless_another_is_given(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JWTAUTH_PORT", "9009")
        assert settings.load(folder).settings.port == 9_009
        assert load(folder).port == 8_000


class TestIssuer:
    @pytest.mark.parametrize(
        ("values", "issuer"),
        [
            ({}, "http://127.0.0.1:8000"),
            ({"port": 9_000}, "http://127.0.0.1:9000"),
            ({"port": 9_000, "host": "0.0.0.0"}, "http://127.0.0.1:9000"),
            ({"port": 9_000, "issuer": "https://issuer.example"}, "https://issuer.example"),
        ],
    )
    def test_follows_the_port_unless_told(self, folder: Path, values: dict[str, Any], issuer: str) -> None:
        assert load(folder, **values).issuer == issuer

    def test_follows_the_port_of_the_environment_too(self, folder: Path) -> None:
        assert load(folder, {"JWTAUTH_PORT": "9001"}).issuer == "http://127.0.0.1:9001"

    @pytest.mark.parametrize("issuer", ["https://issuer.example", "https://issuer.example/t1", "http://[::1]:8000"])
    def test_may_be(self, folder: Path, issuer: str) -> None:
        assert load(folder, issuer=issuer).issuer == issuer

    @pytest.mark.parametrize(
        "issuer",
        [
            "https://issuer.example/",
            "https://issuer.example?x=y",
            "https://issuer.example#x",
            "https://user@issuer.example",
            "issuer.example",
            "ftp://issuer.example",
            "https://",
            "https://[::1",
            "",
        ],
    )
    def test_must_not_be(self, folder: Path, issuer: str) -> None:
        with pytest.raises(ConfigurationError, match="setting issuer: expected https"):
            load(folder, issuer=issuer)

    @pytest.mark.parametrize(
        ("issuer", "is_loopback"),
        [
            ("http://127.0.0.1:8000", True),
            ("http://127.9.9.9", True),
            ("http://[::1]:8000", True),
            ("http://localhost:8000", False),
            ("http://127.0.0.1.evil.example", False),
            ("https://issuer.example", False),
        ],
    )
    def test_is_loopback_only_where_it_is_a_literal_address(self, issuer: str, is_loopback: bool) -> None:
        assert Settings(issuer=issuer).is_loopback is is_loopback


class TestMistakes:
    @pytest.mark.parametrize(
        ("key", "suggestion"),
        [
            ("prot", "did you mean port?"),
            ("isuer", "did you mean issuer?"),
            ("PORT", "known are issuer, host, port"),
            ("zzz", "known are issuer"),
        ],
    )
    def test_an_unknown_key_is_named_with_a_suggestion(self, folder: Path, key: str, suggestion: str) -> None:
        write(folder, f"{key} = 1\n")
        with pytest.raises(ConfigurationError, match=re.escape(f"setting {key}: is unknown; {suggestion}")):
            load(folder)

    def test_an_unknown_variable_is_named_too(self, folder: Path) -> None:
        with pytest.raises(ConfigurationError, match="setting workres: is unknown; did you mean workers"):
            load(folder, {"JWTAUTH_WORKRES": "2"})

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("port", "many"),
            ("port", 8_000.5),
            ("port", ""),
            ("workers", [1]),
            ("host", 5),
            ("access_token_algorithm", "HS256"),
            ("access_token_algorithm", "none"),
            ("log_format", "xml"),
        ],
    )
    def test_a_value_of_the_wrong_type_is_named(self, folder: Path, key: str, value: Any) -> None:
        """SECURITY J-17 among them: none is no signing algorithm."""
        with pytest.raises(ConfigurationError, match=re.escape(key)):
            load(folder, **{key: value})

    @pytest.mark.parametrize(
        ("key", "wrong", "right"),
        [
            ("workers", 0, 1),
            ("max_token_lifetime", 0, 1),
            ("jwks_max_age", -1, 1),
            ("argon2_passes", 0, 1),
            ("password_threads", 0, 1),
            ("max_body", 0, 1),
            ("body_timeout", 0, 1),
            ("port", 65_536, 65_535),
            ("port", -1, 0),
            ("argon2_memory", 8_191, 8_192),
            ("password_queue", -1, 0),
            ("drain_in", -1, 0),
            ("audit_keep_in", -1, 0),
            ("metrics_from", ("here",), ("10.0.0.0/8",)),
        ],
    )
    def test_a_value_out_of_bounds_is_named(self, folder: Path, key: str, wrong: Any, right: Any) -> None:
        load(folder, **{key: right})
        with pytest.raises(ConfigurationError, match=f"setting {key}: "):
            load(folder, **{key: wrong})

    @pytest.mark.parametrize("content", [b"port = ", b"port 9000", b"\xff\xfe", b"port = 1\nport = 2"])
    def test_a_file_that_is_no_toml_is_named(self, folder: Path, content: bytes) -> None:
        (folder / "jwtauth.toml").write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"jwtauth\.toml: is not TOML"):
            load(folder)

    def test_a_file_that_cannot_be_read_is_named(self, folder: Path) -> None:
        (folder / "jwtauth.toml").mkdir()
        with pytest.raises(ConfigurationError, match=r"jwtauth\.toml: cannot be read"):
            load(folder)


class TestSource:
    def test_relative_paths_start_from_the_folder(self, folder: Path) -> None:
        source = settings.load(folder, {}, database="data/x.db")
        assert (source.database, source.keys) == (folder / "data/x.db", folder / "keys")

    def test_absolute_paths_stay(self, folder: Path) -> None:
        source = settings.load(folder, {}, keys="/etc/jwtauth/keys")
        assert source.keys == Path("/etc/jwtauth/keys")


class TestWorkers:
    @given(
        st.builds(
            Settings,
            port=st.integers(0, 65_535),
            workers=st.integers(1, 64),
            issuer=st.sampled_from(["https://issuer.example/t1", "http://127.0.0.1:1"]),
            log_format=st.sampled_from(["human", "json"]),
            access_token_algorithm=st.sampled_from(["ES256", "EdDSA"]),
        )
    )
    def test_see_exactly_what_their_parent_decided(self, decided: Settings) -> None:
        assert load(Path("nowhere"), settings.to_environment(decided)) == decided

    def test_see_every_setting(self) -> None:
        assert settings.to_environment(Settings()).keys() == {
            f"JWTAUTH_{name.upper()}" for name in Settings.__struct_fields__
        }
