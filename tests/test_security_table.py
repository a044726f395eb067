"""docs/security.md has every attack once; the tests that it names are there, say so, and speak to a live server."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

from msgspec import Struct

TOP: Final = Path(__file__).parents[1]
DOCUMENT: Final = (TOP / "docs" / "security.md").read_text(encoding="utf-8")

GROUPS: Final = {
    "R": 10,
    "Z": 15,
    "P": 14,
    "F": 13,
    "C": 17,
    "A": 12,
    "J": 18,
    "I": 16,
    "B": 17,
    "H": 14,
    "D": 8,
    "S": 16,
    "K": 5,
}
"""How many attacks each group has."""

NOT: Final = "Does not apply: "
"""How the answer to an attack begins where there is nothing that could be attacked so."""

SERVERS: Final = {"LiveServer", "Site", "Service", "running"}
"""What starts a server: a fixture is live where it names one of them or asks for a live fixture."""

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Row(Struct, frozen=True):
    """One attack."""

    id: str
    attack: str
    answer: str
    tests: tuple[str, ...]


class Test(Struct, frozen=True):
    """One test, found in its file."""

    __test__ = False

    name: str
    path: Path
    function: Function
    ids: frozenset[str]
    """The rows that it names: in its name, its docstring, or that of its class."""


def rows() -> list[Row]:
    """The rows of all tables."""
    found = []
    for line in DOCUMENT.splitlines():
        if re.match(r"\| [A-Z]-", line):
            number, attack, answer, tests = (cell.strip() for cell in line.strip("|").split("|"))
            found.append(Row(number, attack, answer, tuple(re.findall(r"`([^`]+)`", tests))))
    return found


ROWS: Final = rows()


@cache
def module(path: Path) -> ast.Module:
    """A file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def ids(definition: Function | ast.ClassDef) -> frozenset[str]:
    """The rows in `test_p_01_02_...` or in a docstring."""
    found = re.findall(r"\b[A-Z]-[0-9]{2}\b", ast.get_docstring(definition) or "")
    for letter, numbers in re.findall(r"_([a-z])((?:_[0-9]{2})+)(?=_)", definition.name):
        found += [f"{letter.upper()}-{number}" for number in numbers.strip("_").split("_")]
    return frozenset(found)


def find(name: str) -> Test | None:
    """The test that is called `path::Class::test` or `path::test`."""
    file, *scopes, test = name.split("::")
    path, body, known = TOP / file, list[ast.stmt](), frozenset[str]()
    if path.exists():
        body = module(path).body
    for scope in scopes:
        classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == scope]
        body = classes[0].body if classes else []
        known |= ids(classes[0]) if classes else frozenset()
    for node in body:
        if isinstance(node, Function) and node.name == test:
            return Test(name, path, node, known | ids(node))
    return None


def arguments(function: Function) -> list[str]:
    """What a test or a fixture asks for."""
    return [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]


@cache
def fixtures(path: Path) -> tuple[tuple[Path, Function], ...]:
    """All that a test in this file can ask for, the nearest first."""
    found = list[tuple[Path, Function]]()
    folders = [folder for folder in path.parents if folder.is_relative_to(TOP / "tests")]
    for file in (path, *(folder / "conftest.py" for folder in folders)):
        for node in ast.walk(module(file)) if file.exists() else ():
            if isinstance(node, Function) and any("fixture" in ast.unparse(one) for one in node.decorator_list):
                found.append((file, node))
    return tuple(found)


def is_served(path: Path, function: Function) -> bool:
    """Whether a server runs for a test in this file, or for a fixture that it asks for."""
    known = [(file, fixture) for file, fixture in fixtures(path) if fixture is not function]
    for name in arguments(function):
        file, asked = next(((file, fixture) for file, fixture in known if fixture.name == name), (path, None))
        if asked is not None and (names(file, asked) & SERVERS or is_served(path, asked)):
            return True
    return False


def is_live(test: Test) -> bool:
    """Whether a server runs for it."""
    return is_served(test.path, test.function)


def named_by(row: Row) -> list[Test]:
    """The tests of a row that are there."""
    return [test for test in map(find, row.tests) if test is not None]


def names(file: Path, function: Function) -> set[str]:
    """Every name in it, and in the functions of its file that it calls."""
    beside = {node.name: node for node in module(file).body if isinstance(node, Function) and node is not function}
    found, called = set[str](), {function.name: function}
    while called:
        found |= {node.id for one in called.values() for node in ast.walk(one) if isinstance(node, ast.Name)}
        called = {name: beside.pop(name) for name in found & beside.keys()}
    return found


class TestTheTable:
    def test_has_every_attack_exactly_once(self) -> None:
        expected = [f"{group}-{number:02}" for group, count in GROUPS.items() for number in range(1, count + 1)]
        assert [row.id for row in ROWS] == expected

    def test_says_what_is_done(self) -> None:
        assert [row.id for row in ROWS if not row.attack or not row.answer.removeprefix(NOT)] == []

    def test_names_tests_that_exist(self) -> None:
        assert [name for row in ROWS for name in row.tests if find(name) is None] == []

    def test_names_tests_that_name_the_row(self) -> None:
        """In their name, their docstring, or the docstring of their class."""
        assert [(row.id, test.name) for row in ROWS for test in named_by(row) if row.id not in test.ids] == []

    def test_names_a_test_over_http_for_each_attack_that_applies(self) -> None:
        silent = [row.id for row in ROWS if not row.answer.startswith(NOT) and not any(map(is_live, named_by(row)))]
        assert silent == []

    def test_says_of_few_attacks_that_they_do_not_apply(self) -> None:
        """And those are about client assertions, pushed requests, registration, and what is not there at all."""
        idle = {row.id for row in ROWS if row.answer.startswith(NOT)}
        assert {number for number in idle if number[0] not in "AK"} == {"B-16", "C-17", "F-13"}


class TestLiveServers:
    """The rules of this module tell servers from none."""

    def test_are_told_by_the_fixtures(self) -> None:
        over_http = find("tests/attacks/test_account.py::TestWithdrawing::test_f_12_a_new_password_is_the_only_one")
        in_process = find("tests/endpoints/test_redeem.py::TestACode::test_p_10_lives_a_minute")
        assert over_http is not None
        assert in_process is not None
        assert is_live(over_http)
        assert not is_live(in_process)

    def test_are_not_found_in_what_is_not_there(self) -> None:
        assert find("tests/test_security_table.py::TestNothing::test_nothing") is None
        assert find("tests/test_nothing.py::test_nothing") is None
