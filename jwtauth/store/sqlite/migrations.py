"""The schema, as versioned and transactional migrations (sqlite-utils)."""

import json

from sqlite_utils import Database, Migrations

from jwtauth.store.sqlite import origins

migrations = Migrations("jwtauth")


@migrations()
def m0001_token_service(db: Database) -> None:
    """Realms, clients, users, grants, positions, counters."""
    for statement in (
        """
        CREATE TABLE state (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            epoch INTEGER NOT NULL,
            next_position INTEGER NOT NULL,
            revocation_version INTEGER NOT NULL,
            directory_version INTEGER NOT NULL,
            key_version INTEGER NOT NULL
        )
        """,
        "INSERT INTO state VALUES (1, 1, 0, 0, 0, 0)",
        "CREATE TABLE secrets (number INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL)",
        """
        CREATE TABLE realms (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            audience TEXT NOT NULL UNIQUE,
            disabled_at INTEGER,
            is_demo INTEGER NOT NULL,
            settings TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE clients (
            id INTEGER PRIMARY KEY,
            client_id TEXT NOT NULL UNIQUE,
            realm_id INTEGER NOT NULL REFERENCES realms (id),
            epoch INTEGER NOT NULL,
            disabled_at INTEGER,
            is_demo INTEGER NOT NULL,
            secrets TEXT NOT NULL,
            settings TEXT NOT NULL
        )
        """,
        "CREATE INDEX clients_realm_id ON clients (realm_id)",
        """
        CREATE TABLE users (
            id INTEGER PRIMARY KEY,
            sub TEXT NOT NULL UNIQUE,
            username TEXT NOT NULL UNIQUE,
            password_hash TEXT,
            epoch INTEGER NOT NULL,
            disabled_at INTEGER,
            is_demo INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE members (
            user_id INTEGER NOT NULL REFERENCES users (id),
            realm_id INTEGER NOT NULL REFERENCES realms (id),
            roles TEXT NOT NULL,
            PRIMARY KEY (user_id, realm_id)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE grants (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            client_id INTEGER NOT NULL,
            user_id INTEGER NOT NULL,
            scope TEXT NOT NULL,
            resources TEXT NOT NULL,
            position INTEGER NOT NULL,
            generation INTEGER NOT NULL,
            secret_number INTEGER NOT NULL,
            rotated_at INTEGER,
            created_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            ended_at INTEGER,
            sweep_at INTEGER NOT NULL
        )
        """,
        "CREATE INDEX grants_position ON grants (position)",
        "CREATE INDEX grants_user_id ON grants (user_id)",
        "CREATE INDEX grants_client_id ON grants (client_id)",
        "CREATE INDEX grants_sweep_at ON grants (sweep_at)",
        """
        CREATE TABLE blocks (
            position INTEGER PRIMARY KEY,
            size INTEGER NOT NULL,
            client_id INTEGER NOT NULL,
            use_until INTEGER NOT NULL
        )
        """,
        "CREATE INDEX blocks_client_id ON blocks (client_id)",
        "CREATE INDEX blocks_use_until ON blocks (use_until)",
        """
        CREATE TABLE revocations (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            position INTEGER NOT NULL,
            size INTEGER NOT NULL,
            keep_until INTEGER NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX revocations_position ON revocations (position, size)",
        "CREATE INDEX revocations_keep_until ON revocations (keep_until)",
        """
        CREATE TABLE attempts (
            bucket INTEGER PRIMARY KEY,
            count INTEGER NOT NULL,
            last_at INTEGER NOT NULL
        )
        """,
    ):
        db.execute(statement)


@migrations()
def m0002_people(db: Database) -> None:
    """People signed in: sessions, codes, consents, logout notices, profiles, web origins."""
    for statement in (
        "ALTER TABLE grants ADD COLUMN session_id INTEGER",
        "ALTER TABLE grants ADD COLUMN auth_time INTEGER",
        "ALTER TABLE grants ADD COLUMN claims TEXT",
        "ALTER TABLE grants ADD COLUMN code_challenge TEXT",
        "ALTER TABLE grants ADD COLUMN code_expires_at INTEGER",
        "ALTER TABLE grants ADD COLUMN redeemed_at INTEGER",
        "ALTER TABLE grants ADD COLUMN redirect_uri TEXT",
        "ALTER TABLE grants ADD COLUMN nonce TEXT",
        "CREATE INDEX grants_session_id ON grants (session_id) WHERE session_id IS NOT NULL",
        "ALTER TABLE users ADD COLUMN profile TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE users ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0",
        # Grants name sessions, and workers logout notices, that are long gone: no id is given twice.
        """
        CREATE TABLE sessions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            digest BLOB NOT NULL UNIQUE,
            previous_digest BLOB,
            sid TEXT NOT NULL UNIQUE,
            user_id INTEGER NOT NULL REFERENCES users (id),
            auth_time INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            seen_at INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            ends_at INTEGER NOT NULL,
            ended_at INTEGER,
            user_agent TEXT NOT NULL
        )
        """,
        "CREATE INDEX sessions_user_id ON sessions (user_id)",
        "CREATE INDEX sessions_previous_digest ON sessions (previous_digest) WHERE previous_digest IS NOT NULL",
        "CREATE INDEX sessions_over_at ON sessions (coalesce(ended_at, min(expires_at, ends_at)))",
        """
        CREATE TABLE session_clients (
            session_id INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
            client_id INTEGER NOT NULL REFERENCES clients (id),
            PRIMARY KEY (session_id, client_id)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE consents (
            user_id INTEGER NOT NULL REFERENCES users (id),
            client_id INTEGER NOT NULL REFERENCES clients (id),
            scope TEXT NOT NULL,
            claims TEXT,
            resources TEXT NOT NULL,
            granted_at INTEGER NOT NULL,
            PRIMARY KEY (user_id, client_id)
        )
        """,
        """
        CREATE TABLE logouts (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            client_id INTEGER NOT NULL REFERENCES clients (id),
            sub TEXT NOT NULL,
            sid TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            created_at INTEGER NOT NULL,
            due_at INTEGER NOT NULL
        )
        """,
        "CREATE INDEX logouts_due_at ON logouts (due_at)",
        """
        CREATE TABLE finished (
            digest BLOB PRIMARY KEY,
            grant_id INTEGER NOT NULL,
            forget_at INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE INDEX finished_forget_at ON finished (forget_at)",
        """
        CREATE TABLE origins (
            origin TEXT NOT NULL,
            client_id INTEGER NOT NULL REFERENCES clients (id),
            PRIMARY KEY (origin, client_id)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX origins_client_id ON origins (client_id)",
    ):
        db.execute(statement)
    for row_id, redirect_uris in db.execute("SELECT id, json_extract(settings, '$.redirect_uris') FROM clients"):
        origins.write(db.conn, row_id, json.loads(redirect_uris or "[]"))


@migrations()
def m0003_legacy_uses(db: Database) -> None:
    """Uses of legacy doors, counted per client."""
    db.execute(
        """
        CREATE TABLE legacy_uses (
            client_id INTEGER NOT NULL REFERENCES clients (id),
            door TEXT NOT NULL,
            count INTEGER NOT NULL,
            first_at INTEGER NOT NULL,
            last_at INTEGER NOT NULL,
            PRIMARY KEY (client_id, door)
        ) WITHOUT ROWID
        """
    )


@migrations()
def m0004_exchanged(db: Database) -> None:
    """Foreign tokens that were exchanged for a grant."""
    for statement in (
        "CREATE TABLE exchanged (digest BLOB PRIMARY KEY, forget_at INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX exchanged_forget_at ON exchanged (forget_at)",
    ):
        db.execute(statement)


@migrations()
def m0005_grant_types(db: Database) -> None:
    """By which grant a row began, where that cannot be told from the rest of it."""
    db.execute("ALTER TABLE grants ADD COLUMN grant_type TEXT")


@migrations()
def m0006_upstream_realms(db: Database) -> None:
    """Which realm's upstream said who a session is of."""
    db.execute("ALTER TABLE sessions ADD COLUMN upstream_realm TEXT")
