"""Refresh tokens that need no row, and the secrets that seal them (RFC 6749 section 1.5, SECURITY F-08, F-09, P-09)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.errors import ConfigurationError
from jwtauth.keyring import secrets
from jwtauth.keyring.folder import SecretFile, StoredSecret
from jwtauth.keyring.secrets import Sealer
from jwtauth.protocol.records import Pointer


def stored(number: int, fill: bytes = b"s") -> StoredSecret:
    return StoredSecret(number=number, created_at=0, secret=fill * 32)


def sealer(*numbered: StoredSecret, epoch: int = 1) -> Sealer:
    return Sealer(SecretFile(secrets=numbered or (stored(1),)), epoch=epoch)


POINTER = Pointer(grant_id=9, generation=3, secret_number=1)
SEALER = sealer()
TOKEN = SEALER.refresh_token(POINTER)

pointers = st.builds(
    Pointer,
    grant_id=st.integers(1, 2**63 - 1),
    generation=st.integers(0, 2**32 - 1),
    secret_number=st.just(1),
)


class TestARefreshToken:
    @given(pointers)
    def test_says_what_was_sealed(self, pointer: Pointer) -> None:
        assert SEALER.read_refresh_token(SEALER.refresh_token(pointer)) == pointer

    @given(pointers)
    def test_is_always_the_same_bytes_on_every_worker(self, pointer: Pointer) -> None:
        assert sealer().refresh_token(pointer) == SEALER.refresh_token(pointer)

    def test_stays_the_same_while_secrets_are_rotated(self) -> None:
        rotated = sealer(stored(1), stored(2, b"t"))
        assert rotated.current_number == 2
        assert rotated.refresh_token(POINTER) == TOKEN
        assert rotated.read_refresh_token(TOKEN) == POINTER

    def test_never_changes_its_form_within_a_major_version(self) -> None:
        """Tokens outlive an upgrade: this one was made by the first release."""
        assert TOKEN == "rt_AAEAAAAAAAAACQAAAANW-S3CIm0YS-CUd6ERJPgIGMJAU0El"

    @given(st.lists(pointers, unique=True, min_size=2, max_size=20))
    def test_is_another_for_each_grant_and_generation(self, several: list[Pointer]) -> None:
        assert len({SEALER.refresh_token(pointer) for pointer in several}) == len(several)

    def test_has_a_mac_of_at_least_128_bits(self) -> None:
        assert len(raw(TOKEN)) - 14 >= 16

    def test_is_url_safe(self) -> None:
        assert all(character.isalnum() or character in "-_" for character in TOKEN)

    def test_needs_a_secret_that_is_here(self) -> None:
        with pytest.raises(LookupError):
            SEALER.refresh_token(Pointer(grant_id=9, generation=3, secret_number=2))


def raw(token: str) -> bytes:
    return urlsafe_b64decode(token.removeprefix("rt_"))


def token_of(content: bytes) -> str:
    return "rt_" + urlsafe_b64encode(content).decode()


def awkward() -> str:
    """A token that has both characters in which base64 and base64url differ."""
    generations = (SEALER.refresh_token(Pointer(grant_id=1, generation=n, secret_number=1)) for n in range(1_000))
    return next(token for token in generations if "-" in token and "_" in token.removeprefix("rt_"))


class TestForgeries:
    def test_with_any_one_bit_flipped_are_refused(self) -> None:
        content = raw(TOKEN)
        for place, bit in product(range(len(content)), range(8)):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            assert SEALER.read_refresh_token(token_of(bytes(flipped))) is None

    @pytest.mark.parametrize("length", range(len(TOKEN)))
    def test_cut_short_are_refused(self, length: int) -> None:
        assert SEALER.read_refresh_token(TOKEN[:length]) is None

    @pytest.mark.parametrize(
        "forged",
        [
            pytest.param(sealer(epoch=2).refresh_token(POINTER), id="of another epoch"),
            pytest.param(sealer(stored(1, b"t")).refresh_token(POINTER), id="under another secret"),
            pytest.param(
                sealer(stored(2)).refresh_token(Pointer(grant_id=9, generation=3, secret_number=2)),
                id="under a secret that is gone",
            ),
            pytest.param("at_" + TOKEN[3:], id="of another kind"),
            pytest.param(TOKEN[3:], id="of no kind"),
            pytest.param("RT_" + TOKEN[3:], id="of a kind in capitals"),
            pytest.param(TOKEN + "A", id="longer"),
            pytest.param(TOKEN + "=", id="padded"),
            pytest.param(TOKEN[:-1] + "=", id="padded within its length"),
            pytest.param(" " + TOKEN, id="after a space"),
            pytest.param(TOKEN[:-1] + " ", id="with a space"),
            pytest.param(TOKEN[:-1] + "é", id="not ASCII"),
            pytest.param(TOKEN[:-1] + "\x00", id="with a NUL"),
            pytest.param("", id="empty"),
            pytest.param("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", id="F-09 an access token"),
        ],
    )
    def test_are_refused(self, forged: str) -> None:
        assert SEALER.read_refresh_token(forged) is None

    def test_spelled_in_plain_base64_are_refused(self) -> None:
        token = awkward()
        body = token.removeprefix("rt_")
        assert SEALER.read_refresh_token(token) is not None
        assert SEALER.read_refresh_token("rt_" + body.replace("-", "+")) is None
        assert SEALER.read_refresh_token("rt_" + body.replace("_", "/")) is None

    @given(st.text() | st.text(alphabet="ABab01-_+/=", min_size=48, max_size=48).map(lambda text: "rt_" + text))
    def test_of_any_text_are_refused(self, text: str) -> None:
        assert SEALER.read_refresh_token(text) is None

    @given(st.binary(min_size=36, max_size=36))
    def test_of_any_bytes_are_refused(self, content: bytes) -> None:
        assert SEALER.read_refresh_token(token_of(content)) is None


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
