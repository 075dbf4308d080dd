"""What the disk allows: single-row commits of bare sqlite3, WAL and synchronous=FULL."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

_ROW = "x" * 80


def commits_per_second(folder: Path, commits: int) -> float:
    """Insert one row per transaction into a fresh file of `folder`, and give the rate."""
    path = folder / "bare.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, value TEXT)")
        started = time.perf_counter()
        for _ in range(commits):
            connection.execute("INSERT INTO rows (value) VALUES (?)", (_ROW,))
        seconds = time.perf_counter() - started
    path.unlink()
    return commits / seconds
