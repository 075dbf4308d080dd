"""Open the file, and bring its schema up to date."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stepwell.errors import SchemaTooNew, StoreBusy, StoreCorrupt, StoreError, StoreReadOnly
from stepwell.stores.sqlite.statements import load_migrations, queries

VERSION_MIN = (3, 38, 0)
APPLICATION_ID = 0x57454C4C  # "WELL": tells our files from anybody else's
_CACHE_KIB = 8 * 1024
_LOG_BYTES_KEPT = 64 * 1024 * 1024
_RETRY_SECONDS = 0.02


def connect(path: Path, *, level: str, timeout_seconds: float) -> sqlite3.Connection:
    """Open the writing connection, with the settings that Stepwell relies on.

    Args:
        path: of the file, which is made if it is missing.
        level: of `PRAGMA synchronous`.
        timeout_seconds: how long to wait for another process's lock.
    """
    check_version(sqlite3.sqlite_version_info)
    if not path.parent.is_dir():
        raise StoreReadOnly(f"the folder {path.parent} of the database does not exist; create it")
    with _connecting(path, timeout_seconds) as connection:
        _schema_version(connection, path)  # before the first write: it may be somebody else's file
        _turn_wal_on(connection, path, timeout_seconds)
        connection.execute(f"PRAGMA synchronous = {level}")
        # Checkpoints stay at SQLite's 1,000 pages: a commit that makes the log longer costs twice
        # the fsync of one that writes over it, so a longer log is a slower start.
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES_KEPT}")
    return connection


def connect_for_reading(path: Path, *, timeout_seconds: float) -> sqlite3.Connection:
    """Open a connection that only reads; the writing one has been there before."""
    with _connecting(path, timeout_seconds) as connection:
        connection.execute("PRAGMA query_only = ON")
    return connection


def check_version(version: tuple[int, ...]) -> None:
    """Refuse an SQLite that is too old.

    Raises:
        StoreError: it is.
    """
    if version < VERSION_MIN:
        has, needs = (".".join(map(str, one)) for one in (version, VERSION_MIN))
        raise StoreError(
            f"this Python has SQLite {has}, and Stepwell needs {needs} or newer; "
            "use a Python that was built with a newer one"
        )


@contextmanager
def _connecting(path: Path, timeout_seconds: float) -> Iterator[sqlite3.Connection]:
    """Open a connection that is closed again only if it cannot be set up."""
    connection = sqlite3.connect(
        path,
        timeout=timeout_seconds,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        yield connection
    except BaseException:
        connection.close()
        raise


def _turn_wal_on(connection: sqlite3.Connection, path: Path, timeout_seconds: float) -> None:
    """Switch to the write-ahead log; SQLite does not wait for locks here, so we do."""
    for _ in range(1 + int(timeout_seconds / _RETRY_SECONDS)):
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_RETRY_SECONDS)
            continue
        if mode != "wal":
            raise StoreError(
                f"the database {path} cannot have a write-ahead log (SQLite keeps mode {mode}); "
                "put it on a local disk"
            )
        return
    raise StoreBusy(
        f"the database {path} stayed locked by another process for {timeout_seconds} seconds; "
        "look for a process that keeps a transaction open"
    )


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Apply the migrations that the file has not seen, in one transaction under the write lock."""
    migrations = load_migrations()
    newest = migrations[-1][0]
    if _schema_version(connection, path) == newest:
        return
    connection.execute("BEGIN IMMEDIATE")
    version = _schema_version(connection, path)  # another process may have been quicker
    for number, script in migrations:
        if number > version:
            for statement in _statements(script):
                connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {newest}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("COMMIT")


def _schema_version(connection: sqlite3.Connection, path: Path) -> int:
    newest = load_migrations()[-1][0]
    # In one statement: another process may be making the schema at this moment.
    application, version, tables = connection.execute(queries()["what_it_is"]).fetchone()
    if application != APPLICATION_ID and (tables or version or application):
        raise StoreCorrupt(
            f"{path} is the database of another program, and was left as it is; give another path"
        )
    if version > newest:
        raise SchemaTooNew(
            f"{path} has schema version {version}, and this Stepwell knows {newest}; "
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
