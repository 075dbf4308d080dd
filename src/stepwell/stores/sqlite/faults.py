"""What the driver's errors mean for us: each becomes one of ours, here and nowhere else."""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

from stepwell.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreDiskError,
    StoreError,
    StoreFull,
    StoreReadOnly,
)

_Meaning = tuple[type[StoreError], str]

_LOCKED: Final = (
    StoreBusy,
    "stayed locked by another process, so nothing was written; find what keeps a transaction open",
)
_FULL: Final = (
    StoreFull,
    "cannot grow because the disk is full, so nothing was written; free some space and try again",
)
_READ_ONLY: Final = (
    StoreReadOnly,
    "may not be written; give this user the right to write the file and the folder it is in",
)
_DAMAGED: Final = (
    StoreCorrupt,
    "is damaged; restore it from a backup, or save what can be read with `sqlite3 FILE .recover`",
)
_DISK: Final = (StoreDiskError, "cannot be read or written; check the disk and its file system")
_VALUE: Final = (StoreError, "cannot take one of the values, so nothing was written")

# By SQLite's primary code, and where it says more by its extended one.
_MEANINGS: Final[dict[int, _Meaning]] = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_FULL: _FULL,
    # The index beside the file could not grow: it is mapped into memory, hence no "full".
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_READONLY_DBMOVED: (
        StoreReadOnly,
        "was moved or deleted while it was open; put it back, or start again with a new file",
    ),
    sqlite3.SQLITE_PERM: _READ_ONLY,
    sqlite3.SQLITE_AUTH: _READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: (
        StoreReadOnly,
        "cannot be opened; check that it is a file, and that this user may write it and its folder",
    ),
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_FORMAT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: (
        StoreCorrupt,
        "is no SQLite database, or its first page is damaged; give another path",
    ),
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_NOLFS: _DISK,
    sqlite3.SQLITE_NOMEM: (StoreError, "needs more memory than there is"),
    sqlite3.SQLITE_TOOBIG: _VALUE,
    sqlite3.SQLITE_CONSTRAINT: _VALUE,
    sqlite3.SQLITE_MISMATCH: _VALUE,
    sqlite3.SQLITE_RANGE: _VALUE,
    sqlite3.SQLITE_SCHEMA: (
        StoreError,
        "has another schema than this Stepwell expects; was it changed by hand?",
    ),
    sqlite3.SQLITE_ERROR: (
        StoreError,
        "refused a statement; was its schema changed by hand?",
    ),
    sqlite3.SQLITE_MISUSE: (StoreError, "was used wrongly, which is a fault of Stepwell"),
    sqlite3.SQLITE_INTERNAL: (StoreError, "hit a fault of SQLite"),
    sqlite3.SQLITE_ABORT: (StoreError, "gave up a statement"),
    sqlite3.SQLITE_INTERRUPT: (StoreError, "was interrupted"),
    sqlite3.SQLITE_NOTFOUND: (StoreError, "refused a file operation"),
    sqlite3.SQLITE_EMPTY: _DISK,
}
_OS_MEANINGS: Final[dict[int, _Meaning]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _READ_ONLY,
    errno.EPERM: _READ_ONLY,
}


def translate(error: Exception, place: str) -> Exception:
    """Give our error for one of the driver's; any other comes back as it is.

    Args:
        error: what was raised.
        place: the file, for the message.
    """
    match error:
        case sqlite3.Error():
            kind, meaning = _meaning_of(error)
        case OSError():
            kind, meaning = _OS_MEANINGS.get(error.errno or 0, _DISK)
        case OverflowError() | UnicodeError():
            # A number beyond 64 bits, or text with half a surrogate pair.
            kind, meaning = _VALUE
        case _:
            return error
    ours = kind(f"the database {place} {meaning} (the driver says: {error})")
    ours.__cause__ = error
    return ours


def _meaning_of(error: sqlite3.Error) -> _Meaning:
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return _VALUE  # the driver itself refused it: a value of a type that it cannot bind
    return _MEANINGS.get(code) or _MEANINGS.get(code & 0xFF) or (StoreError, "failed")
