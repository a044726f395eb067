"""What all commands have in common: help, examples, JSON, exit codes, and how little they load."""

import importlib.util
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import jwtauth.cli
from jwtauth.cli.commands import COMMANDS, root
from jwtauth.cli.options import REFERENCE
from jwtauth.settings import Source

LONG_RUNNING = ("serve", "dev")


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command and group below, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, (*path, name))


ALL = [pytest.param(path, command, id=" ".join(path) or "jwtauth") for path, command in commands(root)]


class TestEveryCommand:
    @pytest.mark.parametrize(("path", "command"), ALL)
    def test_shows_an_example_that_calls_it(self, path: tuple[str, ...], command: click.Command) -> None:
        result = CliRunner().invoke(root, [*path, "--help"], prog_name="jwtauth")
        assert result.exit_code == 0
        _, heading, examples = result.stdout.partition("Example:\n")
        lines = [line.strip() for line in examples.splitlines() if line.strip()]
        assert heading
        assert lines
        for line in lines:
            assert line.startswith("jwtauth ")
            assert all(word in line.split() for word in path)

    @pytest.mark.parametrize(("path", "command"), ALL)
    def test_explains_itself_and_its_options(self, path: tuple[str, ...], command: click.Command) -> None:
        assert command.help
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, option.name

    @pytest.mark.parametrize(("path", "command"), ALL)
    def test_can_print_json(self, path: tuple[str, ...], command: click.Command) -> None:
        if isinstance(command, click.Group) or path[0] in LONG_RUNNING:
            return
        assert "--json" in [flag for option in command.params for flag in option.opts]

    @pytest.mark.parametrize(("path", "command"), ALL)
    def test_takes_no_password_or_secret_as_an_argument(self, path: tuple[str, ...], command: click.Command) -> None:
        for option in command.params:
            is_flag = isinstance(option, click.Option) and option.is_flag
            is_harmless = is_flag or option.metavar == REFERENCE
            words = {word for flag in option.opts for word in flag.split("-")}
            assert is_harmless or not {"password", "secret"} & words

    @pytest.mark.parametrize("secret", ["a-real-secret", "FILE:/path", "file", "https://secret.example"])
    def test_refuses_a_secret_where_it_asks_for_a_reference_and_does_not_repeat_it(
        self, service: Callable[..., Result], secret: str
    ) -> None:
        result = service("realm", "change", "default", "--upstream-client-secret", secret)
        assert result.exit_code == 2
        assert "never the secret itself" in result.stderr
        assert secret not in result.stderr.replace("file:PATH", "")


class TestExitCodes:
    def test_are_1_and_one_line_for_what_an_operator_can_mend(self, refused: Callable[..., str]) -> None:
        assert "does not exist; run `jwtauth init`" in refused("client", "list")

    def test_are_1_for_a_setting_that_is_unknown(self, folder: Path, refused: Callable[..., str]) -> None:
        (folder / "jwtauth.toml").write_text("isuer = 'https://example.com'")
        assert "did you mean issuer?" in refused("keys", "list")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["nonsense"],
            ["keys", "nonsense"],
            ["keys", "rotate", "--nonsense"],
            ["keys", "create", "--algorithm", "none"],
            ["keys", "rotate", "--secret", "--algorithm", "ES256"],
            ["realm", "change", "default"],
            ["client", "change", "portal"],
            ["client", "create", "portal", "--public", "--secret-stdin"],
            ["client", "create", "portal", "--public", "--auth-method", "client_secret_post"],
            ["user", "change", "alice"],
            ["user", "create", "alice", "--role", "editor"],
            ["user", "create", "alice", "--no-password", "--password-stdin"],
            ["user", "change", "alice", "--password-prompt", "--password-stdin"],
        ],
    )
    def test_are_2_for_a_usage_error(self, service: Callable[..., Result], arguments: list[str]) -> None:
        result = service(*arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("Usage: jwtauth")

    def test_are_1_and_one_line_for_a_question_that_was_not_answered(self, people: Callable[..., Result]) -> None:
        for command in (("user", "create", "bob"), ("revoke", "--user", "alice")):
            result = people(*command, text="")
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr.endswith("\njwtauth: the question was not answered; nothing was changed\n")
            assert "Aborted" not in result.stderr

    def test_are_1_and_one_line_while_another_process_holds_the_database(
        self, people: Callable[..., Result], refused: Callable[..., str], source: Source
    ) -> None:
        with closing(sqlite3.connect(source.database, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            said = refused("user", "disable", "alice")
        assert "SQLITE_BUSY; another process holds the database: " in said

    def test_are_2_and_one_line_without_a_terminal_to_ask_at(
        self, service: Callable[..., Result], folder: Path
    ) -> None:
        command = [sys.executable, "-m", "jwtauth", "--folder", str(folder), "user", "create", "bob"]
        ended = subprocess.run(command, input="wonderland\n", capture_output=True, text=True, start_new_session=True)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == (
            "jwtauth: password: there is no terminal to ask at; type it at one, or send it with --password-stdin\n"
        )

    def test_are_2_for_a_folder_that_does_not_exist(self, tmp_path: Path) -> None:
        assert CliRunner().invoke(root, ["--folder", str(tmp_path / "none"), "keys", "list"]).exit_code == 2


class TestFolder:
    def test_comes_from_the_environment(
        self, service: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JWTAUTH_FOLDER", str(folder))
        result = CliRunner().invoke(root, ["keys", "list"])
        assert result.exit_code == 0
        assert "ES256" in result.stdout

    def test_with_broken_settings_does_not_keep_help_from_being_shown(
        self, run: Callable[..., Result], folder: Path
    ) -> None:
        (folder / "jwtauth.toml").write_text("= nonsense")
        assert run("keys", "--help").exit_code == 0


class TestMissingExtra:
    @pytest.mark.parametrize("missing", ["click", "sqlite_utils", "argon2", "litestar"])
    def test_is_one_line_that_says_what_to_install(self, missing: str) -> None:
        program = f"import sys; sys.modules[{missing!r}] = None; import jwtauth.cli; jwtauth.cli.main()"
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert ended.returncode == 2
        assert ended.stdout == ""
        assert ended.stderr == (
            "jwtauth: the command line needs the server's packages; run: pip install 'jwtauth[server]'\n"
        )

    def test_does_not_stop_an_installation_that_has_everything(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(sys, "argv", ["jwtauth", "--version"])
        with pytest.raises(SystemExit) as ended:
            jwtauth.cli.main()
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith("jwtauth")


class TestStart:
    @pytest.mark.parametrize("arguments", [["--help"], ["keys", "list"], ["client", "list"]])
    def test_loads_no_web_framework_where_none_is_needed(
        self, service: Callable[..., Result], folder: Path, arguments: list[str]
    ) -> None:
        program = (
            "import sys\n"
            "from jwtauth.cli.commands import root\n"
            f"root.main({['--folder', str(folder), *arguments]!r}, standalone_mode=False)\n"
            "assert 'jwtauth.cli.commands' in sys.modules\n"
            "assert 'litestar' not in sys.modules and 'uvicorn' not in sys.modules\n"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr

    def test_finds_every_command_that_help_lists(self) -> None:
        listed = CliRunner().invoke(root, ["--help"]).stdout
        for name, lazy in COMMANDS.items():
            assert f"\n  {name} " in listed
            assert importlib.util.find_spec(lazy.target.partition(":")[0]) is not None
