"""docs/verifier.md names whatever a resource server can set or must catch, and the examples are whole."""

import inspect
import re
from pathlib import Path

import pytest

from jwtauth import verifier
from jwtauth.protocol import status_list
from jwtauth.verifier import Claims, Verifier, proven, proxy, status_cache
from jwtauth.verifier.flight import FLIGHT_IN
from jwtauth.verifier.gate import Gate

TOP = Path(__file__).parents[2]
TEXT = (TOP / "docs" / "verifier.md").read_text(encoding="utf-8")
CLOCKS = {"self", "now", "monotonic"}
OPTIONS = sorted(
    option for action in proxy._parser()._actions for option in action.option_strings if option not in ("-h", "--help")
)


class TestPage:
    @pytest.mark.parametrize("name", sorted(inspect.signature(Verifier.__init__).parameters.keys() - CLOCKS))
    def test_names_every_parameter_with_its_default(self, name: str) -> None:
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{name}` |")]
        default = inspect.signature(Verifier.__init__).parameters[name].default
        spelt = f'"{default}"' if isinstance(default, str) else str(default)
        assert default is inspect.Parameter.empty or f"| `{spelt}` |" in row

    @pytest.mark.parametrize("name", sorted(inspect.signature(Gate.__init__).parameters.keys() - {"self", "verifier"}))
    def test_shows_every_requirement_of_a_gate(self, name: str) -> None:
        assert re.search(rf"Gate\(\s*verifier, [^)]*\b{name}=", TEXT)

    @pytest.mark.parametrize("name", verifier.__all__)
    def test_names_everything_exported(self, name: str) -> None:
        assert re.search(rf"\b{name}\b", TEXT) or name == "Claims"

    @pytest.mark.parametrize("name", sorted(set(Claims.__struct_fields__) - {"issuer"}))
    def test_names_every_claim(self, name: str) -> None:
        assert f"`{name}`" in TEXT

    @pytest.mark.parametrize("option", OPTIONS)
    def test_names_every_option_of_the_proxy(self, option: str) -> None:
        assert f"`{option}`" in TEXT

    def test_states_the_figures_of_the_code(self) -> None:
        assert f"({status_list.TTL}\nunless the issuer is set otherwise)" in TEXT
        assert f"{FLIGHT_IN} seconds at most" in TEXT
        assert f"{status_cache.MAX_LISTS} lists of {status_list.MAX_LENGTH >> 10} KiB at most" in TEXT
        remembered = f"{proven.REMEMBERED:,} remembered tokens of at most {proven.LONGEST:,} characters"
        assert f"{remembered}, and the hashes of {proven.NOTICED:,} more" in TEXT

    def test_has_code_that_compiles(self) -> None:
        for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
            compile(block, "verifier.md", "exec")

    def test_links_lead_somewhere(self) -> None:
        for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
            assert (TOP / "docs" / target).exists(), target


class TestExamples:
    @pytest.mark.parametrize("name", ["fastapi", "flask"])
    def test_compile(self, name: str) -> None:
        path = TOP / "examples" / f"{name}_resource_server.py"
        compile(path.read_text(encoding="utf-8"), path.name, "exec")

    def test_give_the_command_that_exists(self) -> None:
        """nginx.conf calls the proxy with options that it has, and passes on every header that it sets."""
        text = (TOP / "examples" / "nginx" / "nginx.conf").read_text(encoding="utf-8")
        command, _, _ = text.partition("python3 -m http.server")
        assert set(re.findall(r"--[a-z-]+", command)) <= set(OPTIONS)
        for name in ("Subject", "Client", "Scope", "Authorities"):
            assert f"proxy_set_header X-Auth-{name} ${name.lower()};" in text
