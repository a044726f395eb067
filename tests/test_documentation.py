"""Everything that can be set, called or answered is in the documentation, and what the README prints works."""

import inspect
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jwtauth import errors, settings
from jwtauth.cli.commands import root
from jwtauth.dialects.registry import DIALECTS, NAMES
from jwtauth.errors import OAuthError
from jwtauth.settings import Settings
from jwtauth.web import status
from jwtauth.web.publications import PUBLICATIONS

TOP = Path(__file__).parents[1]
README = (TOP / "README.md").read_text(encoding="utf-8")
CODES = sorted({error.code for _, error in inspect.getmembers(errors, inspect.isclass) if hasattr(error, "code")})


def paths(dialect: str) -> list[str]:
    """Where a dialect is spoken to, by machines and by people."""
    spoken = DIALECTS[dialect]
    return [endpoint.path for endpoint in spoken.endpoints] + [page.path for page in spoken.pages]


PATHS = paths("standard")


def own_paths(dialect: str) -> list[str]:
    """The paths that a dialect adds."""
    return [path for path in paths(dialect) if path not in PATHS]


def document(name: str) -> str:
    return (TOP / "docs" / name).read_text(encoding="utf-8")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


class TestDocumentation:
    @pytest.mark.parametrize("name", Settings.__struct_fields__)
    def test_names_every_setting_with_its_default(self, name: str) -> None:
        (row,) = [line for line in document("settings.md").splitlines() if line.startswith(f"| `{name}` |")]
        default = getattr(Settings(), name)
        assert (f"`{default}`" if default != () else "(none)") in row

    @pytest.mark.parametrize("path", [*PATHS, *(publication.path for publication in PUBLICATIONS), status.PATH])
    def test_names_every_endpoint_and_page(self, path: str) -> None:
        assert f"| `{path}` |" in document("endpoints.md")

    @pytest.mark.parametrize(("dialect", "path"), [(name, path) for name in NAMES for path in own_paths(name)])
    def test_names_every_path_of_a_dialect(self, dialect: str, path: str) -> None:
        text = document(f"migrating/{dialect}.md")
        assert any(spelt in text for spelt in (path, f"/oauth-server{path}", path.removeprefix("/oauth-server")))

    @pytest.mark.parametrize("code", CODES)
    def test_names_every_error_code(self, code: str) -> None:
        assert f"| `{code}` |" in document("endpoints.md")

    @pytest.mark.parametrize("command", commands(root), ids=" ".join)
    def test_names_every_command(self, command: tuple[str, ...]) -> None:
        assert f"`jwtauth {' '.join(command)}" in document("cli.md")

    def test_refusals_are_all_registered_codes(self) -> None:
        assert all(
            issubclass(kind, OAuthError)
            for _, kind in inspect.getmembers(errors, inspect.isclass)
            if hasattr(kind, "code")
        )


def commands_of(section: str) -> list[list[str]]:
    """The commands that a section of the README prints."""
    (block,) = re.findall(rf"## {section}\n[^#]*?```sh\n(.*?)```", README, re.DOTALL)
    return [shlex.split(line, comments=True) for line in block.strip().splitlines()]


def run(folder: Path, section: str) -> None:
    """Run them in their order, all but the one that goes on for ever."""
    for program, *arguments in commands_of(section):
        assert program == "jwtauth"
        if arguments[0] != "serve":
            typed = "a long password\na long password\n" if arguments[:2] == ["user", "create"] else None
            done = CliRunner().invoke(root, ["--folder", str(folder), *arguments], input=typed)
            assert done.exit_code == 0, f"{arguments}: {done.output}"


class TestReadme:
    def test_links_lead_somewhere(self) -> None:
        for target in re.findall(r"\]\(([^)#]+)\)", README):
            assert (TOP / target).exists(), target

    def test_has_one_line_to_run_and_one_line_to_test(self) -> None:
        for mark in ("run", "tests"):
            (block,) = re.findall(rf"<!-- {mark} -->\n```sh\n(.*?)```", README, re.DOTALL)
            assert len(block.strip().splitlines()) == 1

    def test_python_example_is_valid(self) -> None:
        for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL):
            compile(block, "README.md", "exec")

    def test_commands_for_real_use_work_in_the_printed_order(self, tmp_path: Path) -> None:
        assert [words for words in commands_of("Run it for real") if "serve" in words]
        run(tmp_path, "Run it for real")

    def test_commands_to_sign_people_in_work_after_them(self, tmp_path: Path) -> None:
        run(tmp_path, "Run it for real")
        run(tmp_path, "Sign people in")

    def test_settings_example_is_accepted(self, tmp_path: Path) -> None:
        (block,) = re.findall(r"```toml\n(.*?)```", document("settings.md"), re.DOTALL)
        (tmp_path / settings.FILE_NAME).write_text(block, encoding="utf-8")
        assert settings.load(tmp_path, {}).settings.issuer == tomllib.loads(block)["issuer"]
