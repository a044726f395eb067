"""What operators change, in SQLite: each call one transaction that also ends what the change makes untrue."""

import sqlite3
from collections.abc import Sequence

from msgspec.structs import replace

from jwtauth.errors import ConfigurationError
from jwtauth.protocol.records import Client, ClientSecret, Realm, User
from jwtauth.store.ports import Ended
from jwtauth.store.sqlite import directory, endings, origins, rows
from jwtauth.store.sqlite.positions import deny
from jwtauth.store.sqlite.writer import Writer


class SqliteAdministration:
    """The port `Administration`."""

    def __init__(self, reader: sqlite3.Connection, writer: Writer, *, max_token_lifetime: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_token_lifetime = max_token_lifetime

    async def realms(self) -> Sequence[Realm]:
        """See `Administration.realms`."""
        found = self._reader.execute(f"SELECT {rows.REALM_COLUMNS} FROM realms ORDER BY name").fetchall()  # noqa: S608
        return [rows.realm(row) for row in found]

    async def clients(self, realm: str | None = None) -> Sequence[Client]:
        """See `Administration.clients`."""
        found = self._reader.execute(
            f"SELECT {rows.CLIENT_COLUMNS} FROM clients JOIN realms ON realms.id = clients.realm_id"  # noqa: S608
            " WHERE ?1 IS NULL OR realms.name = ?1 ORDER BY client_id",
            (realm,),
        ).fetchall()
        return [rows.client(row) for row in found]

    async def users(self, realm: str | None = None) -> Sequence[User]:
        """See `Administration.users`."""
        found = self._reader.execute(
            f"SELECT {rows.USER_COLUMNS} FROM users WHERE ?1 IS NULL OR EXISTS (SELECT 1 FROM members JOIN realms"  # noqa: S608
            " ON realms.id = members.realm_id WHERE members.user_id = users.id AND realms.name = ?1) ORDER BY username",
            (realm,),
        ).fetchall()
        return [rows.user(row) for row in found]

    async def create_realm(self, realm: Realm, *, now: int) -> Realm:
        """See `Administration.create_realm`."""

        def work(connection: sqlite3.Connection) -> Realm:
            row_id = _insert(
                connection,
                "INSERT INTO realms (name, audience, disabled_at, is_demo, settings)"
                " VALUES (?, ?, ?, ?, ?) RETURNING id",
                (realm.name, realm.audience, realm.disabled_at, realm.is_demo, rows.realm_settings(realm)),
                taken=f"realm {realm.name}: its name or its audience {realm.audience} is taken",
            )
            directory.announce(connection)
            return replace(realm, id=row_id)

        return await self._writer.run(work)

    async def change_realm(self, realm: Realm, *, now: int) -> None:
        """See `Administration.change_realm`."""

        def work(connection: sqlite3.Connection) -> None:
            try:
                cursor = connection.execute(
                    "UPDATE realms SET audience = ?, settings = ? WHERE id = ?",
                    (realm.audience, rows.realm_settings(realm), realm.id),
                )
            except sqlite3.IntegrityError:
                raise ConfigurationError(f"realm {realm.name}: audience {realm.audience} is taken") from None
            _require_row(cursor, f"realm {realm.name}")
            directory.announce(connection)

        await self._writer.run(work)

    async def disable_realm(self, realm: Realm, *, now: int) -> int:
        """See `Administration.disable_realm`."""

        def work(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "UPDATE realms SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL", (now, realm.id)
            )
            _require_row(cursor, f"enabled realm {realm.name}")
            connection.execute("UPDATE clients SET epoch = epoch + 1 WHERE realm_id = ?", (realm.id,))
            return self._end_of_clients(connection, "SELECT id FROM clients WHERE realm_id = ?", realm.id, now=now)

        return await self._writer.run(work)

    async def enable_realm(self, realm: Realm, *, now: int) -> None:
        """See `Administration.enable_realm`."""
        await self._enable("realms", realm.id, f"disabled realm {realm.name}")

    async def create_client(self, client: Client, *, now: int) -> Client:
        """See `Administration.create_client`."""

        def work(connection: sqlite3.Connection) -> Client:
            if connection.execute("SELECT 1 FROM users WHERE sub = ?", (client.client_id,)).fetchall():
                raise ConfigurationError(f"client_id {client.client_id} is the subject of a user; choose another")
            row_id = _insert(
                connection,
                "INSERT INTO clients (client_id, realm_id, epoch, disabled_at, is_demo, secrets, settings)"
                " VALUES (?, ?, 0, NULL, ?, ?, ?) RETURNING id",
                (
                    client.client_id,
                    client.realm.id,
                    client.is_demo,
                    rows.secrets(client.secrets),
                    rows.client_settings(client),
                ),
                taken=f"client {client.client_id}: the client_id is taken",
            )
            origins.write(connection, row_id, client.redirect_uris)
            directory.announce(connection)
            return replace(client, id=row_id)

        return await self._writer.run(work)

    async def change_client(self, client: Client, *, now: int) -> None:
        """See `Administration.change_client`."""

        def work(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(
                "UPDATE clients SET epoch = epoch + 1, settings = ? WHERE id = ?",
                (rows.client_settings(client), client.id),
            )
            _require_row(cursor, f"client {client.client_id}")
            origins.write(connection, client.id, client.redirect_uris)
            directory.announce(connection)

        await self._writer.run(work)

    async def disable_client(self, client: Client, *, now: int) -> int:
        """See `Administration.disable_client`."""

        def work(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "UPDATE clients SET disabled_at = ?, epoch = epoch + 1 WHERE id = ? AND disabled_at IS NULL",
                (now, client.id),
            )
            _require_row(cursor, f"enabled client {client.client_id}")
            return self._end_of_clients(connection, "SELECT ?", client.id, now=now)

        return await self._writer.run(work)

    async def enable_client(self, client: Client, *, now: int) -> None:
        """See `Administration.enable_client`."""
        await self._enable("clients", client.id, f"disabled client {client.client_id}")

    async def replace_secrets(self, client: Client, secrets: tuple[ClientSecret, ...], *, now: int) -> None:
        """See `Administration.replace_secrets`."""

        def work(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(
                "UPDATE clients SET secrets = ? WHERE id = ?", (rows.secrets(secrets), client.id)
            )
            _require_row(cursor, f"client {client.client_id}")
            directory.announce(connection)

        await self._writer.run(work)

    async def create_user(self, user: User, *, now: int) -> User:
        """See `Administration.create_user`."""

        def work(connection: sqlite3.Connection) -> User:
            if connection.execute("SELECT 1 FROM clients WHERE client_id = ?", (user.sub,)).fetchall():
                raise ConfigurationError(f"user {user.username}: its subject is the client_id of a client")
            row_id = _insert(
                connection,
                "INSERT INTO users (id, sub, username, password_hash, epoch, disabled_at, is_demo, profile, updated_at)"
                " VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?) RETURNING id",
                (
                    user.id or None,
                    user.sub,
                    user.username,
                    user.password_hash,
                    user.disabled_at,
                    user.is_demo,
                    rows.profile(user.profile),
                    user.updated_at,
                ),
                taken=f"user {user.username}: the username or the id is taken",
            )
            created = replace(user, id=row_id)
            _write_members(connection, created)
            directory.announce(connection)
            return created

        return await self._writer.run(work)

    async def change_user(self, user: User, *, now: int) -> int:
        """See `Administration.change_user`."""

        def work(connection: sqlite3.Connection) -> int:
            before = connection.execute(
                f"SELECT {rows.USER_COLUMNS} FROM users WHERE id = ?",  # noqa: S608 - the column names are ours
                (user.id,),
            ).fetchall()
            if not before:
                raise ConfigurationError(f"user {user.username} does not exist")
            known = rows.user(before[0])
            try:
                connection.execute(
                    "UPDATE users SET username = ?, password_hash = ?, profile = ?, updated_at = ?, epoch = epoch + 1"
                    " WHERE id = ?",
                    (user.username, user.password_hash, rows.profile(user.profile), user.updated_at, user.id),
                )
            except sqlite3.IntegrityError:
                raise ConfigurationError(f"user {user.username}: the username is taken") from None
            _write_members(connection, user)
            directory.announce(connection)
            if known.password_hash != user.password_hash:
                return self._end_of_user(connection, user, now=now)
            left = [realm for realm in known.roles if realm not in user.roles]
            return sum(self._end_of_member(connection, user, realm, now=now) for realm in left)

        return await self._writer.run(work)

    async def change_password(self, user: User, password_hash: str, *, now: int) -> Ended | None:
        """See `Administration.change_password`."""

        def work(connection: sqlite3.Connection) -> Ended | None:
            cursor = connection.execute(
                "UPDATE users SET password_hash = ?, epoch = epoch + 1"
                " WHERE id = ? AND epoch = ? AND disabled_at IS NULL",
                (password_hash, user.id, user.epoch),
            )
            if cursor.rowcount != 1:
                return None
            directory.announce(connection)
            return endings.end_user(connection, user.id, now=now, max_token_lifetime=self._max_token_lifetime)

        return await self._writer.run(work)

    async def rehash_password(self, user: User, password_hash: str) -> bool:
        """See `Administration.rehash_password`."""

        def work(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?",
                (password_hash, user.id, user.password_hash),
            )
            return _announce_if_changed(connection, cursor)

        return await self._writer.run(work)

    async def rehash_secret(self, client: Client, digest: str, better: str) -> bool:
        """See `Administration.rehash_secret`."""

        def work(connection: sqlite3.Connection) -> bool:
            found = connection.execute(
                f"SELECT {rows.CLIENT_COLUMNS} FROM clients JOIN realms ON realms.id = clients.realm_id"  # noqa: S608
                " WHERE clients.id = ?",
                (client.id,),
            ).fetchall()
            known = rows.client(found[0]).secrets if found else ()
            rehashed = tuple(replace(secret, digest=better) if secret.digest == digest else secret for secret in known)
            if rehashed == known:
                return False
            cursor = connection.execute(
                "UPDATE clients SET secrets = ? WHERE id = ?", (rows.secrets(rehashed), client.id)
            )
            return _announce_if_changed(connection, cursor)

        return await self._writer.run(work)

    async def disable_user(self, user: User, *, now: int) -> int:
        """See `Administration.disable_user`."""

        def work(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "UPDATE users SET disabled_at = ?, epoch = epoch + 1 WHERE id = ? AND disabled_at IS NULL",
                (now, user.id),
            )
            _require_row(cursor, f"enabled user {user.username}")
            directory.announce(connection)
            return self._end_of_user(connection, user, now=now)

        return await self._writer.run(work)

    async def enable_user(self, user: User, *, now: int) -> None:
        """See `Administration.enable_user`."""
        await self._enable("users", user.id, f"disabled user {user.username}")

    async def announce_keys(self) -> None:
        """See `Administration.announce_keys`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE state SET key_version = key_version + 1")

        await self._writer.run(work)

    def fingerprints(self) -> dict[int, str]:
        """See `Administration.fingerprints`."""
        return dict(self._reader.execute("SELECT number, fingerprint FROM secrets").fetchall())

    async def remember_secret(self, number: int, fingerprint: str) -> None:
        """See `Administration.remember_secret`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO secrets VALUES (?, ?)", (number, fingerprint))

        await self._writer.run(work)

    async def forget_secrets(self, numbers: Sequence[int]) -> None:
        """See `Administration.forget_secrets`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM secrets WHERE number = ?", [(number,) for number in numbers])

        await self._writer.run(work)

    def _end_of_clients(self, connection: sqlite3.Connection, which: str, value: int, *, now: int) -> int:
        """End the grants and deny the blocks of the clients that a subselect names."""
        directory.announce(connection)
        blocks = connection.execute(
            f"SELECT position, size, use_until FROM blocks WHERE client_id IN ({which})",  # noqa: S608 - written above
            (value,),
        ).fetchall()
        deny(connection, blocks, max_token_lifetime=self._max_token_lifetime)
        return self._end(connection, f"client_id IN ({which})", (value,), now=now)

    def _end_of_user(self, connection: sqlite3.Connection, user: User, *, now: int) -> int:
        return endings.end_user(connection, user.id, now=now, max_token_lifetime=self._max_token_lifetime).grants

    def _end_of_member(self, connection: sqlite3.Connection, user: User, realm: str, *, now: int) -> int:
        where = (
            "user_id = ? AND client_id IN (SELECT clients.id FROM clients JOIN realms ON realms.id = clients.realm_id"
            " WHERE realms.name = ?)"
        )
        return self._end(connection, where, (user.id, realm), now=now)

    def _end(self, connection: sqlite3.Connection, where: str, values: tuple[object, ...], *, now: int) -> int:
        return endings.end_grants(connection, where, values, now=now, max_token_lifetime=self._max_token_lifetime)

    async def _enable(self, table: str, row_id: int, expected: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(
                f"UPDATE {table} SET disabled_at = NULL WHERE id = ? AND disabled_at IS NOT NULL",  # noqa: S608
                (row_id,),
            )
            _require_row(cursor, expected)
            directory.announce(connection)

        await self._writer.run(work)


def _insert(connection: sqlite3.Connection, statement: str, values: tuple[object, ...], *, taken: str) -> int:
    try:
        row_id: int = connection.execute(statement, values).fetchall()[0][0]
    except sqlite3.IntegrityError:
        raise ConfigurationError(taken) from None
    return row_id


def _announce_if_changed(connection: sqlite3.Connection, cursor: sqlite3.Cursor) -> bool:
    if cursor.rowcount != 1:
        return False
    directory.announce(connection)
    return True


def _require_row(cursor: sqlite3.Cursor, expected: str) -> None:
    if cursor.rowcount != 1:
        raise ConfigurationError(f"there is no {expected}")


def _write_members(connection: sqlite3.Connection, user: User) -> None:
    connection.execute("DELETE FROM members WHERE user_id = ?", (user.id,))
    for realm, roles in user.roles.items():
        cursor = connection.execute(
            "INSERT INTO members SELECT ?, id, json(?) FROM realms WHERE name = ?",
            (user.id, rows.roles(roles), realm),
        )
        _require_row(cursor, f"realm {realm}")
