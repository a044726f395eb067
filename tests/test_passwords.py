"""Slow hashes in a bounded pool: RFC 9106, SECURITY B-08, C-16, D-04."""

import asyncio
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Final

import bcrypt
import pytest
from argon2 import PasswordHasher
from argon2.low_level import Type
from werkzeug.security import generate_password_hash

from jwtauth import passwords as passwords_module
from jwtauth.bounded import Bounded
from jwtauth.errors import ConfigurationError, Overloaded
from jwtauth.passwords import MissingExtra, Passwords, Taken, take, take_plain

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

    @pytest.mark.parametrize(
        "damaged",
        [
            "$argon2id$",
            "$argon2id$v=19$m=8,t=1,p=1$\u00e9$",
            "plain",
            "$2b$12$abcdefghijklmnopqrstuv",
            "!",
            " ",
        ],
    )
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

    @pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
    def test_is_worked_off_by_threads_that_let_others_go_first(self, passwords: Passwords, stored: str) -> None:
        assert asyncio.run(passwords.verify(stored, RIGHT))
        (worker,) = [thread for thread in threading.enumerate() if thread.name.startswith("jwtauth-argon2")]
        assert worker.native_id is not None
        ours, theirs = (os.getpriority(os.PRIO_PROCESS, thread) for thread in (0, worker.native_id))
        assert theirs == min(ours + passwords_module.NICE, 19)

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

    def test_are_remembered_in_a_bounded_number(self, passwords: Passwords, stored: str) -> None:
        passwords._verified = Bounded(2)
        for owner in ("first", "second", "third"):
            asyncio.run(passwords.verify_secret(owner, [stored], [RIGHT]))
        remembered = [passwords.remembers(owner, [stored], [RIGHT]) for owner in ("first", "second", "third")]
        assert remembered == [False, True, True]


BCRYPT: Final = "$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG"
SCRYPT: Final = (
    "$e0801$8bWJaSu2IKSn9Z9kM+TPXfOc/9bdYSrN1oD9qfVThWEwdRTnO7re7Ei+fUZRJ68k9lTyuTeUp4of4g24hHnazw=="
    "$OAOec05+bXxvuu/1qZ6NUR+xQYvYv7BeL1QxwRpY5Pc="
)
VECTORS: Final = {
    # Spring Security's reference, section on DelegatingPasswordEncoder
    "{bcrypt}": ("{bcrypt}" + BCRYPT, "password"),
    "bcrypt": (BCRYPT, "password"),
    "{noop}": ("{noop}password", "password"),
    "{pbkdf2}": (
        "{pbkdf2}5d923b44a6d129f3ddf3e3c8d29412723dcbde72445e8ef6bf3b508fbf17fa4ed4d6b99ca763d8dc",
        "password",
    ),
    "{scrypt}": ("{scrypt}" + SCRYPT, "password"),
    "{scrypt@...}": ("{scrypt@SpringSecurity_v5_8}" + SCRYPT, "password"),
    "{sha256}": (
        "{sha256}97cde38028ad898ebc02e690819fa220e88c62e0699403e94fff291cfffaf8410849f27605abcbc0",
        "password",
    ),
    # made by werkzeug 2.0.3, which the Flask applications of that time had
    "werkzeug sha256": (
        "sha256$go4k1GE5$b1f4434676d2d523d7d0b3f48e9c0ce4462cd712b7708e7b28ad28f9862f6522",
        "correct horse",
    ),
    "werkzeug sha256, not ASCII": (
        "sha256$9capxzEHAQwy1s7G$cf75d3be28e3434f796910fd0489f483c50f64e51e52ae1890a0e7e0131cf93e",
        "pä55",
    ),
    "werkzeug pbkdf2 of 2021": (
        "pbkdf2:sha256:50000$Do59mMpnrlzbRx5j$59666cb1a8bdf0760ce108859045984138171b83ed67d2255ff4a063044c6ba8",
        "correct horse",
    ),
    "werkzeug pbkdf2 of 2013": (
        "pbkdf2:sha1:1000$AK8ueuEua8cUD84z$c507ed3de78512398c3a990a8ee21b7c1666bd07",
        "correct horse",
    ),
    # made by the werkzeug that is installed
    "werkzeug pbkdf2": (generate_password_hash("correct horse", method="pbkdf2:sha512:1000"), "correct horse"),
    "werkzeug scrypt": (generate_password_hash("correct horse", method="scrypt:1024:8:1"), "correct horse"),
    # made by the Java classes that onesait platform's encoder calls, in its order
    "onesait": ("{onesait}8WgbLik5EbdtJY4OWm2ZQ0tHiU2lmvXNVrPhFDz3W2Y=", "Secrete@343"),
    "onesait, all said": (
        "{onesait:5:PveFT7isDjGYFTaYhc2Fzw==}iYOZxAtx1TaTKOvcuGC+UQTn7AoZ84plyPujMkrkt1w=",
        "contraseña1",
    ),
    # made by the bcrypt and the argon2 that are installed
    "bcrypt 2y": (bcrypt.hashpw(b"a\0b", bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$"), "a\0b"),
    "argon2i": (PasswordHasher(1, 64, 2, type=Type.I).hash("correct horse"), "correct horse"),
    "{argon2}": ("{argon2}" + PasswordHasher(1, 64, 2).hash("correct horse"), "correct horse"),
}


class TestHashesOfOtherSystems:
    @pytest.mark.parametrize(("stored", "password"), VECTORS.values(), ids=VECTORS)
    def test_are_verified(self, passwords: Passwords, stored: str, password: str) -> None:
        settled = passwords.settle(take(stored))
        assert asyncio.run(passwords.verify(settled, password))
        for wrong in (password + "x", password[:-1], password.upper(), "", stored):
            assert not asyncio.run(passwords.verify(settled, wrong))

    @pytest.mark.parametrize(("stored", "password"), VECTORS.values(), ids=VECTORS)
    def test_are_stored_under_argon2_and_never_as_they_came(
        self, passwords: Passwords, stored: str, password: str
    ) -> None:
        settled = passwords.settle(take(stored))
        assert "$argon2" in settled
        assert password not in settled
        if "argon2" not in stored:
            assert stored[-16:] not in settled

    def test_do_not_care_how_a_keyboard_composes_letters_once_ours(self, passwords: Passwords) -> None:
        """Others hash what was typed: that is tried first, then what it normalises to."""
        composed, decomposed = "pässword", "pa\u0308ssword"
        for typed, is_right in ((composed, True), (decomposed, True)):
            settled = passwords.settle(take(bcrypt.hashpw(composed.encode(), bcrypt.gensalt(4)).decode()))
            assert asyncio.run(passwords.verify(settled, typed)) is is_right
        for made_by in (bcrypt.hashpw(decomposed.encode(), bcrypt.gensalt(4)).decode(), argon2_of(decomposed)):
            settled = passwords.settle(take(made_by))
            assert asyncio.run(passwords.verify(settled, decomposed))
            assert not asyncio.run(passwords.verify(settled, composed))

    def test_of_bcrypt_read_72_bytes_as_it_always_did(self, passwords: Passwords) -> None:
        settled = passwords.settle(take(bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()))
        assert asyncio.run(passwords.verify(settled, "x" * 100))
        assert not asyncio.run(passwords.verify(settled, "x" * 71))

    @pytest.mark.parametrize(
        ("stored", "reason"),
        [
            ("hunter2", "names no known scheme"),
            ("{MD5}5f4dcc3b5aa765d61d8327deb882cf99", "begins with {MD5}"),
            ("5f4dcc3b5aa765d61d8327deb882cf99", "names no known scheme"),
            ("8WgbLik5EbdtJY4OWm2ZQ0tHiU2lmvXNVrPhFDz3W2Y=", "names no known scheme"),
            ("sha1$salt$" + "0" * 40, "begins with sha1$"),
            ("pbkdf2_sha256$260000$salt$hash", "begins with pbkdf2_sha256$"),
            ("{pbkdf2@SpringSecurity_v5_8}" + "0" * 96, "begins with {pbkdf2@SpringSecurity_v5_8}"),
            ("$6$salt$hash", "begins with $6$"),
            ("{bcrypt}hunter2", "begins with {bcrypt}"),
            ("$2x" + BCRYPT[3:], "begins with $2x$"),
            (BCRYPT[:-1], "begins with $2a$ and its length is wrong: it is 1 characters too short: was it cut off?"),
            (BCRYPT + "\n", "begins with $2a$ and its length is wrong: it is 1 characters too long"),
            ("{bcrypt}" + BCRYPT[:50], "it is 10 characters too short"),
            (VECTORS["{pbkdf2}"][0][:-8], "begins with {pbkdf2} and its length is wrong"),
            (VECTORS["{sha256}"][0][:-8], "begins with {sha256} and its length is wrong"),
            (VECTORS["werkzeug sha256"][0][:-8], "begins with sha256$ and its length is wrong"),
            (VECTORS["werkzeug pbkdf2 of 2021"][0][:-8], "begins with pbkdf2:sha256: and its length is wrong"),
            (VECTORS["werkzeug pbkdf2 of 2013"][0][:-8], "begins with pbkdf2:sha1: and its length is wrong"),
            (VECTORS["werkzeug pbkdf2"][0][:-8], "begins with pbkdf2:sha512: and its length is wrong"),
            (VECTORS["werkzeug scrypt"][0][:-8], "begins with scrypt: and its length is wrong"),
            (VECTORS["onesait, all said"][0][:-8], "begins with {onesait"),
            ("{noop}", "is empty"),
            ("$argon2id$v=19$m=8,t=1", "argon2 hash is damaged"),
            ("{scrypt}$e0801$=========A==$" + "=" * 44, "not base64"),
        ],
    )
    def test_are_refused_where_nothing_here_verifies_them(self, stored: str, reason: str) -> None:
        with pytest.raises(ConfigurationError) as refusal:
            take(stored)
        assert reason in str(refusal.value)
        assert "hunter2" not in str(refusal.value)
        assert stored[-16:] not in str(refusal.value)

    @pytest.mark.parametrize(
        ("part", "other"),
        [
            ("m=64", "m=\u0668"),
            ("m=64", "m=0"),
            ("m=64", "m=-5"),
            ("m=64", "m=8,m=64"),
            ("m=64", "m=15"),
            ("t=1", "t=0"),
            ("t=1", "t=" + "9" * 5000),
            ("p=2", "p=0"),
            ("v=19", "v=999"),
            ("id$", "x$"),
            ("c29tZXNhbHQ$", "$"),
            ("c29tZXNhbHQ$", "\u00e9c29tZXNhbHQ$"),
            ("A" * 43, "A" * 42),
            ("A" * 43, "A" * 41),
            ("A" * 43, "A" * 40),
            ("A" * 43, "A" * 42 + "B"),
            ("A" * 43, "A" * 100_000),
            ("A" * 43, "A" * 43 + "\0"),
            ("A" * 43, ""),
        ],
    )
    def test_of_argon2_are_refused_where_they_could_never_match(self, part: str, other: str) -> None:
        """Nor could each attempt cost what any attempt costs (SECURITY B-08), and some would end in an error."""
        whole = "$argon2id$v=19$m=64,t=1,p=2$c29tZXNhbHQ$" + "A" * 43
        assert take(whole).stored == whole
        assert part in whole
        with pytest.raises(ConfigurationError, match="the argon2 hash"):
            take(whole.replace(part, other))

    @pytest.mark.parametrize(
        "stored",
        [
            BCRYPT.replace("$10$", "$16$"),
            BCRYPT.replace("$10$", "$03$"),
            "pbkdf2:sha256:3000001$salt$" + "0" * 64,
            "pbkdf2:sha256:0$salt$" + "0" * 64,
            "scrypt:262144:16:1$salt$" + "0" * 128,
            "scrypt:1024:8:9$salt$" + "0" * 128,
            "scrypt:262144:8:2$salt$" + "0" * 128,
            "scrypt:1000:8:1$salt$" + "0" * 128,
            "{scrypt}" + SCRYPT.replace("e0801", "ff0801"),
            "{onesait:100001:AAAA}" + "A" * 43 + "=",
            "$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$" + "A" * 43,
            "$argon2id$v=19$m=262144,t=5,p=1$c29tZXNhbHQ$" + "A" * 43,
            "$argon2id$v=19$m=65536,t=1,p=17$c29tZXNhbHQ$" + "A" * 43,
        ],
    )
    def test_are_refused_where_an_attempt_costs_too_much(self, stored: str) -> None:
        """SECURITY D-04: whoever may name the cost of a hash could stop the service."""
        began = time.monotonic()
        with pytest.raises(ConfigurationError):
            take(stored)
        assert time.monotonic() - began < 1

    @pytest.mark.parametrize(
        "damaged",
        [
            "{bcrypt:$2a$10$x}$argon2id$x",
            "{pbkdf2:sha1:1}",
            "{none:x}$argon2id$x",
            "{noop}password",
            "{sha256:}password",
        ],
    )
    def test_never_match_where_they_are_damaged(self, passwords: Passwords, damaged: str) -> None:
        for password in ("password", damaged):
            assert not asyncio.run(passwords.verify(damaged, password))

    @pytest.mark.parametrize(("stored", "password"), [VECTORS["{bcrypt}"], VECTORS["werkzeug sha256"]])
    def test_cost_one_argon2_at_least_for_each_attempt(
        self, passwords: Passwords, stored: str, password: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """SECURITY B-08: a fast hash of another system tells nobody by its speed that somebody moved in."""
        settled = passwords.settle(take(stored))
        verified: list[str] = []
        real = PasswordHasher.verify

        def watch(hasher: PasswordHasher, hashed: str, password: str) -> bool:
            verified.append(hashed.rpartition("$")[0].rpartition("$")[0])
            return real(hasher, hashed, password)

        monkeypatch.setattr(VERIFY, watch)
        for hashed in (settled, None, "{unknown}"):
            assert not asyncio.run(passwords.verify(hashed, password + "x"))
        assert verified == ["$argon2id$v=19$m=8,t=1,p=1"] * 3

    @pytest.mark.parametrize(("stored", "is_outdated"), [(BCRYPT, True), ("{noop}password", False)])
    def test_are_to_be_replaced(self, passwords: Passwords, stored: str, is_outdated: bool) -> None:
        assert passwords.is_outdated(passwords.settle(take(stored))) is is_outdated

    @pytest.mark.parametrize("costs", [(2, 8, 1), (1, 16, 1), (1, 16, 2)])
    def test_of_argon2_at_another_cost_are_to_be_replaced_too(
        self, passwords: Passwords, costs: tuple[int, int, int]
    ) -> None:
        assert passwords.is_outdated(PasswordHasher(*costs).hash(RIGHT))

    def test_may_be_plain_passwords_which_are_hashed(self, passwords: Passwords) -> None:
        assert take("{noop}pässword") == take_plain("pässword") == Taken("", "pässword")
        assert passwords.settle(take_plain("x")).startswith("$argon2id$v=19$m=8,t=1,p=1$")


class TestWithoutTheExtra:
    @pytest.fixture(autouse=True)
    def _missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "jwtauth.legacy_hashes", raising=False)
        monkeypatch.setitem(sys.modules, "bcrypt", None)

    def test_nothing_is_taken_but_what_argon2_verifies(self) -> None:
        with pytest.raises(MissingExtra, match=r"pip install 'jwtauth\[legacy\]'"):
            take(BCRYPT)
        assert take("{noop}x").hashed == "x"
        assert take("{argon2}" + argon2_of("x")).stored

    def test_a_password_counts_as_wrong_and_the_log_says_why(
        self, passwords: Passwords, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR, "jwtauth"):
            assert not asyncio.run(passwords.verify("{bcrypt:$2a$10$dXJ3SW6G7P50lGmMkkmwe.}$argon2id$x", "password"))
        assert "pip install 'jwtauth[legacy]'" in caplog.text
        assert "password}" not in caplog.text

    def test_people_who_have_hashes_of_ours_notice_nothing(self, passwords: Passwords, stored: str) -> None:
        assert asyncio.run(passwords.verify(stored, RIGHT))


def argon2_of(password: str) -> str:
    return PasswordHasher(1, 64, 2).hash(password)
