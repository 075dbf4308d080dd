"""Open the file, and bring its schema up to date."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from stepwell.errors import SchemaTooNew, StoreCorrupt, StoreError, StoreReadOnly
from stepwell.stores.sqlite.queries import load_migrations

_VERSION_MIN = (3, 38, 0)
_APPLICATION = 0x57454C4C  # "WELL": tells our files from anybody else's
_CACHE_KIB = 64 * 1024


def connect(
    path: Path, *, level: str, timeout_seconds: float, is_reader: bool = False
) -> sqlite3.Connection:
    """Open a connection with the settings that Stepwell relies on."""
    if sqlite3.sqlite_version_info < _VERSION_MIN:
        needed = ".".join(map(str, _VERSION_MIN))
        raise StoreError(
            f"this Python has SQLite {sqlite3.sqlite_version}; Stepwell needs {needed} or newer"
        )
    if not path.parent.is_dir():
        raise StoreReadOnly(f"the folder {path.parent} of the database does not exist; create it")
    connection = sqlite3.connect(
        path,
        timeout=timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {level}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if is_reader:
            connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the migrations that the file has not seen, in one transaction under the write lock."""
    migrations = load_migrations()
    newest = migrations[-1][0]
    if _version(connection, path, newest) == newest:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _version(connection, path, newest)  # another process may have been quicker
    for number, script in migrations:
        if number > version:
            for statement in _statements(script):
                connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {newest}")
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION and (tables or version):
        raise StoreCorrupt(f"{path} is another program's database; give another path")
    if version > newest:
        raise SchemaTooNew(
            f"{path} has schema version {version}, this Stepwell knows {newest}; "
            "upgrade Stepwell, or open the file with the version that wrote it"
        )
    return int(version)


def _statements(script: str) -> list[str]:
    """Cut a script at its statements' ends; executescript would commit first."""
    found: list[str] = []
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            found.append(text)
            text = ""
    return found
