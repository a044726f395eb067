"""Targets in what an operator moves in from elsewhere: rows of CSV and JSON, and hashes."""

import re
from collections.abc import Mapping
from typing import Any, Final

from jwtauth import passwords
from jwtauth.cli.moving import moved_clients, moved_users, rows
from jwtauth.cli.moving.moved_users import Join
from jwtauth.errors import ConfigurationError
from jwtauth.protocol.records import Realm
from tests.soak.fuzz.target import Target

NOW: Final = 1_800_000_000

_REALM: Final = Realm(id=1, name="portal", audience="https://portal.example", roles=("reader",))
_JOIN: Final = Join(realm="portal", roles=("reader",), drops_unknown_hashes=False)
_STORED: Final = re.compile(r"(\{[a-z0-9-]+:[^{}]+\})?", re.ASCII)


def _read_users(data: bytes, form: str) -> None:
    for row in _rows(data, form, moved_users.TYPES, moved_users.ALIASES):
        moved_users.read(row, _JOIN, (_REALM,), now=NOW)


def _read_clients(data: bytes, form: str) -> None:
    for row in _rows(data, form, moved_clients.TYPES, moved_clients.ALIASES):
        moved_clients.read(row, _REALM, (_REALM,), max_token_lifetime=86_400)


def _rows(data: bytes, form: str, types: Mapping[str, Any], aliases: Mapping[str, str]) -> list[rows.Row]:
    table = rows.read(data, form)
    for problem in table.problems:
        assert 1 <= problem.row <= len(table)
    return rows.renamed(table.rows, types, aliases)


def _take(data: bytes) -> None:
    """A hash that is taken can be verified later: what stands in front of it is found again."""
    taken = passwords.take(data.decode(errors="replace"))
    assert taken.hashed or taken.stored.startswith("$argon2")
    assert taken.stored.startswith("$argon2") or _STORED.fullmatch(taken.stored)


FILES: Final = {
    "users-csv": Target(
        read=lambda data: _read_users(data, "csv"),
        refusals=(ConfigurationError,),
        seeds=(
            b"\xef\xbb\xbfusername;email;roles\r\nada;ada@example.org;reader\r\n",
            b'user_name,password,active\n"a ""b""",{noop}x,yes\nb,$2a$10$,maybe\n',
            b'username\n"a',
            b"username,id\na," + b"9" * 5_000,
            b"username\n\x00\n",
        ),
        max_length=150_000,
    ),
    "users-json": Target(
        read=lambda data: _read_users(data, "json"),
        refusals=(ConfigurationError,),
        seeds=(
            b'[{"username":"ada","id":1,"address":{"locality":"London"},"email_verified":true},1]',
            b'[{"username":"\xff"}]',
            b'[{"username":"\\ud800","id":1e400}]',
            b"[" * 4_000,
        ),
    ),
    "clients-csv": Target(
        read=lambda data: _read_clients(data, "csv"),
        refusals=(ConfigurationError,),
        seeds=(
            b"client_id,secret,authorized_grant_types,web_server_redirect_uri,scope\n"
            b'shop,{noop}x,"password,refresh_token",https://shop.example/cb,read\n',
            b"client_id,autoapprove,access_token_validity,public\nshop,true,9e9,1\n",
        ),
    ),
    "clients-json": Target(
        read=lambda data: _read_clients(data, "json"),
        refusals=(ConfigurationError,),
        seeds=(
            b'[{"client_id":"shop","autoapprove":["read"],"additional_information":{"a":1},"redirect_uris":["x:"]}]',
            b'[{"client_id":"shop","auth_method":"none","grant_types":[],"scopes":"a b","client_type":"public"}]',
        ),
    ),
    "hash": Target(
        read=_take,
        refusals=(ConfigurationError,),
        seeds=(
            b"$2a$10$dXJ3SW6G7P50lGmMkkmwe.20cQQubK3.HZWzG3YB1tlRy.fqvM/BG",
            b"pbkdf2:sha256:600000$salt$" + b"a" * 64,
            b"scrypt:32768:8:1$salt$" + b"a" * 128,
            b"sha256$salt$" + b"a" * 64,
            b"{pbkdf2}" + b"a" * 80,
            b"{scrypt}$e0801$8bWJaSu2IKSn9Z9kM+TPXA==$" + b"A" * 43 + b"=",
            b"{sha256}" + b"a" * 80,
            b"{onesait:5:AAAA}" + b"A" * 43 + b"=",
            b"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$" + b"A" * 43,
            b"{noop}secret",
        ),
    ),
}
