"""How long a refusal takes tells nothing (SECURITY B-08, C-15)."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from msgspec.structs import replace

from jwtauth.passwords import Passwords
from jwtauth.store.ports import Store
from tests.attacks.forging import credentials, send
from tests.support.home import PASSWORD
from tests.web.people import Service, running

MEMORY: Final = 32_768
"""Of one hash, in KiB: it costs many times what everything else of a request does."""

ROUNDS: Final = 8


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With hashes as dear as in production; those of the users are made alike."""
    for service in running(tmp_path_factory.mktemp("service"), argon2_memory=MEMORY, argon2_passes=1):
        passwords = Passwords(memory=MEMORY, passes=1, threads=1, queue=0)
        hashed = passwords.hash(PASSWORD)
        passwords.close()
        service.home.ask(partial(_give_hash, hashed=hashed))
        yield service


async def _give_hash(store: Store, *, hashed: str) -> None:
    for username in ("ada", "bob", "eve"):
        user = await store.directory.user_named(username)
        assert user is not None
        await store.administration.change_user(replace(user, password_hash=hashed), now=1)
        if username == "bob":
            await store.administration.disable_user(user, now=1)


def processor_time(service: Service) -> float:
    """What the server has used so far, in seconds: other programs on the machine do not disturb it."""
    fields = Path(f"/proc/{service.server.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_b_08_an_unknown_person_costs_what_a_known_one_does(service: Service) -> None:
    """Interleaved and added up, with a wide margin: without a dummy hash an unknown person costs less than a third."""
    people = {
        "known": ("ada", "wrong"),
        "unknown": ("no-one-by-this-name", "wrong"),
        "disabled": ("bob", PASSWORD),
        "no member": ("eve", PASSWORD),
        "nothing checked": ("ada", "x" * 1_025),
    }
    used = dict.fromkeys(people, 0.0)
    with service.browser() as person:
        page = person.authorize("web")
        for _ in range(ROUNDS):
            for who, typed in people.items():
                before = processor_time(service)
                send(person, page, credentials(*typed))
                used[who] += processor_time(service) - before
            service.execute("DELETE FROM attempts")
    without_hash = used.pop("nothing checked")
    assert without_hash < used["known"] / 3, f"a hash must dominate, or this test proves nothing: {used} {without_hash}"
    for who, seconds in used.items():
        assert used["known"] / 2 <= seconds <= used["known"] * 2, (who, used)
