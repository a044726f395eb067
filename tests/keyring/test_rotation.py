"""Creating and rotating keys and server secrets (SECURITY J-15, S-12)."""

from pathlib import Path

import pytest

from jwtauth.errors import ConfigurationError
from jwtauth.keyring import rotation
from jwtauth.keyring.folder import KeyFolder
from jwtauth.keyring.keyring import Keyring
from jwtauth.keyring.schedule import KeyState
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


def states(folder: KeyFolder, now: int) -> dict[str, KeyState]:
    return {entry.dates.kid: entry.state for entry in Keyring(folder, max_token_lifetime=LIFETIME).plan(now=now)}


def kids(folder: KeyFolder) -> set[str]:
    return {record.kid for record, _ in folder.read_keys()}


class TestCreating:
    def test_makes_a_key_that_signs_at_once(self, folder: KeyFolder) -> None:
        assert list(states(folder, NOW).values()) == [KeyState.SIGNING]

    def test_refuses_a_second_of_the_same_algorithm(self, folder: KeyFolder) -> None:
        with pytest.raises(ConfigurationError, match="run `jwtauth keys rotate`"):
            rotation.create_key(folder, "ES256", now=NOW)

    def test_makes_one_of_another_algorithm_beside_it(self, folder: KeyFolder) -> None:
        rotation.create_key(folder, "EdDSA", now=NOW)
        assert list(states(folder, NOW).values()) == [KeyState.SIGNING, KeyState.SIGNING]

    def test_refuses_an_algorithm_that_nobody_signs_with(self, folder: KeyFolder) -> None:
        """SECURITY J-17."""
        for algorithm in ("none", "HS256", "es256", ""):
            with pytest.raises(ConfigurationError, match="choose one of ES256"):
                rotation.create_key(folder, algorithm, now=NOW)


class TestRotating:
    def test_publishes_now_and_signs_later(self, folder: KeyFolder) -> None:
        (old,) = kids(folder)
        new = rotation.rotate(folder, "ES256", now=NOW + 50, publish_in=PUBLISH_IN)
        signs_at = NOW + 50 + PUBLISH_IN
        assert (new.created_at, new.signs_at) == (NOW + 50, signs_at)
        assert states(folder, NOW + 50) == {old: KeyState.SIGNING, new.kid: KeyState.PUBLISHED}
        assert states(folder, signs_at - 1) == {old: KeyState.SIGNING, new.kid: KeyState.PUBLISHED}
        assert states(folder, signs_at) == {old: KeyState.VERIFYING, new.kid: KeyState.SIGNING}

    def test_refuses_while_a_successor_waits(self, folder: KeyFolder) -> None:
        new = rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        with pytest.raises(ConfigurationError, match=f"{new.kid} is published and waits"):
            rotation.rotate(folder, "ES256", now=NOW + PUBLISH_IN - 1, publish_in=PUBLISH_IN)
        rotation.rotate(folder, "ES256", now=NOW + PUBLISH_IN, publish_in=PUBLISH_IN)
        assert len(kids(folder)) == 3

    def test_refuses_where_there_is_nothing_to_rotate(self, folder: KeyFolder) -> None:
        with pytest.raises(ConfigurationError, match="run `jwtauth keys create --algorithm RS256`"):
            rotation.rotate(folder, "RS256", now=NOW, publish_in=PUBLISH_IN)

    def test_leaves_other_algorithms_alone(self, folder: KeyFolder) -> None:
        other = rotation.create_key(folder, "EdDSA", now=NOW)
        rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        assert states(folder, NOW + 10**6)[other.kid] is KeyState.SIGNING


class TestTheEmergency:
    def test_replaces_every_key_of_the_algorithm_at_once(self, folder: KeyFolder) -> None:
        rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        before = kids(folder)
        new, gone = rotation.replace_now(folder, "ES256", now=NOW + 10)
        assert {record.kid for record in gone} == before
        assert states(folder, NOW + 10) == {new.kid: KeyState.SIGNING}

    def test_leaves_other_algorithms_alone(self, folder: KeyFolder) -> None:
        other = rotation.create_key(folder, "EdDSA", now=NOW)
        new, _ = rotation.replace_now(folder, "ES256", now=NOW)
        assert kids(folder) == {other.kid, new.kid}

    def test_has_the_new_key_before_the_old_one_goes(self, folder: KeyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        def crash(folder: KeyFolder, record: object) -> None:
            raise KeyboardInterrupt

        (old,) = kids(folder)
        monkeypatch.setattr(KeyFolder, "remove_key", crash)
        with pytest.raises(KeyboardInterrupt):
            rotation.replace_now(folder, "ES256", now=NOW + 10)
        assert {kid for kid, state in states(folder, NOW + 10).items() if state is KeyState.SIGNING}.isdisjoint({old})


class TestPruning:
    def test_removes_a_key_once_all_of_its_tokens_are_over(self, folder: KeyFolder) -> None:
        (old,) = kids(folder)
        new = rotation.rotate(folder, "ES256", now=NOW, publish_in=PUBLISH_IN)
        over = NOW + PUBLISH_IN + LIFETIME + GRACE_IN
        assert rotation.remove_retired(folder, now=over - 1, max_token_lifetime=LIFETIME) == []
        gone = rotation.remove_retired(folder, now=over, max_token_lifetime=LIFETIME)
        assert [record.kid for record in gone] == [old]
        assert kids(folder) == {new.kid}

    def test_never_removes_the_last_key(self, folder: KeyFolder) -> None:
        assert rotation.remove_retired(folder, now=NOW + 10**9, max_token_lifetime=LIFETIME) == []


class TestSecrets:
    def test_are_created_once(self, tmp_path: Path) -> None:
        folder = KeyFolder(tmp_path / "keys")
        first = rotation.create_secret(folder, now=NOW)
        assert (first.number, first.created_at, len(first.secret)) == (1, NOW, 32)
        with pytest.raises(ConfigurationError, match="exists already"):
            rotation.create_secret(folder, now=NOW)
        assert folder.read_secrets().secrets == (first,)

    def test_are_added_beside_the_older_ones(self, tmp_path: Path) -> None:
        folder = KeyFolder(tmp_path / "keys")
        first = rotation.create_secret(folder, now=NOW)
        second = rotation.add_secret(folder, now=NOW + 5)
        assert folder.read_secrets().secrets == (first, second)
        assert second.number == 2
        assert second.secret != first.secret

    @pytest.mark.parametrize(
        ("kept", "left", "gone"), [((1,), [1, 3], [2]), ((), [3], [1, 2]), ((1, 2), [1, 2, 3], []), ((9,), [3], [1, 2])]
    )
    def test_that_no_grant_needs_go_but_never_the_newest(
        self, tmp_path: Path, kept: tuple[int, ...], left: list[int], gone: list[int]
    ) -> None:
        folder = KeyFolder(tmp_path / "keys")
        rotation.create_secret(folder, now=NOW)
        for _ in range(2):
            rotation.add_secret(folder, now=NOW)
        assert rotation.keep_secrets(folder, kept) == gone
        assert [secret.number for secret in folder.read_secrets().secrets] == left

    def test_never_take_a_number_twice(self, tmp_path: Path) -> None:
        folder = KeyFolder(tmp_path / "keys")
        rotation.create_secret(folder, now=NOW)
        rotation.add_secret(folder, now=NOW)
        rotation.keep_secrets(folder, ())
        assert rotation.add_secret(folder, now=NOW).number == 3
