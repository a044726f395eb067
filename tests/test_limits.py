"""Every bound is in docs/limits.md with its value, and every name there is a bound."""

import ast
import importlib
import re
from pathlib import Path
from typing import Final

import pytest

from jwtauth.settings import Settings

TOP: Final = Path(__file__).parents[1]
ROWS: Final = re.findall(
    r"^\| [^|]+ \| `([\w.]+)` \| ([0-9.]+) \| [^|]*\|$", (TOP / "docs" / "limits.md").read_text(encoding="utf-8"), re.M
)
DOCUMENTED: Final = {name for name, _ in ROWS}

BOUND: Final = re.compile(
    r"(MAX|MOST|LONGEST|LARGEST|REMEMBERED|WAITING|BACKLOG|BATCH|BITE|BUCKETS|STATEMENTS|ATTEMPTS|AT_ONCE|OF_ONE"
    r"|TURNED_AWAY|RESERVED|PER_SECOND)(_\w+)?|\w+_TIMEOUT"
)
"""What the name of a bound looks like."""

OPERATORS: Final = (
    "jwtauth.cli",
    "jwtauth.outside.probe",  # `jwtauth doctor` asks
    "jwtauth.protocol.registration",  # what may be registered
    "jwtauth.protocol.upstream",
    "jwtauth.store.sqlite.backups",
    "jwtauth.keyring.folder",
)
"""Where bounds are on what operators do, not on what strangers can."""

ELSEWHERE: Final = {
    "jwtauth.issuer.issuer.LONGEST_STORY_IN",  # how long a restored database is waited for
    "jwtauth.protocol.external_token.REMEMBERED_IN",  # for how long, not how much
    "jwtauth.protocol.status_list.MAX_LENGTH",  # of a list: part of its format
    "jwtauth.verifier.events.LONGEST_RETRY_IN",
    "jwtauth.verifier.jwks.LONGEST_IN",
    "jwtauth.web.cors.MAX_AGE_IN",  # a header's value
}
"""What only looks like a bound."""

MODULES: Final = {
    ".".join(path.relative_to(TOP).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((TOP / "jwtauth").rglob("*.py"))
}


def constants(tree: ast.Module) -> list[str]:
    """Public constants whose names are those of bounds."""
    assigned = [node for node in tree.body if isinstance(node, ast.AnnAssign | ast.Assign)]
    targets = [node.target if isinstance(node, ast.AnnAssign) else node.targets[0] for node in assigned]
    return [target.id for target in targets if isinstance(target, ast.Name) and BOUND.fullmatch(target.id)]


def caches(tree: ast.Module) -> list[tuple[str, str]]:
    """Functions that remember what they returned, and how."""
    return [
        (node.name, ast.unparse(decorator))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if "cache" in ast.unparse(decorator) and "property" not in ast.unparse(decorator)
    ]


def is_for_strangers(name: str) -> bool:
    return not any(f"{name}.".startswith(f"{module}.") for module in OPERATORS) and name not in ELSEWHERE


class TestTheTable:
    @pytest.mark.parametrize(("name", "value"), ROWS)
    def test_says_what_is_so(self, name: str, value: str) -> None:
        module, _, member = name.rpartition(".")
        found = getattr(importlib.import_module(module) if module else Settings(), member)
        bound = found.cache_parameters()["maxsize"] if hasattr(found, "cache_parameters") else found
        assert bound == float(value)

    @pytest.mark.parametrize("module", MODULES)
    def test_names_every_constant_that_is_a_bound(self, module: str) -> None:
        names = {f"{module}.{name}" for name in constants(MODULES[module])}
        assert {name for name in names if is_for_strangers(name)} <= DOCUMENTED

    @pytest.mark.parametrize("module", MODULES)
    def test_names_every_cache_and_none_is_without_bound(self, module: str) -> None:
        found = caches(MODULES[module])
        assert [cache for _, cache in found if not re.fullmatch(r"lru_cache\(maxsize=[1-9][0-9]*\)", cache)] == []
        names = {f"{module}.{name}" for name, cache in found if cache != "lru_cache(maxsize=1)"}
        assert {name for name in names if is_for_strangers(name)} <= DOCUMENTED

    def test_has_all_that_bounds_requests_among_the_settings(self) -> None:
        bounds = {name for name in Settings.__struct_fields__ if re.match(r"max_(body|conn)|password_|body_", name)}
        assert bounds <= DOCUMENTED

    def test_can_be_read(self) -> None:
        assert len(ROWS) > 80
