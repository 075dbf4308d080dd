"""Bring a D1 database up to date with the `.sql` files of its project.

The files and the table that remembers them are those of Cloudflare's own tool, so a database that
one of the two has migrated is taken up by the other. A file and its row in that table are one
transaction: whenever the process dies, each file has been applied as a whole or not at all.
"""

from __future__ import annotations

import logging
import re
from importlib import resources
from pathlib import Path

from stepwell.errors import D1Error, ProjectError
from stepwell.model.problem import Problem
from stepwell.runtime.bindings import D1Binding
from stepwell.runtime.d1 import D1Database
from stepwell.runtime.d1_script import split_script

_LOG = logging.getLogger("stepwell.runtime")
_NUMBER = re.compile(r"\d+")
_SQL = resources.files(__package__).joinpath("migrations.sql")
_TABLE = "d1_migrations"


async def apply_migrations(database: D1Database, binding: D1Binding, project_file: Path) -> None:
    """Apply the files of `migrations_dir` that the database has not seen, in order of number.

    Args:
        project_file: its folder is what `migrations_dir` is relative to.

    Raises:
        ProjectError: a file cannot be read, or one of its statements failed. The files before it
            stay applied; of this one nothing is.
        D1Error: the database cannot be used.
    """
    if binding.migrations_dir is None:
        return
    files = _find_files(project_file, binding, binding.migrations_dir)
    root = project_file.parent
    make_table, list_applied, remember = _statements(binding.migrations_table)
    await database.exec(make_table)
    applied = {name for (name,) in await database.prepare(list_applied).raw()}
    for path in files:
        if path.name in applied:
            continue
        shown = _shown(path, root)
        script = [database.prepare(text) for text in split_script(_read(path, shown))]
        # Its row first, which no two processes can write: one that starts beside this one and
        # also found the file pending waits here, and then sees that it is done.
        try:
            await database.batch([database.prepare(remember).bind(path.name), *script])
        except D1Error as error:
            if error.reason == f"UNIQUE constraint failed: {binding.migrations_table}.name":
                continue
            what = f"the migration failed, and nothing of it was applied: {error}"
            raise _problem(shown, what, "Correct it, and start again") from error
        _LOG.info("database %s: applied %s", binding.binding, shown)


def _read(path: Path, file: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(file, f"cannot be read: {error}", "Correct the file") from error


def _find_files(project_file: Path, binding: D1Binding, folder: str) -> list[Path]:
    try:
        found = (project_file.parent / folder).iterdir()
        return sorted((path for path in found if path.suffix == ".sql"), key=_place)
    except (OSError, ValueError) as error:  # ValueError: a NUL, or half of a surrogate pair
        reason = error.strerror if isinstance(error, OSError) else error
        raise ProjectError(
            [
                Problem(
                    file=project_file.name,
                    key=f"{binding.key}.migrations_dir",
                    what=f"is {folder!a:.80}, which cannot be read: {reason}",
                    todo="Name the folder of the .sql files, or leave it out",
                )
            ]
        ) from error


def _place(path: Path) -> tuple[float, str]:
    """Order by the number in front, as 0002_add_email.sql; files without one come last."""
    number = _NUMBER.match(path.name)
    return (int(number.group()) if number else float("inf"), path.name)


def _statements(table: str) -> list[str]:
    quoted = '"' + table.replace('"', '""') + '"'
    return split_script(_SQL.read_text("utf-8").replace(_TABLE, quoted))


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _problem(file: str, what: str, todo: str) -> ProjectError:
    return ProjectError([Problem(file=file, key="", what=what, todo=todo)])
