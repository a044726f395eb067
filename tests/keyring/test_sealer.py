"""What server secrets seal: RFC 6749 section 1.5, SECURITY B-04, F-08, F-09, P-08, P-09, S-10 and Z-14."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jwtauth.keyring.folder import SecretFile, StoredSecret
from jwtauth.keyring.sealer import Sealer
from jwtauth.keyring.secrets import derive
from jwtauth.protocol.records import Pointer


def stored(number: int, fill: bytes = b"s") -> StoredSecret:
    return StoredSecret(number=number, created_at=0, secret=fill * 32)


def sealer(*numbered: StoredSecret, epoch: int = 1) -> Sealer:
    return Sealer(SecretFile(secrets=numbered or (stored(1),)), epoch=epoch)


POINTER = Pointer(grant_id=9, generation=3, secret_number=1)
SEALER = sealer()
TOKEN = SEALER.refresh_token(POINTER)
CODE = SEALER.code(POINTER)
ROTATED = sealer(stored(1), stored(2, b"t"))
"""The same once there is a second secret."""
NOW = 1_800_000_000

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
        assert ROTATED.current_number == 2
        assert ROTATED.refresh_token(POINTER) == TOKEN
        assert ROTATED.read_refresh_token(TOKEN) == POINTER

    def test_never_changes_its_form_within_a_major_version(self) -> None:
        """Tokens outlive an upgrade: this one was made by the first release."""
        assert TOKEN == "rt_AAEAAAAAAAAACQAAAANW-S3CIm0YS-CUd6ERJPgIGMJAU0El"

    @given(pointers)
    def test_is_authenticated_by_hmac_sha256(self, pointer: Pointer) -> None:
        """RFC 2104, as the standard library has it."""
        body, mac = raw(SEALER.refresh_token(pointer))[:14], raw(SEALER.refresh_token(pointer))[14:]
        key = derive(b"s" * 32, b"jwtauth refresh token v1")
        assert mac == hmac.digest(key, (1).to_bytes(8, "big") + body, "sha256")[:22]

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


class TestACode:
    @given(pointers)
    def test_says_what_was_sealed(self, pointer: Pointer) -> None:
        assert SEALER.read_code(SEALER.code(pointer)) == pointer

    def test_p_09_has_a_mac_of_at_least_128_bits(self) -> None:
        assert len(urlsafe_b64decode(CODE.removeprefix("ac_"))) - 14 >= 16

    def test_stays_the_same_while_secrets_are_rotated(self) -> None:
        assert ROTATED.code(POINTER) == CODE
        assert ROTATED.read_code(CODE) == POINTER

    def test_is_no_refresh_token_and_no_refresh_token_is_a_code(self) -> None:
        """Not under the other's name either: each has a key of its own."""
        for token in (CODE, "rt_" + CODE[3:]):
            assert SEALER.read_refresh_token(token) is None
        for token in (TOKEN, "ac_" + TOKEN[3:]):
            assert SEALER.read_code(token) is None

    @pytest.mark.parametrize(
        "forged",
        [
            pytest.param(sealer(epoch=2).code(POINTER), id="of another epoch"),
            pytest.param(sealer(stored(1, b"t")).code(POINTER), id="under another secret"),
            pytest.param(CODE[:-1], id="cut short"),
            pytest.param(CODE + "A", id="longer"),
            pytest.param(CODE[:-1] + "=", id="padded within its length"),
            pytest.param(CODE[:-1] + "é", id="not ASCII"),
            pytest.param(CODE[:-1] + "\x00", id="with a NUL"),
            pytest.param("' OR 1=1 --", id="P-08 SQL"),
            pytest.param("", id="empty"),
        ],
    )
    def test_p_08_that_is_forged_is_refused(self, forged: str) -> None:
        assert SEALER.read_code(forged) is None

    @given(st.text() | st.text(alphabet="ABab01-_+/=", min_size=48, max_size=48).map(lambda text: "ac_" + text))
    def test_p_08_of_any_text_is_refused(self, text: str) -> None:
        assert SEALER.read_code(text) is None

    def test_needs_a_secret_that_is_here(self) -> None:
        with pytest.raises(LookupError):
            SEALER.code(Pointer(grant_id=9, generation=0, secret_number=2))


class TestATransaction:
    """Travels with the browser: nobody there can read or change it (SECURITY Z-14)."""

    SEALED = SEALER.seal(b"what a client asked for", now=NOW)

    @given(st.binary())
    def test_is_opened_as_it_was_sealed(self, payload: bytes) -> None:
        assert SEALER.open(SEALER.seal(payload, now=NOW)) == payload

    def test_cannot_be_read_on_its_way(self) -> None:
        assert b"client" not in urlsafe_b64decode(self.SEALED + "=" * (-len(self.SEALED) % 4))

    def test_tells_not_even_whether_two_are_the_same(self) -> None:
        assert SEALER.seal(b"a", now=NOW) != SEALER.seal(b"a", now=NOW)

    def test_travels_in_a_url_as_it_is(self) -> None:
        assert all(character.isalnum() or character in "-_" for character in self.SEALED)
        assert self.SEALED.isascii()

    def test_survives_a_rotation_of_secrets_but_not_their_end(self) -> None:
        assert ROTATED.open(self.SEALED) == b"what a client asked for"
        assert SEALER.open(ROTATED.seal(b"newer", now=NOW)) is None
        assert sealer(stored(2, b"t")).open(self.SEALED) is None

    def test_does_not_survive_a_restored_database(self) -> None:
        assert sealer(epoch=2).open(self.SEALED) is None

    @pytest.mark.parametrize("place", range(0, len(SEALED), 7))
    def test_that_was_changed_is_refused(self, place: int) -> None:
        changed = "A" if self.SEALED[place] != "A" else "B"
        assert SEALER.open(self.SEALED[:place] + changed + self.SEALED[place + 1 :]) is None

    @pytest.mark.parametrize("length", range(0, len(SEALED), 7))
    def test_that_was_cut_short_is_refused(self, length: int) -> None:
        assert SEALER.open(self.SEALED[:length]) is None

    @given(st.text() | st.text(alphabet="ABab01-_+/=", min_size=1).map(lambda text: "gAAAAA" + text))
    def test_of_any_text_is_refused(self, text: str) -> None:
        assert SEALER.open(text) is None

    def test_is_sealed_with_a_key_of_its_own(self) -> None:
        """What proves a form, or is a code, is no transaction."""
        for other in (CODE, TOKEN, SEALER.csrf("browser")):
            assert SEALER.open(other) is None


class TestAForm:  # SECURITY B-04
    TOKEN = SEALER.csrf("browser")

    def test_is_the_browsers_that_it_was_shown_to(self) -> None:
        assert SEALER.is_csrf("browser", self.TOKEN)
        assert not SEALER.is_csrf("another browser", self.TOKEN)

    @pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "A", TOKEN + "=", TOKEN.swapcase(), "é", "browser"])
    def test_that_was_forged_is_refused(self, token: str) -> None:
        assert not SEALER.is_csrf("browser", token)

    @given(browser=st.text(), token=st.text())
    def test_of_any_text_is_refused(self, browser: str, token: str) -> None:
        assert not SEALER.is_csrf(browser, token)

    def test_stays_good_while_secrets_are_rotated(self) -> None:
        assert ROTATED.is_csrf("browser", self.TOKEN)
        assert ROTATED.is_csrf("browser", ROTATED.csrf("browser"))
        assert not SEALER.is_csrf("browser", ROTATED.csrf("browser"))

    def test_does_not_survive_a_restored_database(self) -> None:
        assert not sealer(epoch=2).is_csrf("browser", self.TOKEN)

    def test_says_nothing_about_the_cookie(self) -> None:
        assert "browser" not in self.TOKEN
        assert len(urlsafe_b64decode(self.TOKEN + "=")) == 32
