"""A dialect more takes one file and one line: nothing else in the service knows any of them by name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

import jwtauth
from jwtauth.dialects.dialect import STANDARD_NAME
from jwtauth.dialects.registry import DIALECTS
from tests.dialects import toy
from tests.dialects.in_thread import serving
from tests.support.home import PASSWORD, SECRET, Home
from tests.web.site import basic

TOP: Final = Path(__file__).parents[2]
CLERK: Final = ("clerk", SECRET)
STRICT: Final = ("service", SECRET)
BOUGHT: Final = {"want": "password", "who": "ada", "pass": PASSWORD}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A realm that speaks the toy dialect beside a strict one."""
    home = Home(tmp_path_factory.mktemp("toys"))
    realm = home.realm("toys", dialect=toy.NAME, **toy.DIALECT.realm)
    home.client("clerk", realm=realm)
    home.client("service")
    home.user("ada", roles={"toys": (), "default": ()})
    return home


@pytest.fixture(scope="module")
def http(home: Home) -> Iterator[httpx.Client]:
    """An HTTP client of the service, which speaks one dialect more than it ships."""
    with serving(home, {**DIALECTS, toy.NAME: toy.DIALECT}) as url, httpx.Client(base_url=url, verify=False) as http:
        yield http


def buy(http: httpx.Client, form: dict[str, str], auth: tuple[str, str] = CLERK) -> httpx.Response:
    return http.post("/toy/tickets", data=form, headers={"authorization": basic(*auth)})


def bought(http: httpx.Client) -> dict[str, Any]:
    response = buy(http, BOUGHT)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


class TestAFifthDialect:
    def test_has_paths_and_members_of_its_own(self, http: httpx.Client) -> None:
        found = bought(http)
        assert sorted(found) == ["lives", "next", "ticket"]
        assert found["lives"] == 77

    def test_hears_parameters_by_other_names(self, http: httpx.Client) -> None:
        again = buy(http, {"want": "refresh_token", "again": bought(http)["next"], "for": "read"})
        assert (again.status_code, sorted(again.json())) == (200, ["lives", "next", "ticket"])

    def test_hears_them_in_the_query_where_it_says_so(self, http: httpx.Client) -> None:
        response = http.post("/toy/tickets", params=BOUGHT, headers={"authorization": basic(*CLERK)})
        assert response.status_code == 200

    def test_refuses_in_its_own_way(self, http: httpx.Client) -> None:
        for response, kind, status in (
            (buy(http, {**BOUGHT, "pass": "wrong"}), "invalid_grant", 400),
            (buy(http, BOUGHT, ("clerk", "wrong")), "invalid_client", 401),
            (buy(http, {"want": "nothing"}), "unsupported_grant_type", 400),
            (http.get("/toy/tickets"), "invalid_request", 405),
        ):
            assert response.status_code == 418
            problem = response.json()["problem"]
            assert (problem["kind"], problem["was"]) == (kind, status)

    def test_knows_the_holder_of_its_own_tokens_only(self, http: httpx.Client) -> None:
        assert self.holder(http, bought(http)["ticket"]).json() == {"who": "ada"}
        form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
        foreign = http.post("/oauth/token", data=form, headers={"authorization": basic(*STRICT)})
        assert self.holder(http, foreign.json()["access_token"]).status_code == 418

    def test_is_deprecated_and_described_as_such(self, http: httpx.Client) -> None:
        assert buy(http, BOUGHT).headers["deprecation"] == "@1735689600"
        described = http.get("/openapi.json").json()["paths"]
        assert described["/toy/tickets"]["post"]["deprecated"] is True
        assert "/oauth/tokenize" not in described

    def test_is_not_there_for_clients_of_other_realms(self, http: httpx.Client) -> None:
        assert buy(http, BOUGHT, STRICT).json()["problem"]["was"] == 401

    def test_leaves_the_standard_to_its_own_clients_too(self, http: httpx.Client) -> None:
        for auth in (CLERK, STRICT):
            response = http.post(
                "/oauth/token", data={"grant_type": "client_credentials"}, headers={"authorization": basic(*auth)}
            )
            assert sorted(response.json()) == ["access_token", "expires_in", "scope", "token_type"]

    def test_is_not_there_where_it_is_not_installed(self, home: Home) -> None:
        with serving(home) as url:
            assert httpx.post(f"{url}/toy/tickets", data=BOUGHT, verify=False).status_code == 404

    def holder(self, http: httpx.Client, ticket: str) -> httpx.Response:
        return http.get("/toy/holder", headers={"authorization": f"Bearer {ticket}"})


class TestNothingElse:
    NAMES: Final = re.compile("|".join({*DIALECTS, toy.NAME} - {STANDARD_NAME}), re.IGNORECASE)
    HASHES: Final = "legacy_hashes.py"
    """Hash formats are called after the systems that they come from, whatever a realm speaks."""

    def test_knows_a_dialect_by_name(self) -> None:
        root = Path(jwtauth.__file__).parent
        modules = [
            path for path in root.rglob("*.py") if "dialects" not in path.parts[-2:-1] and path.name != self.HASHES
        ]
        assert len(modules) > 100
        told = {str(path.relative_to(root)): [*self.mentions(path)] for path in modules}
        assert {name: found for name, found in told.items() if found} == {}

    def test_is_what_this_test_would_notice(self) -> None:
        assert [*self.mentions(Path(toy.__file__))]

    def mentions(self, path: Path) -> Iterator[str]:
        """Where the code of a module says a dialect's name; the examples that commands print do not count."""
        tree = ast.parse(path.read_text(encoding="utf-8"))
        printed = {id(text) for call in ast.walk(tree) if _is_example(call) for text in ast.walk(call)}
        for node in ast.walk(tree):
            if id(node) not in printed:
                yield from (text for text in _texts(node) if self.NAMES.search(text))


def _is_example(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "example"


def _texts(node: ast.AST) -> list[str]:
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
            return [name]
        case ast.ImportFrom(module=str(module)):
            return [module]
        case ast.alias(name=name):
            return [name]
        case _:
            return []


class TestTheManual:
    TEXT: Final = (TOP / "docs" / "dialects.md").read_text(encoding="utf-8")

    def test_shows_the_dialect_that_is_tested_here(self) -> None:
        assert f"```python\n{Path(toy.__file__).read_text(encoding='utf-8')}```" in self.TEXT

    @pytest.mark.parametrize("name", [name for name in DIALECTS if name != STANDARD_NAME])
    def test_names_every_dialect(self, name: str) -> None:
        assert f"migrating/{name}.md" in self.TEXT
