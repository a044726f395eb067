"""`jwtauth audit`, and what of an operator's work is in it."""

import getpass
import json
import re
import shutil
from base64 import urlsafe_b64decode
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from jwtauth.issuer import assembly
from jwtauth.observe import audit, audit_chain
from jwtauth.observe.audit import AuditLog
from jwtauth.observe.events import Event
from jwtauth.settings import Source, load
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
            ([], "key.created"),
            ([("client", "create", "portal")], "client.created"),
            ([("client", "create", "portal"), ("client", "disable", "portal")], "client.disabled"),
            ([("client", "create", "portal"), ("client", "secret", "rotate", "portal")], "client.secrets_replaced"),
            ([("user", "create", "ada", "--password-stdin")], "user.created"),
            ([("realm", "create", "plant")], "realm.created"),
            ([("keys", "rotate")], "key.rotated"),
            ([("keys", "rotate", "--secret")], "secret.rotated"),
            ([("keys", "prune")], "keys.pruned"),
            ([("user", "create", "ada", "--password-stdin"), ("user", "sign-out", "ada")], "session.ended"),
            ([("user", "create", "ada", "--password-stdin"), ("user", "unlock", "ada")], "user.unlocked"),
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

    @pytest.mark.parametrize(
        ("command", "reason"),
        [
            (
                ("client", "change", "portal", "--redirect-uri", "https://a.example/back?to=1", "--scope", "read"),
                "realm default: scope, redirect_uris https://a.example/back",
            ),
            (("client", "change", "portal", "--scope", "write"), "realm default: scope"),
            (
                ("realm", "change", "default", "--access-token-in", "600", "--role", "reader"),
                "realm default: roles, access_token_in",
            ),
            (("user", "change", "ada", "--claim", "email=new@example.com", "--no-password"), "password, profile"),
            (("user", "change", "ada", "--username", "bea"), "username"),
        ],
    )
    def test_that_change_settings_say_which_and_no_secret_or_personal_value(
        self, run: Run, folder_of_log: Path, command: tuple[str, ...], reason: str
    ) -> None:
        run("client", "create", "portal", "--redirect-uri", "https://a.example/old")
        run("user", "create", "ada", "--password-stdin", text="a long enough password\n")
        result = run(*command)
        assert result.exit_code == 0, result.output
        last = list(audit_chain.entries(folder_of_log))[-1]
        assert last["name"] == f"{command[0]}.changed"
        assert last["reason"] == reason
        assert "example.com" not in str(last)
        assert "bea" not in str(last)

    @pytest.mark.parametrize(
        "command",
        [
            ("keys", "rotate"),
            ("keys", "rotate", "--secret"),
            ("keys", "rotate", "--now", "--yes"),
            ("keys", "prune"),
            ("keys", "create", "--algorithm", "EdDSA"),
        ],
    )
    def test_on_keys_are_told_in_words_and_dates(self, run: Run, folder_of_log: Path, command: tuple[str, ...]) -> None:
        result = run(*command)
        assert result.exit_code == 0, result.output
        reason = list(audit_chain.entries(folder_of_log))[-1]["reason"]
        assert reason
        assert not re.search(r"None|\[|\d{10}|_at\b", reason), reason

    def test_that_revoke_by_token_name_its_client(
        self, request: pytest.FixtureRequest, run: Run, source: Source
    ) -> None:
        token = request.getfixturevalue("access_token_of")(request.getfixturevalue("start_grant")())
        assert run("revoke", "--token", token, "--yes").exit_code == 0
        assert source.audit is not None
        (told,) = [entry for entry in audit_chain.entries(source.audit) if entry["name"] == "tokens.revoked"]
        assert told["client_id"] == json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))["client_id"]

    def test_that_revoke_by_time_say_it_in_dates(self, run: Run, folder_of_log: Path) -> None:
        assert run("revoke", "--issued-between", "2026-01-01T00:00:00Z", "now", "--yes").exit_code == 0
        assert "from 2026-01-01T00:00:00Z" in list(audit_chain.entries(folder_of_log))[-1]["reason"]

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


class TestKeeping:
    @pytest.mark.parametrize("begin", ["a command", "the service"])
    def test_removes_old_files_as_the_setting_says(
        self, folder: Path, source: Source, run: Run, monkeypatch: pytest.MonkeyPatch, begin: str
    ) -> None:
        assert run("init").exit_code == 0
        assert source.audit is not None
        shutil.rmtree(source.audit)
        old = AuditLog(source.audit)
        old.hear(Event(name="grant.started", at=1_000))
        old.close()
        monkeypatch.setattr(audit, "FILE_SIZE", 1)
        with (folder / "jwtauth.toml").open("a") as file:
            file.write("audit_keep_in = 86400\n")
        if begin == "a command":
            assert run("client", "create", "portal").exit_code == 0
        else:
            issuer = assembly.open_issuer(load(folder, {}))
            issuer.tell(Event(name="grant.started", at=issuer.now()))
            issuer.close()
        assert [path.name for path in audit_chain.files(source.audit)] == ["000002.jsonl"]
        assert run("audit", "verify").exit_code == 0


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

    def test_says_that_older_files_were_taken_away(
        self, run: Run, folder_of_log: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit, "FILE_SIZE", 1)
        noted = audit_chain.verify(folder_of_log).head
        run("client", "create", "portal")
        audit_chain.files(folder_of_log)[0].unlink()
        lost = run("audit", "verify", "--noted", noted)
        assert (lost.exit_code, "it may have been in the files that were taken away" in lost.stderr) == (1, True)
        result = run("audit", "verify")
        assert result.exit_code == 0
        assert "the chain begins in 000002.jsonl: older files were taken away" in result.stderr

    def test_finds_a_folder_broken_that_is_gone_with_a_head_that_was_noted(
        self, run: Run, read: Read, folder_of_log: Path
    ) -> None:
        noted = read("audit", "verify")["head"]
        shutil.rmtree(folder_of_log)
        result = run("audit", "verify", "--noted", noted)
        assert (result.exit_code, "BROKEN" in result.output) == (1, True)
        assert "nothing was decided here" in run("audit", "verify").output

    def test_says_what_torn_means(self, run: Run) -> None:
        assert "torn lines were cut" in run("audit", "verify", "--help").output.lower()


class TestShow:
    def test_chooses_by_what_is_asked(self, read: Read, run: Run, folder_of_log: Path) -> None:
        run("client", "create", "portal")
        run("client", "create", "other")
        assert [entry["name"] for entry in read("audit", "show", "--client", "portal")] == ["client.created"]
        assert len(read("audit", "show", "--name", "client.")) == 2
        assert len(read("audit", "show", "--last", "1")) == 1
        assert read("audit", "show", "--since", "99999999999") == []

    @pytest.mark.parametrize(
        ("since", "count"),
        [
            ("2h", 1),
            ("2000-01-01", 1),
            ("2000-01-01T00:00:00+02:00", 1),
            ("2999-12-31", 0),
            ("2999-12-31T00:00:00Z", 0),
        ],
    )
    def test_begins_at_an_instant_however_it_is_told(
        self, read: Read, folder_of_log: Path, since: str, count: int
    ) -> None:
        assert len(read("audit", "show", "--name", "realm.created", "--since", since)) == count

    def test_knows_people_by_name_and_number(self, read: Read, run: Run, folder_of_log: Path) -> None:
        for name in ("ada", "eve"):
            run("user", "create", name, "--no-password")
        uid = read("user", "show", "eve")["id"]
        for user in ("eve", str(uid)):
            assert [entry["uid"] for entry in read("audit", "show", "--user", user)] == [uid]
        assert "there is no user bob" in run("audit", "show", "--user", "bob").output

    def test_refuses_what_is_no_instant(self, run: Run, folder_of_log: Path) -> None:
        assert run("audit", "show", "--since", "yesterday").exit_code == 2

    def test_prints_a_line_per_event(self, run: Run, folder_of_log: Path) -> None:
        run("client", "create", "portal")
        line = run("audit", "show", "--client", "portal").output
        assert "client.created client_id='portal'" in line
        assert "previous" not in line
