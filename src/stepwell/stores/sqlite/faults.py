"""What SQLite's errors mean for us: each becomes one of ours, here and nowhere else."""

from __future__ import annotations

import sqlite3

from stepwell.errors import StoreBusy, StoreCorrupt, StoreError, StoreFull, StoreReadOnly

_KINDS: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreBusy,
        "is locked; it is tried again. If this lasts, find the process with an open transaction",
    ),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "is locked by another connection; it is tried again"),
    sqlite3.SQLITE_FULL: (StoreFull, "cannot grow: the disk is full. Free some space"),
    sqlite3.SQLITE_READONLY: (
        StoreReadOnly,
        "may not be written; give this user the right to write the file and its folder",
    ),
    sqlite3.SQLITE_PERM: (StoreReadOnly, "may not be used; check the rights of file and folder"),
    sqlite3.SQLITE_AUTH: (StoreReadOnly, "may not be used; check the rights of file and folder"),
    sqlite3.SQLITE_CANTOPEN: (
        StoreReadOnly,
        "cannot be opened; check that the folder exists and may be written",
    ),
    sqlite3.SQLITE_CORRUPT: (
        StoreCorrupt,
        "is damaged; restore it from a backup, or save what is readable: sqlite3 FILE .recover",
    ),
    sqlite3.SQLITE_NOTADB: (StoreCorrupt, "is no SQLite database; give another path"),
    sqlite3.SQLITE_IOERR: (StoreError, "cannot be read or written; check the disk"),
    sqlite3.SQLITE_NOMEM: (StoreError, "needs more memory than there is"),
    sqlite3.SQLITE_TOOBIG: (StoreError, "cannot take a value this large"),
}


def translate(error: sqlite3.Error, place: str) -> StoreError:
    """Give our error for one of SQLite's.

    Args:
        error: what the driver raised.
        place: the file, for the message.
    """
    code = getattr(error, "sqlite_errorcode", 0) or 0
    kind, meaning = _KINDS.get(code & 0xFF, (StoreError, "failed"))
    return kind(f"the database {place} {meaning}. (SQLite says: {error})")
