"""The schema, as versioned and transactional migrations (sqlite-utils)."""

from sqlite_utils import Database, Migrations

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
