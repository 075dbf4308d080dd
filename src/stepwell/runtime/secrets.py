"""Secrets of a project, from the `.dev.vars` beside its file. Their values are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from stepwell.errors import ProjectError
from stepwell.model.problem import Problem
from stepwell.runtime.problems import Findings

FILE_NAME = ".dev.vars"


def read_secrets(root: Path) -> Mapping[str, str]:
    """Read the secrets of the project in a folder; none without the file.

    Values are taken as they stand: `$NAME` in one is no reference to another.

    Raises:
        ProjectError: a line cannot be read; the message does not repeat it.
    """
    path = root / FILE_NAME
    if not path.exists():
        return {}
    findings = Findings(FILE_NAME)
    found: dict[str, str] = {}
    for line in _parse(path):
        _check(line, findings)
        if line.key and line.value is not None:
            found[line.key] = line.value
    findings.raise_errors()
    return found


def _parse(path: Path) -> list[Binding]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            return list(parse_stream(stream))
    except OSError as error:
        what, todo = f"cannot be read: {error.strerror}", "Check its rights"
    except UnicodeDecodeError as error:
        what, todo = f"is not UTF-8 at byte {error.start}", "Save it as UTF-8"
    raise ProjectError([Problem(file=FILE_NAME, key="", what=what, todo=todo)])


def _check(line: Binding, findings: Findings) -> None:
    text = line.original.string
    blank = text[: len(text) - len(text.lstrip())]
    place = f"line {line.original.line + blank.count(chr(10))}"
    if line.error:
        findings.error(place, "cannot be read", 'Write NAME="value", and close each quote')
    elif line.key is not None and line.value is None:
        findings.error(place, f"{line.key} has no value", f"Write {line.key}=value")
