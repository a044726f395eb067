"""`jwtauth audit`, and what of an operator's work is in it."""

import getpass
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from jwtauth.observe import audit, audit_chain
from jwtauth.settings import Source
from tests.cli.conftest import Run

Read = Callable[..., Any]


@pytest.fixture
def folder_of_log(source: Source, run: Run) -> Path:
    assert run("init").exit_code == 0
    folder = source.audit
    assert folder is not None
    return folder


class TestCommands:
    @pytest.mark.parametrize(
        ("commands", "name"),
        [
            ([], "realm.created"),
            ([("client", "create", "portal")], "client.created"),
            ([("client", "create", "portal"), ("client", "disable", "portal")], "client.disabled"),
            ([("client", "create", "portal"), ("client", "secret", "rotate", "portal")], "client.secrets_replaced"),
            ([("user", "create", "ada", "--password-stdin")], "user.created"),
            ([("realm", "create", "plant")], "realm.created"),
            ([("keys", "rotate")], "key.rotated"),
            ([("keys", "rotate", "--secret")], "secret.rotated"),
            ([("keys", "prune")], "keys.pruned"),
            ([("user", "create", "ada", "--password-stdin"), ("user", "sign-out", "ada")], "session.ended"),
        ],
    )
    def test_that_change_something_are_written_down_with_who_typed_them(
        self, run: Run, folder_of_log: Path, commands: list[tuple[str, ...]], name: str
    ) -> None:
        for command in commands:
            result = run(*command, text="a long enough password\n")
            assert result.exit_code == 0, result.output
        last = list(audit_chain.entries(folder_of_log))[-1]
        assert (last["name"], last["operator"]) == (name, getpass.getuser())

    @pytest.mark.parametrize(
        ("make", "name"), [("refresh_token_of", "grant.ended"), ("access_token_of", "token.revoked")]
    )
    def test_that_revoke_a_token_are_written_down_once(
        self, request: pytest.FixtureRequest, run: Run, source: Source, make: str, name: str
    ) -> None:
        grant = request.getfixturevalue("start_grant")()
        token = request.getfixturevalue(make)(grant)
        for _ in range(2):
            assert run("token", "revoke", "-", text=token).exit_code == 0
        assert source.audit is not None
        (told,) = [entry for entry in audit_chain.entries(source.audit) if entry["name"] == name]
        assert told["operator"] == getpass.getuser()
        assert token not in str(told)

    def test_that_only_look_leave_nothing(self, run: Run, folder_of_log: Path) -> None:
        before = audit_chain.verify(folder_of_log).lines
        for command in (("client", "list"), ("keys", "list"), ("stats",), ("audit", "verify"), ("audit", "show")):
            assert run(*command).exit_code == 0
        assert audit_chain.verify(folder_of_log).lines == before

    def test_that_fail_leave_nothing(self, run: Run, folder_of_log: Path) -> None:
        run("client", "create", "portal")
        before = audit_chain.verify(folder_of_log).lines
        assert run("client", "create", "portal").exit_code == 1
        assert audit_chain.verify(folder_of_log).lines == before

    def test_change_nothing_where_it_cannot_be_written_down(self, run: Run, read: Read, folder_of_log: Path) -> None:
        for path in folder_of_log.iterdir():
            path.unlink()
        folder_of_log.rmdir()
        folder_of_log.write_text("no folder")
        before = read("keys", "list")
        for command in (("client", "create", "portal"), ("keys", "rotate"), ("keys", "rotate", "--secret")):
            result = run(*command)
            assert result.exit_code == 1
            assert "audit log" in result.output
        assert read("client", "list") == []
        assert read("keys", "list") == before

    def test_say_that_the_line_is_missing_where_the_disk_is_full(
        self, run: Run, read: Read, folder_of_log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(ENOSPC, "No space left on device")

        monkeypatch.setattr(audit, "_add", full)
        result = run("client", "create", "portal")
        assert result.exit_code == 1
        assert "is not in the audit log: No space left on device" in result.output

    def test_write_no_log_where_there_is_to_be_none(self, run: Run, folder: Path) -> None:
        with (folder / "jwtauth.toml").open("a") as file:
            file.write('audit = ""\n')
        assert run("init").exit_code == 0
        assert not (folder / "audit").exists()
        assert "there is no audit log" in run("audit", "verify").output


class TestVerify:
    def test_finds_a_log_whole_and_prints_its_head(self, read: Read, folder_of_log: Path) -> None:
        chain = read("audit", "verify")
        assert chain["is_whole"] is True
        assert chain["head"] == audit_chain.verify(folder_of_log).head

    def test_ends_with_1_where_somebody_touched_it(self, run: Run, folder_of_log: Path) -> None:
        run("client", "create", "portal")
        path = audit_chain.files(folder_of_log)[0]
        path.write_text(path.read_text().replace("realm.created", "realm.deleted"))
        result = run("audit", "verify")
        assert result.exit_code == 1
        assert "000001.jsonl line 2" in result.output
        assert "BROKEN" in result.output

    def test_finds_a_head_that_was_noted(self, run: Run, read: Read, folder_of_log: Path) -> None:
        noted = read("audit", "verify")["head"]
        run("client", "create", "portal")
        assert read("audit", "verify", "--noted", noted)["is_whole"] is True
        path = audit_chain.files(folder_of_log)[0]
        path.write_text(path.read_text().splitlines(keepends=True)[-1])
        assert run("audit", "verify", "--noted", noted).exit_code == 1


class TestShow:
    def test_chooses_by_what_is_asked(self, read: Read, run: Run, folder_of_log: Path) -> None:
        run("client", "create", "portal")
        run("client", "create", "other")
        assert [entry["name"] for entry in read("audit", "show", "--client", "portal")] == ["client.created"]
        assert len(read("audit", "show", "--name", "client.")) == 2
        assert len(read("audit", "show", "--last", "1")) == 1
        assert read("audit", "show", "--since", "99999999999") == []

    def test_prints_a_line_per_event(self, run: Run, folder_of_log: Path) -> None:
        run("client", "create", "portal")
        line = run("audit", "show", "--client", "portal").output
        assert "client.created client_id='portal'" in line
        assert "previous" not in line
