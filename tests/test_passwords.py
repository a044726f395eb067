"""Slow hashes in a bounded pool: RFC 9106, SECURITY B-08, C-16, D-04."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from jwtauth import passwords as passwords_module
from jwtauth.errors import Overloaded
from jwtauth.passwords import Passwords

RIGHT = "correct horse battery staple"
VERIFY = "jwtauth.passwords.PasswordHasher.verify"


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    """The cheapest hashes; two at once and one waiting."""
    passwords = Passwords(memory=8, passes=1, threads=2, queue=1)
    yield passwords
    passwords.close()


@pytest.fixture
def stored(passwords: Passwords) -> str:
    return passwords.hash(RIGHT)


class TestHash:
    def test_is_argon2id_with_the_configured_cost(self, stored: str) -> None:
        assert stored.startswith("$argon2id$v=19$m=8,t=1,p=1$")

    def test_is_salted(self, passwords: Passwords, stored: str) -> None:
        assert passwords.hash(RIGHT) != stored


class TestVerify:
    @pytest.mark.parametrize(
        ("password", "is_right"),
        [(RIGHT, True), (RIGHT + " ", False), (RIGHT.upper(), False), ("", False), ("x" * 100_000, False)],
    )
    def test_accepts_the_right_one_only(self, passwords: Passwords, stored: str, password: str, is_right: bool) -> None:
        assert asyncio.run(passwords.verify(stored, password)) is is_right

    @pytest.mark.parametrize("password", ["пароль", "pässword", "\U0001f511", "a\x00b"])
    def test_accepts_any_character(self, passwords: Passwords, password: str) -> None:
        assert asyncio.run(passwords.verify(passwords.hash(password), password))

    @pytest.mark.parametrize("password", [RIGHT, "", "\x00"])
    def test_never_accepts_one_for_an_account_without_a_hash(self, passwords: Passwords, password: str) -> None:
        assert not asyncio.run(passwords.verify(None, password))

    def test_costs_an_account_without_a_hash_the_same_hash(
        self, passwords: Passwords, stored: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SECURITY B-08: the time tells nothing of who exists."""
        asyncio.run(passwords.verify(None, "first"))
        verified: list[str] = []

        def watch(hasher: object, hashed: str, password: str) -> bool:
            verified.append(hashed.rpartition("$")[0].rpartition("$")[0])
            return True

        monkeypatch.setattr(VERIFY, watch)
        assert not asyncio.run(passwords.verify(None, RIGHT))
        assert asyncio.run(passwords.verify(stored, RIGHT))
        assert verified == ["$argon2id$v=19$m=8,t=1,p=1"] * 2

    @pytest.mark.parametrize("damaged", ["$argon2id$", "plain", "$2b$12$abcdefghijklmnopqrstuv", "!", " "])
    def test_never_accepts_one_for_a_damaged_hash(self, passwords: Passwords, damaged: str) -> None:
        assert not asyncio.run(passwords.verify(damaged, damaged))


class Gate:
    """Stands in the place of the hash function until it is opened; counts who is inside at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_open = threading.Event()
        self.inside = 0
        self.most = 0
        self._lock = threading.Lock()
        monkeypatch.setattr(VERIFY, self)

    def __call__(self, hashed: str, password: str) -> bool:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.is_open.wait(timeout=10)
        with self._lock:
            self.inside -= 1
        return True


class TestAFlood:  # SECURITY D-04
    def test_is_refused_beyond_threads_and_queue(
        self, passwords: Passwords, stored: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = Gate(monkeypatch)

        async def work() -> None:
            taken = [asyncio.create_task(passwords.verify(stored, RIGHT)) for _ in range(3)]
            await asyncio.sleep(0)
            for stored_or_not in (stored, None):
                with pytest.raises(Overloaded) as refusal:
                    await passwords.verify(stored_or_not, RIGHT)
                assert refusal.value.retry_after_in >= 1
            with pytest.raises(Overloaded):
                await passwords.verify_secret("client", [stored], [RIGHT])
            gate.is_open.set()
            assert await asyncio.gather(*taken) == [True] * 3
            assert await passwords.verify(stored, RIGHT)

        asyncio.run(work())
        assert gate.most == 2

    def test_leaves_the_event_loop_free(
        self, passwords: Passwords, stored: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = Gate(monkeypatch)

        async def work() -> None:
            task = asyncio.create_task(passwords.verify(stored, RIGHT))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not task.done()
            gate.is_open.set()
            assert await task

        asyncio.run(work())

    def test_gives_its_place_back_when_the_caller_goes(
        self, passwords: Passwords, stored: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = Gate(monkeypatch)

        async def work() -> None:
            taken = [asyncio.create_task(passwords.verify(stored, RIGHT)) for _ in range(3)]
            await asyncio.sleep(0)
            for task in taken:
                task.cancel()
            await asyncio.wait(taken)
            gate.is_open.set()
            assert await passwords.verify(stored, RIGHT)

        asyncio.run(work())


class TestClientSecrets:
    """A verified client secret is remembered, so that a machine does not pay argon2 with every request."""

    def test_are_remembered_once_verified(self, passwords: Passwords, stored: str) -> None:
        assert not passwords.remembers("client", [stored], [RIGHT])
        assert asyncio.run(passwords.verify_secret("client", [stored], [RIGHT]))
        assert passwords.remembers("client", [stored], [RIGHT])

    @pytest.mark.parametrize("second", ["other", RIGHT])
    def test_are_found_among_several(self, passwords: Passwords, stored: str, second: str) -> None:
        hashes, secrets = [passwords.hash("other hash"), stored], ["as sent", RIGHT]
        assert asyncio.run(passwords.verify_secret("client", hashes, secrets))
        assert passwords.remembers("client", hashes, [second, RIGHT])

    def test_are_not_remembered_when_they_are_wrong(self, passwords: Passwords, stored: str) -> None:
        assert not asyncio.run(passwords.verify_secret("client", [stored], ["wrong"]))
        assert not passwords.remembers("client", [stored], ["wrong"])

    def test_are_remembered_for_this_client_this_hash_and_this_secret_only(
        self, passwords: Passwords, stored: str
    ) -> None:
        asyncio.run(passwords.verify_secret("client", [stored], [RIGHT]))
        changed = passwords.hash(RIGHT)
        for owner, hashed, secret in (
            ("other", stored, RIGHT),
            ("client", changed, RIGHT),
            ("client", stored, "wrong"),
            ("client", stored, ""),
            ("clien", "t" + stored, RIGHT),
        ):
            assert not passwords.remembers(owner, [hashed], [secret])

    def test_are_not_remembered_as_they_are(self, passwords: Passwords, stored: str) -> None:
        """SECURITY S-09: not in a memory dump either; and the key is this process's own."""
        other = Passwords(memory=8, passes=1, threads=1, queue=0)
        for process in (passwords, other):
            asyncio.run(process.verify_secret("client", [stored], [RIGHT]))
        other.close()
        assert RIGHT.encode() not in b"".join(passwords._verified)
        assert not passwords._verified.keys() & other._verified.keys()

    def test_are_remembered_in_a_bounded_number(
        self, passwords: Passwords, stored: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passwords_module, "REMEMBERED", 2)
        for owner in ("first", "second", "third"):
            asyncio.run(passwords.verify_secret(owner, [stored], [RIGHT]))
        remembered = [passwords.remembers(owner, [stored], [RIGHT]) for owner in ("first", "second", "third")]
        assert remembered == [False, True, True]
