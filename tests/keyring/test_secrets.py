"""Server secrets: how they are made, and that none is ever lost or replaced unnoticed (SECURITY S-08)."""

import pytest

from jwtauth.errors import ConfigurationError
from jwtauth.keyring import secrets
from jwtauth.keyring.folder import SecretFile, StoredSecret


def stored(number: int, fill: bytes = b"s") -> StoredSecret:
    return StoredSecret(number=number, created_at=0, secret=fill * 32)


class TestNewSecrets:
    def test_have_256_random_bits(self) -> None:
        first, second = secrets.new_secret(4, now=7), secrets.new_secret(4, now=7)
        assert (first.number, first.created_at, len(first.secret)) == (4, 7, 32)
        assert first.secret != second.secret


KNOWN = {1: secrets.fingerprint(stored(1)), 2: secrets.fingerprint(stored(2, b"t"))}


class TestFingerprints:
    def check(self, *numbered: StoredSecret) -> None:
        secrets.check_fingerprints(SecretFile(secrets=numbered), KNOWN)

    def test_let_a_server_start_that_has_all_its_secrets(self) -> None:
        self.check(stored(1), stored(2, b"t"))

    def test_let_a_secret_pass_that_the_database_has_not_seen_yet(self) -> None:
        self.check(stored(1), stored(2, b"t"), stored(3))

    @pytest.mark.parametrize(
        ("numbered", "lost"),
        [
            pytest.param((stored(2, b"t"),), 1, id="one is missing"),
            pytest.param((), 1, id="all are missing"),
            pytest.param((stored(1), stored(2)), 2, id="one was replaced"),
            pytest.param((stored(1, b"t"), stored(2)), 1, id="two were exchanged"),
        ],
    )
    def test_refuse_any_other_and_say_which(self, numbered: tuple[StoredSecret, ...], lost: int) -> None:
        with pytest.raises(ConfigurationError, match=f"number {lost} is missing .* restore the file"):
            self.check(*numbered)

    def test_tell_nothing_of_the_secret(self) -> None:
        assert stored(1).secret.hex()[:16] not in KNOWN[1]
        assert KNOWN[1] != KNOWN[2]


class TestKeys:  # RFC 5869
    def test_are_derived_from_a_secret_one_for_each_use(self) -> None:
        found = {secrets.derive(secret * 32, label) for secret in (b"s", b"t") for label in (b"codes", b"forms")}
        assert len(found) == 4
        assert {len(key) for key in found} == {32}
        assert secrets.derive(b"s" * 32, b"codes") in found
