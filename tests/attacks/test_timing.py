"""How long a refusal takes tells nothing, and a machine's secret costs nothing (SECURITY B-08, C-15, C-16)."""

import time
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Final

import pytest
from msgspec.structs import replace

from jwtauth.passwords import Passwords
from jwtauth.protocol.records import AuthMethod, Client, ClientSecret, GrantType, SecretKind
from jwtauth.store.ports import Store
from tests.attacks.costs import processor_time
from tests.attacks.forging import credentials, send
from tests.support.home import PASSWORD, SECRET
from tests.web.people import Service, running

MEMORY: Final = 32_768
"""Of one hash, in KiB: it costs many times what everything else of a request does."""

ROUNDS: Final = 8
SAMPLES: Final = 30
MACHINE: Final = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With hashes as dear as in production; those of the users are made alike."""
    for service in running(tmp_path_factory.mktemp("service"), argon2_memory=MEMORY, argon2_passes=1):
        passwords = Passwords(memory=MEMORY, passes=1, threads=1, queue=0)
        hashed = passwords.hash(PASSWORD)
        passwords.close()
        service.home.ask(partial(_give_hash, hashed=hashed))
        machine = {"grant_types": (GrantType.CLIENT_CREDENTIALS,), "scope": ("read",)}
        service.home.client("generated", **machine)
        service.home.client("by form", auth_method=AuthMethod.POST, **machine)
        chosen = ClientSecret(kind=SecretKind.CHOSEN, digest=hashed, created_at=0)
        service.home.client("chosen", secrets=(chosen,), **machine)
        gone = service.home.client("gone", **machine)
        service.home.ask(partial(_disable, client=gone))
        yield service


async def _disable(store: Store, *, client: Client) -> None:
    await store.administration.disable_client(client, now=1)


async def _give_hash(store: Store, *, hashed: str) -> None:
    for username in ("ada", "bob", "eve"):
        user = await store.directory.user_named(username)
        assert user is not None
        await store.administration.change_user(replace(user, password_hash=hashed), now=1)
        if username == "bob":
            await store.administration.disable_user(user, now=1)


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


def test_c_15_an_unknown_client_is_refused_as_fast_as_a_known_one(service: Service) -> None:
    """Medians of requests in turn, with a wide margin: whoever else uses the machine disturbs all of them alike."""
    clients = {
        "known": ("generated", "x" * 43),
        "nearly right": ("generated", SECRET[:-1] + "x"),
        "unknown": ("no-client-by-this-name", SECRET),
        "disabled": ("gone", SECRET),
        "of another method": ("by form", SECRET),
        "a slow hash": ("chosen", "x" * 43),
    }
    took: dict[str, list[float]] = {who: [] for who in clients}
    for _ in range(SAMPLES):
        for who, auth in clients.items():
            began = time.perf_counter()
            response = service.token(MACHINE, auth=auth)
            took[who].append(time.perf_counter() - began)
            assert response.status_code == 401
        service.execute("DELETE FROM attempts")
    medians = {who: median(times) for who, times in took.items()}
    assert medians.pop("a slow hash") > medians["known"] * 3, f"such a difference must be seen: {medians}"
    for who, seconds in medians.items():
        assert medians["known"] / 3 < seconds < medians["known"] * 3, (who, medians)


def test_c_16_a_machine_costs_no_slow_hash(service: Service) -> None:
    """Neither with a secret that we generated, right or wrong, nor with a chosen one that was proven before."""
    machines = {
        "generated": ("generated", SECRET, 200),
        "generated, wrong": ("generated", "x" * 43, 401),
        "chosen, proven": ("chosen", PASSWORD, 200),
        "chosen, wrong": ("chosen", "x" * 43, 401),
    }
    used = dict.fromkeys(machines, 0.0)
    assert service.token(MACHINE, auth=("chosen", PASSWORD)).status_code == 200
    for _ in range(ROUNDS * 2):
        for who, (client_id, secret, status) in machines.items():
            before = processor_time(service)
            assert service.token(MACHINE, auth=(client_id, secret)).status_code == status
            used[who] += processor_time(service) - before
        service.execute("DELETE FROM attempts")
    slow = used.pop("chosen, wrong")
    assert max(used.values()) < slow / 2, (used, slow)
