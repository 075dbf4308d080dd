"""Find a project's file and read it as JSON with comments and trailing commas."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import json5

from stepwell.errors import ProjectError
from stepwell.model.problem import Problem
from stepwell.runtime.problems import Findings
from stepwell.runtime.table import JsonValue, Table, kind_of

FILE_NAMES = ("wrangler.jsonc", "wrangler.json")
_TOML = "wrangler.toml"
_FILE_BYTES_MAX = 1024 * 1024
_PLACE = re.compile(r"<string>:(?P<line>\d+) (?P<what>.*) at column (?P<column>\d+)", re.DOTALL)
_EXAMPLE = (
    '{"name": "my-app", "main": "src/app.py", '
    '"workflows": [{"binding": "MY_WORKFLOW", "name": "my-workflow", "class_name": "MyWorkflow"}]}'
)


def find_file(folder: Path) -> Path:
    """Find the project file in a folder, or else in the nearest folder above it.

    Raises:
        ProjectError: there is none.
    """
    for place in (folder.resolve(), *folder.resolve().parents):
        for name in FILE_NAMES:
            if (place / name).is_file():
                return place / name
        if (place / _TOML).is_file():
            _refuse_toml(place / _TOML)
    return _refuse(
        str(folder),
        f"has no {' or '.join(FILE_NAMES)}, nor has a folder above it",
        f"Go to the project's folder, say --config PATH, or write a file such as {_EXAMPLE}",
    )


def read_file(path: Path) -> Table:
    """Read a project file as one object, noting its warnings.

    Raises:
        ProjectError: it cannot be read, is no JSON, or is no object.
    """
    if path.suffix == ".toml":
        _refuse_toml(path)
    findings = Findings(path.name)
    value = _parse(path, _text_of(path), findings)
    if not isinstance(value, dict):
        _refuse(path.name, f"must hold an object, but holds {kind_of(value)}", f"Write {_EXAMPLE}")
    return Table(value, "", findings)


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            _refuse(path.name, f"is larger than {_FILE_BYTES_MAX} bytes", "Give the right file")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        _refuse(str(path), f"cannot be read: {error.strerror}", "Check the path and its rights")
    except UnicodeDecodeError as error:
        _refuse(path.name, f"is not UTF-8 at byte {error.start}", "Save it as UTF-8")


def _parse(path: Path, text: str, findings: Findings) -> JsonValue:
    if not text.strip():
        _refuse(path.name, "is empty", f"Write a file such as {_EXAMPLE}")

    def make_object(pairs: Iterable[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        found: dict[str, JsonValue] = {}
        for name, item in pairs:
            if name in found:
                what = "stands more than once in one object; the last one counts"
                findings.warn(name, what, "Keep one of them")
            found[name] = item
        return found

    try:
        value: JsonValue = json5.loads(
            text, object_pairs_hook=make_object, parse_constant=_refuse_constant
        )
    except ValueError as error:
        raise ProjectError([_syntax_problem(path.name, str(error))]) from None
    except RecursionError:
        _refuse(path.name, "nests too deeply", "Make it flatter")
    return value


def _syntax_problem(file: str, reason: str) -> Problem:
    place = _PLACE.fullmatch(reason)
    todo = "Correct it; the file is JSON, with comments and trailing commas allowed"
    if place is None:
        return Problem(file=file, key="", what=f"is no JSON: {reason}", todo=todo)
    key = f"line {place['line']}, column {place['column']}"
    return Problem(file=file, key=key, what=place["what"], todo=todo)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _refuse_toml(path: Path) -> NoReturn:
    _refuse(
        str(path),
        "is a TOML file, which this version does not read yet",
        "Write the same keys into a wrangler.jsonc beside it",
    )


def _refuse(file: str, what: str, todo: str) -> NoReturn:
    raise ProjectError([Problem(file=file, key="", what=what, todo=todo)])
