"""Many grants and many clients at once, written straight into the database of a folder."""

import random
import sqlite3
import time
from collections.abc import Iterator
from typing import Final

from bench.folder import APPLICATION, LIFE_IN, SCOPE, SERVICE, Folder
from jwtauth.protocol.records import Pointer
from jwtauth.store.sqlite import connection

PEOPLE: Final = 1_000
"""The people whose grants these are; the indexes meet them in no order, as in real life."""

_SEED: Final = 6749


def add_grants(folder: Folder, count: int) -> float:
    """Add so many live grants; returns the bytes that one of them takes in the database, indexes included."""
    database = connection.connect(folder.source.database)
    database.execute("BEGIN IMMEDIATE")
    _add_people(database)
    database.execute("COMMIT")
    before = _size(database)
    database.execute("BEGIN IMMEDIATE")
    _insert(database, _grants(database, count, now=int(time.time())))
    database.execute("UPDATE state SET next_position = next_position + ?", (count,))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    taken = (_size(database) - before) / count
    database.close()
    return taken


def refresh_tokens(folder: Folder, count: int, *, of: int) -> tuple[bytes, ...]:
    """The refresh tokens of so many grants of those that were added, picked at random."""
    sealer = folder.sealer(epoch=1)
    picked = random.Random(_SEED).sample(range(1, of + 1), min(count, of))
    pointers = (Pointer(grant_id=each, generation=0, secret_number=sealer.current_number) for each in picked)
    return tuple(sealer.refresh_token(pointer).encode("ascii") for pointer in pointers)


def add_clients(folder: Folder, count: int) -> tuple[str, ...]:
    """Add so many clients that are like SERVICE but for their names; returns these."""
    names = tuple(f"{SERVICE}-{number}" for number in range(count))
    database = connection.connect(folder.source.database)
    database.execute("BEGIN IMMEDIATE")
    database.executemany(
        "INSERT INTO clients (client_id, realm_id, epoch, disabled_at, is_demo, secrets, settings)"
        " SELECT ?, realm_id, epoch, disabled_at, is_demo, secrets, settings FROM clients WHERE client_id = ?",
        ((name, SERVICE) for name in names),
    )
    database.execute("COMMIT")
    database.close()
    return names


def _add_people(database: sqlite3.Connection) -> None:
    people = range(2, PEOPLE + 1)
    database.executemany(
        "INSERT INTO users (id, sub, username, epoch, is_demo) VALUES (?, ?, ?, 0, 0)",
        ((number, f"u.{number:016}", f"person-{number}") for number in people),
    )
    database.executemany(
        "INSERT INTO members (user_id, realm_id, roles) SELECT ?, realm_id, roles FROM members WHERE user_id = 1",
        ((number,) for number in people),
    )


def _grants(database: sqlite3.Connection, count: int, *, now: int) -> Iterator[tuple[object, ...]]:
    """Rows of grants that were made over the last weeks by everybody, each refreshed at any time since.

    So they end in another order than they began, which leaves room in the pages of an index, as use does.
    """
    client_id = database.execute("SELECT id FROM clients WHERE client_id = ?", (APPLICATION,)).fetchall()[0][0]
    position = database.execute("SELECT next_position FROM state").fetchall()[0][0]
    dice = random.Random(_SEED)
    for number in range(count):
        created_at = now - LIFE_IN // 2 + number * (LIFE_IN // 2) // count
        expires_at = dice.randint(created_at, now) + LIFE_IN
        person = dice.randint(1, PEOPLE)
        yield (
            *(number + 1, client_id, person, " ".join(SCOPE), "", position + number, 0, 1),
            *(created_at, expires_at, created_at + 12 * LIFE_IN, expires_at),
        )


def _insert(database: sqlite3.Connection, rows: Iterator[tuple[object, ...]]) -> None:
    database.executemany(
        "INSERT INTO grants (id, client_id, user_id, scope, resources, position, generation, secret_number, created_at,"
        " expires_at, ends_at, sweep_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def _size(database: sqlite3.Connection) -> int:
    """Bytes of the pages in use."""
    pages: int = database.execute("PRAGMA page_count").fetchall()[0][0]
    free: int = database.execute("PRAGMA freelist_count").fetchall()[0][0]
    size: int = database.execute("PRAGMA page_size").fetchall()[0][0]
    return (pages - free) * size
