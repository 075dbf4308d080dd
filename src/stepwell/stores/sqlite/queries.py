"""Loads SQL from its files: queries by name, and the migrations in order."""

from __future__ import annotations

import re
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)$")
_FOLDER = resources.files(__package__)


def load_queries() -> dict[str, str]:
    """Read `queries.sql` into statements by name."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in _FOLDER.joinpath("queries.sql").read_text("utf-8").splitlines():
        match = _NAME.match(line)
        if match:
            lines = found.setdefault(match[1], [])
        elif not line.startswith("--"):
            lines.append(line)
    return {name: "\n".join(text).strip().rstrip(";") for name, text in found.items()}


def load_migrations() -> list[tuple[int, str]]:
    """Read the migrations: version and script, in order of version."""
    folder = _FOLDER.joinpath("migrations")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(int(file.name[:4]), file.read_text("utf-8")) for file in files]


def load_schema() -> str:
    """Read the schema as it is now."""
    return _FOLDER.joinpath("schema.sql").read_text("utf-8")
