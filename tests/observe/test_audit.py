"""The audit log: one line per event, each vouching for the one before it."""

import json
import os
import subprocess
import sys
from fcntl import LOCK_EX, flock
from functools import partial
from pathlib import Path

import pytest

from jwtauth.errors import ConfigurationError
from jwtauth.observe import audit, audit_chain
from jwtauth.observe.audit import AuditLog
from jwtauth.observe.audit_chain import entries, files, verify
from jwtauth.observe.events import Event
from tests.support import waiting
from tests.support.disk import limited

WITHIN = 20.0
wait_until = partial(waiting.wait_until, within=WITHIN)


def event(number: int) -> Event:
    return Event(name="grant.started", at=1_000 + number, grant_id=number)


def written(folder: Path, count: int, *, first: int = 0, keep_in: int = 0) -> None:
    """Append so many events, down to the disk."""
    log = AuditLog(folder, keep_in=keep_in)
    for number in range(first, first + count):
        log.hear(event(number))
    log.close()


def lines(folder: Path) -> list[str]:
    return [line for path in files(folder) for line in path.read_text().splitlines()]


def has_lines(folder: Path, count: int) -> bool:
    return len(lines(folder)) == count


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


class TestWriting:
    def test_writes_each_event_as_one_line_of_json(self, folder: Path) -> None:
        written(folder, 3)
        assert [json.loads(line)["grant_id"] for line in lines(folder)] == [0, 1, 2]
        assert [entry["name"] for entry in entries(folder)] == ["grant.started"] * 3

    def test_never_begins_a_new_line_for_what_was_sent(self, folder: Path) -> None:
        log = AuditLog(folder)
        log.hear(Event(name="request.refused", at=1, client_id='a\n{"name":"forged","previous":""}\r\n'))
        log.close()
        assert len(lines(folder)) == 1

    def test_is_readable_for_its_owner_only(self, folder: Path) -> None:
        written(folder, 1)
        assert folder.stat().st_mode & 0o777 == 0o700
        assert files(folder)[0].stat().st_mode & 0o777 == 0o600

    def test_d_06_takes_a_line_of_any_length_for_the_last_one(self, folder: Path) -> None:
        log = AuditLog(folder)
        log.hear(Event(name="request.refused", at=1, client_id="\x01" * 60_000))
        log.close()
        written(folder, 1)
        assert verify(folder).damage == ()

    def test_writes_a_text_that_is_no_unicode(self, folder: Path) -> None:
        """Names of files need not be; whoever copies secrets to such a one is written down too."""
        log = AuditLog(folder)
        log.hear(Event(name="secrets.copied", at=1, reason="to \udcff.tar"))
        log.hear(event(1))
        log.close()
        assert [entry["name"] for entry in entries(folder)] == ["secrets.copied", "grant.started"]

    def test_makes_no_file_anew_that_was_taken_away(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "SYNC_IN", 3_600.0)
        log = AuditLog(folder)
        for number in range(2):
            log.hear(event(number))
            wait_until(partial(has_lines, folder, number + 1))
        files(folder)[0].unlink()
        log.close()
        assert files(folder) == []

    def test_goes_on_in_a_new_file_once_one_is_full(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "FILE_SIZE", 200)
        for number in range(6):
            written(folder, 1, first=number)
        assert [path.name for path in files(folder)] == ["000001.jsonl", "000002.jsonl", "000003.jsonl"]
        chain = verify(folder)
        assert (chain.files, chain.lines, chain.damage) == (3, 6, ())

    def test_makes_one_chain_of_several_processes(self, folder: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from tests.observe.test_audit import written;"
            " [written(Path(sys.argv[1]), 40, first=n) for n in range(3)]"
        )
        processes = [subprocess.Popen([sys.executable, "-c", program, str(folder)]) for _ in range(3)]
        assert [process.wait(WITHIN) for process in processes] == [0, 0, 0]
        chain = verify(folder)
        assert (chain.lines, chain.damage, chain.torn) == (360, (), 0)

    def test_says_that_it_cannot_write(self, folder: Path) -> None:
        folder.write_text("a file where the folder should be")
        with pytest.raises(ConfigurationError, match="correct the setting audit"):
            AuditLog(folder)


class TestTampering:
    def test_is_not_found_where_nobody_did(self, folder: Path) -> None:
        written(folder, 20)
        chain = verify(folder)
        assert chain.damage == ()
        assert chain.head == audit_chain.digest(lines(folder)[-1].encode())

    @pytest.mark.parametrize(
        "tamper",
        [
            pytest.param(lambda kept: [*kept[:9], kept[9].replace("started", "ended"), *kept[10:]], id="changed"),
            pytest.param(lambda kept: kept[:9] + kept[10:], id="removed"),
            pytest.param(lambda kept: [*kept[:9], kept[4], *kept[9:]], id="put in"),
            pytest.param(lambda kept: [*kept[:9], kept[10], kept[9], *kept[11:]], id="swapped"),
        ],
    )  # fmt: skip
    def test_is_found_at_the_line_behind_it(self, folder: Path, tamper: object) -> None:
        written(folder, 20)
        kept = lines(folder)
        assert callable(tamper)
        files(folder)[0].write_text("\n".join(tamper(kept)) + "\n")
        assert verify(folder).damage[0].line in (10, 11)

    def test_of_the_end_is_found_by_a_head_that_was_noted(self, folder: Path) -> None:
        written(folder, 20)
        noted = verify(folder).head
        written(folder, 5, first=20)
        assert verify(folder, noted_head=noted).has_noted_head is True
        files(folder)[0].write_text("\n".join(lines(folder)[:19]) + "\n")
        chain = verify(folder, noted_head=noted)
        assert (chain.damage, chain.has_noted_head) == ((), False)

    @pytest.mark.parametrize("put_in", [b'{"previous":"\xff"}', b"\x00\xff", b"[" * 100_000, b"5", b""])
    def test_by_what_is_no_line_of_ours_is_found(self, folder: Path, put_in: bytes) -> None:
        written(folder, 2)
        first, second = (line.encode() for line in lines(folder))
        files(folder)[0].write_bytes(b"\n".join([first, put_in, second, b""]))
        assert [found.line for found in verify(folder).damage] == [3]
        assert [entry["grant_id"] for entry in entries(folder)] == [0, 1]

    def test_of_a_head_in_an_old_file_that_was_taken_away_is_said_too(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit, "FILE_SIZE", 100)
        for number in range(4):
            written(folder, 1, first=number)
        files(folder)[0].unlink()
        assert verify(folder).damage == ()


class TestTheBeginning:
    """The first line of the first file names nothing; later files may be all that is left."""

    def test_is_damaged_where_lines_of_the_first_file_are_gone(self, folder: Path) -> None:
        written(folder, 20)
        files(folder)[0].write_text("\n".join(lines(folder)[5:]) + "\n")
        (found,) = verify(folder).damage
        assert (found.file, found.line) == ("000001.jsonl", 1)

    def test_is_damaged_where_only_a_torn_line_of_it_is_left(self, folder: Path) -> None:
        written(folder, 3)
        kept = lines(folder)
        files(folder)[0].write_text("\n".join([kept[0][:30], *kept[2:]]) + "\n")
        assert verify(folder).damage[0].line == 2

    def test_may_be_torn(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "000001.jsonl").write_text('{"name":"grant.sta')
        written(folder, 2)
        chain = verify(folder)
        assert (chain.lines, chain.torn, chain.damage) == (3, 1, ())

    def test_is_told_where_old_files_were_taken_away(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "FILE_SIZE", 100)
        for number in range(4):
            written(folder, 1, first=number)
        assert verify(folder).begins_in is None
        for path in files(folder)[:2]:
            path.unlink()
        chain = verify(folder)
        assert (chain.begins_in, chain.damage) == ("000003.jsonl", ())


class TestKeeping:
    """Whole files whose newest line is too old are removed when a new one begins, the oldest first."""

    def test_is_for_ever_unless_told(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "FILE_SIZE", 1)
        for number in (0, 100_000_000, 200_000_000):
            written(folder, 1, first=number)
        assert len(files(folder)) == 3

    @pytest.mark.parametrize(("keep_in", "left"), [(1, 1), (49, 1), (50, 2), (149, 2), (150, 3)])
    def test_ends_with_the_newest_line_of_a_file(
        self, folder: Path, keep_in: int, left: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit, "FILE_SIZE", 1)
        for number in (0, 100, 150):
            written(folder, 1, first=number, keep_in=keep_in)
        assert [path.name for path in files(folder)] == [f"00000{4 - n}.jsonl" for n in range(left, 0, -1)]
        assert verify(folder).damage == ()
        written(folder, 1, first=151, keep_in=1_000)
        assert verify(folder).damage == ()

    def test_removes_nothing_while_a_file_goes_on(self, folder: Path) -> None:
        for number in (0, 100_000_000):
            written(folder, 1, first=number, keep_in=1)
        assert [entry["grant_id"] for entry in entries(folder)] == [0, 100_000_000]

    def test_goes_by_the_file_where_its_last_line_is_torn(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "FILE_SIZE", 1)
        folder.mkdir()
        (folder / "000001.jsonl").write_text('{"name":"grant.sta')
        written(folder, 1, first=10, keep_in=60)
        assert len(files(folder)) == 2
        os.utime(folder / "000001.jsonl", (1_000, 1_000))
        written(folder, 1, first=100, keep_in=60)
        assert [path.name for path in files(folder)] == ["000003.jsonl"]


class TestACrash:
    def test_in_the_middle_of_a_line_breaks_nothing(self, folder: Path) -> None:
        written(folder, 3)
        with files(folder)[0].open("ab") as file:
            file.write(lines(folder)[-1].encode()[:40])
        written(folder, 3, first=3)
        chain = verify(folder)
        assert (chain.lines, chain.torn, chain.damage) == (7, 1, ())
        assert [entry["grant_id"] for entry in entries(folder)] == [0, 1, 2, 3, 4, 5]

    def test_or_a_full_disk_that_left_the_next_file_empty_breaks_nothing(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(audit, "FILE_SIZE", 1)
        written(folder, 1)
        (folder / "000002.jsonl").touch(mode=0o600)
        written(folder, 1, first=1)
        chain = verify(folder)
        assert (chain.files, chain.lines, chain.damage) == (2, 2, ())

    def test_loses_only_the_last_moment(self, folder: Path) -> None:
        program = (
            "import sys; from pathlib import Path; from tests.observe.test_audit import AuditLog, event;"
            " log = AuditLog(Path(sys.argv[1])); [log.hear(event(n)) for n in range(5)]; sys.stdin.read()"
        )
        process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE)
        wait_until(lambda: len(lines(folder)) == 5)
        process.kill()
        process.communicate()
        assert verify(folder).damage == ()


class TestAFullDisk:
    def test_keeps_what_could_not_be_written_and_says_so(self, folder: Path) -> None:
        written(folder, 1)
        size = files(folder)[0].stat().st_size
        log = AuditLog(folder)
        with limited(size + 10):
            for number in range(1, 4):
                log.hear(event(number))
            wait_until(lambda: log.problem() is not None)
            assert files(folder)[0].stat().st_size == size
        wait_until(lambda: log.problem() is None)
        log.close()
        assert [entry["grant_id"] for entry in entries(folder)] == [0, 1, 2, 3]
        assert verify(folder).damage == ()

    def test_says_how_many_were_lost_once_there_is_room(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "BACKLOG", 2)
        written(folder, 1)
        log = AuditLog(folder)
        with limited(files(folder)[0].stat().st_size):
            for number in range(1, 6):
                log.hear(event(number))
            assert log.lost == 3
            wait_until(lambda: log.problem() is not None)
        wait_until(lambda: log.problem() is None)
        log.close()
        told = [entry["reason"] for entry in entries(folder) if entry["name"] == audit.LOST]
        assert told == ["3 events were not written"]
        assert log.lost == 0


def test_holds_up_no_request(folder: Path) -> None:
    """A locked folder delays the lines, not who tells them."""
    log = AuditLog(folder)
    descriptor = os.open(folder / "lock", os.O_RDWR)
    flock(descriptor, LOCK_EX)
    log.hear(event(1))
    assert list(entries(folder)) == []
    os.close(descriptor)
    log.close()
    assert [entry["grant_id"] for entry in entries(folder)] == [1]
