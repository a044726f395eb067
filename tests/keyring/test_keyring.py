"""The keys that sign and verify at this instant (RFC 7517 section 5, SECURITY J-06, J-15, S-12)."""

import json
from pathlib import Path

import pytest

from jwtauth.errors import ConfigurationError, InvalidToken
from jwtauth.keyring import jws, rotation
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.keyring import RELOAD_IN, Keyring
from jwtauth.protocol.claims import GRACE_IN

NOW = 1_800_000_000
LIFETIME = 3_600
PUBLISH_IN = 300


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    """A folder in which one ES256 key signs."""
    folder = KeyFolder(tmp_path / "keys")
    rotation.create_key(folder, "ES256", now=NOW)
    return folder


@pytest.fixture
def keyring(folder: KeyFolder) -> Keyring:
    return Keyring(folder, max_token_lifetime=LIFETIME)


def published(keyring: Keyring, now: int) -> set[str]:
    keyring.advance(now)
    return {key["kid"] for key in json.loads(keyring.jwks)["keys"]}


def sign(keyring: Keyring, now: int, payload: bytes = b"{}", typ: str = "at+jwt") -> str:
    return keyring.signing_key("ES256", now=now).sign(payload, typ=typ)


def unexpected(problem: ConfigurationError) -> None:
    raise AssertionError(problem)


class TestOverTime:
    def test_the_keys_change_at_their_instants_without_a_look_at_the_folder(self, folder: KeyFolder) -> None:
        """Workers switch together without talking."""
        ((old, _),) = folder.read_keys()
        new = rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        keyring = Keyring(folder, max_token_lifetime=LIFETIME)
        for record, _ in folder.read_keys():
            folder.remove_key(record)
        switch = NOW + PUBLISH_IN
        retirement = switch + LIFETIME + GRACE_IN
        seen = {
            now: (keyring.signing_key("ES256", now=now).kid, published(keyring, now))
            for now in (NOW, switch - 1, switch, retirement - 1, retirement, NOW - 10**6)
        }
        both = {old.kid, new.kid}
        assert seen == {
            NOW: (old.kid, both),
            switch - 1: (old.kid, both),
            switch: (new.kid, both),
            retirement - 1: (new.kid, both),
            retirement: (new.kid, {new.kid}),
            NOW - 10**6: (old.kid, both),
        }

    def test_no_token_fails_through_a_whole_rotation(self, folder: KeyFolder, keyring: Keyring) -> None:
        """SECURITY J-15: zero failed verifications, even by a verifier whose JWKS is as old as it may be."""
        rotation.rotate(folder, "ES256", now=NOW + 100, publish_in=PUBLISH_IN)
        keyring.reload()
        cached_at, cached = NOW, published(keyring, NOW)
        for now in range(NOW + 100, NOW + 3 * LIFETIME, 50):
            if now - cached_at >= PUBLISH_IN:
                cached_at, cached = now, published(keyring, now)
            token = sign(keyring, now)
            assert jws.take_apart(token).header.kid in cached
            assert keyring.open(token, typ="at+jwt", now=now + LIFETIME + GRACE_IN - 1) == b"{}"


class TestOpening:
    def test_gives_the_payload_of_a_token_of_ours(self, keyring: Keyring) -> None:
        assert keyring.open(sign(keyring, NOW, b'{"sub":"a"}'), typ="at+jwt", now=NOW) == b'{"sub":"a"}'

    def test_refuses_another_type(self, keyring: Keyring) -> None:
        """SECURITY J-01: an ID token is no access token."""
        for typ in ("JWT", "statuslist+jwt", "AT+JWT", ""):
            with pytest.raises(InvalidToken):
                keyring.open(sign(keyring, NOW, typ=typ), typ="at+jwt", now=NOW)

    def test_refuses_a_key_that_is_not_published(self, keyring: Keyring) -> None:
        with pytest.raises(InvalidToken):
            keyring.open(jws.generate("ES256").sign(b"{}", typ="at+jwt"), typ="at+jwt", now=NOW)

    def test_refuses_a_changed_payload(self, keyring: Keyring) -> None:
        header, _, signature = sign(keyring, NOW).split(".")
        with pytest.raises(InvalidToken):
            keyring.open(f"{header}.eyJzdWIiOiJhIn0.{signature}", typ="at+jwt", now=NOW)

    def test_refuses_a_retired_key(self, folder: KeyFolder, keyring: Keyring) -> None:
        token = sign(keyring, NOW)
        rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        keyring.reload()
        with pytest.raises(InvalidToken):
            keyring.open(token, typ="at+jwt", now=NOW + PUBLISH_IN + LIFETIME + GRACE_IN)


class TestJwks:
    def test_has_public_members_only(self, folder: KeyFolder) -> None:
        """SECURITY J-06."""
        for algorithm in ("RS256", "PS256", "EdDSA"):
            rotation.create_key(folder, algorithm, now=NOW)
        keyring = Keyring(folder, max_token_lifetime=LIFETIME)
        keyring.advance(NOW)
        keys = {key["alg"]: set(key) for key in json.loads(keyring.jwks)["keys"]}
        common = {"kty", "use", "alg", "kid"}
        assert keys == {
            "ES256": common | {"crv", "x", "y"},
            "EdDSA": common | {"crv", "x"},
            "PS256": common | {"n", "e"},
            "RS256": common | {"n", "e"},
        }

    def test_version_moves_exactly_when_the_published_keys_change(self, folder: KeyFolder, keyring: Keyring) -> None:
        versions = []
        for now in (NOW, NOW + 1):
            keyring.advance(now)
            versions.append(keyring.version)
        rotation.rotate(folder, "ES256", now=NOW + 1, publish_in=PUBLISH_IN)
        keyring.reload()
        switch = NOW + 1 + PUBLISH_IN
        for now in (NOW + 1, switch, switch + LIFETIME + GRACE_IN):
            keyring.advance(now)
            versions.append(keyring.version)
        first = versions[0]
        assert versions == [first, first, first + 1, first + 1, first + 2]


class TestLooking:
    def test_notices_a_changed_folder_after_a_while(self, folder: KeyFolder, keyring: Keyring) -> None:
        keyring.look(NOW, unexpected)
        new = rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        keyring.look(NOW + RELOAD_IN - 1, unexpected)
        assert new.kid not in published(keyring, NOW)
        keyring.look(NOW + RELOAD_IN, unexpected)
        assert new.kid in published(keyring, NOW)

    def test_notices_it_also_where_the_clock_was_set_back(self, folder: KeyFolder, keyring: Keyring) -> None:
        keyring.look(NOW, unexpected)
        new = rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        keyring.look(NOW - 3_600, unexpected)
        assert new.kid in published(keyring, NOW)

    def test_keeps_the_present_keys_where_a_file_is_damaged_and_mends_itself(
        self, folder: KeyFolder, keyring: Keyring
    ) -> None:
        token = sign(keyring, NOW)
        new = rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        path = folder.path / f"ES256-{new.kid}.key.json"
        content = path.read_bytes()
        path.write_bytes(content[:50])
        problems: list[ConfigurationError] = []
        for looks in range(1, 3):
            keyring.look(NOW + looks * RELOAD_IN, problems.append)
        assert [path.name in str(problem) for problem in problems] == [True, True]
        assert keyring.open(token, typ="at+jwt", now=NOW) == b"{}"
        path.write_bytes(content)
        keyring.look(NOW + 3 * RELOAD_IN, unexpected)
        assert new.kid in published(keyring, NOW)

    def test_drops_a_key_whose_file_is_gone_even_where_another_is_damaged(
        self, folder: KeyFolder, keyring: Keyring
    ) -> None:
        token = sign(keyring, NOW)
        rotation.replace_now(folder, "ES256", now=NOW)
        (folder.path / "RS256-damaged.key.json").write_text("{")
        (folder.path / "RS256-damaged.key.json").chmod(0o600)
        with pytest.raises(ConfigurationError):
            keyring.reload()
        with pytest.raises(InvalidToken):
            keyring.open(token, typ="at+jwt", now=NOW)

    def test_drops_a_key_that_was_replaced_in_an_emergency(self, folder: KeyFolder, keyring: Keyring) -> None:
        token = sign(keyring, NOW)
        rotation.replace_now(folder, "ES256", now=NOW)
        keyring.reload()
        with pytest.raises(InvalidToken):
            keyring.open(token, typ="at+jwt", now=NOW)


class TestMissing:
    def test_key_says_what_to_do(self, keyring: Keyring) -> None:
        with pytest.raises(ConfigurationError, match="run `jwtauth keys create --algorithm RS256`"):
            keyring.signing_key("RS256", now=NOW)

    def test_folder_stops_the_start(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError):
            Keyring(KeyFolder(tmp_path / "none"), max_token_lifetime=LIFETIME)
