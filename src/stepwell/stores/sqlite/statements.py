"""The named statements of `queries.sql`, on one connection.

A statement that takes many rows is written for one, `VALUES (?, ?)`, and widened here to as many
rows as there are: one statement call for all, since each call costs the interpreter's lock once.
Widths are powers of two, so that the driver's cache of prepared statements serves them all; what
is left over is filled with rows of zeros, and no key, id or position that matters is 0 (positions
are counted from 1).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import chain
from typing import Any

ROWS_MAX = 1024
_FOLDER = resources.files(__package__)
_NAME = re.compile(r"^-- name: (\w+)$")
_ROW = re.compile(r"(?<=VALUES )\([?, ]+\)")


class Statements:
    """Executes statements by name, with `:now` always bound."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int = 0) -> None:
        self._connection = connection
        self._now = now_ms

    def run(self, query: str, /, **parameters: Any) -> list[Any]:
        """Execute a statement; gives its rows."""
        parameters["now"] = self._now
        return self._connection.execute(queries()[query], parameters).fetchall()

    def run_rows(self, query: str, /, rows: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Execute a statement over many rows at once; gives its rows."""
        found: list[Any] = []
        for start in range(0, len(rows), ROWS_MAX):
            some = rows[start : start + ROWS_MAX]
            width = 1 << (len(some) - 1).bit_length()
            values = [*chain.from_iterable(some), *(0,) * (len(some[0]) * (width - len(some)))]
            found += self._connection.execute(_widen(query, width), values).fetchall()
        return found


@cache
def queries() -> Mapping[str, str]:
    """Read `queries.sql` into statements by name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in _FOLDER.joinpath("queries.sql").read_text("utf-8").splitlines():
        match = _NAME.match(line)
        if match:
            lines = found[match[1]] = []
        elif not line.startswith("--"):
            lines.append(line)
    return {name: "\n".join(text).strip().removesuffix(";") for name, text in found.items()}


@cache
def _widen(query: str, width: int) -> str:
    statement = queries()[query]
    return _ROW.sub(lambda row: ", ".join([row[0]] * width), statement, count=1)


def load_migrations() -> list[tuple[int, str]]:
    """Read the migrations: version and script, in order of version."""
    folder = _FOLDER.joinpath("migrations")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(int(file.name[:4]), file.read_text("utf-8")) for file in files]


def load_schema() -> str:
    """Read the schema as it is now."""
    return _FOLDER.joinpath("schema.sql").read_text("utf-8")
