"""The bindings of the project file: its workflows and its databases, read and checked."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from urllib.parse import quote

from stepwell.core.names import check_workflow_name
from stepwell.errors import InvalidRequest
from stepwell.model.duration import InvalidDuration, parse_duration
from stepwell.model.limits import DAY_MS, WORKFLOW_NAME_CHARS_MAX, Limits
from stepwell.runtime.table import JsonValue, Table

STEPS_USUAL_MAX = Limits().steps_max
_RETENTION_MS_MAX = Limits().retention_ms_max

_WORKFLOWS_TODO = (
    'Write an array such as [{"binding": "MY_WORKFLOW", "name": "my-workflow", '
    '"class_name": "MyWorkflow"}]'
)
_D1_TODO = 'Write an array such as [{"binding": "DB", "database_name": "app", "database_id": "1"}]'
_BINDING_TODO = 'Give the name under which code finds it on env, such as "MY_WORKFLOW"'
_NAME_TODO = (
    f"Give it a name of 1 to {WORKFLOW_NAME_CHARS_MAX} letters, digits, '_' or '-' that does not "
    "begin with '-'"
)
_CLASS_TODO = "Give the name of the class in the main file"
_SCRIPT_TODO = "Give the name of the project that holds the class, or leave it out"
_LIMITS_TODO = 'Write an object such as {"steps": 1000}'
_FILE_NAME_BYTES_MAX = 200
_D1_ID_TODO = "Give an id that can be the name of a file, such as a UUID"
_STEPS_TODO = "Give a whole number from 1"
_SCHEDULES_TODO = 'Give a cron expression such as "0 9 * * 1", or an array of them'
_RETENTION_TODO = 'Write an object such as {"success_retention": "3 days"}'

_DURATION_TODO = "Write milliseconds, or an amount and a unit such as '3 days'"

_WORKFLOW_KEYS = frozenset(
    {
        "binding",
        "name",
        "class_name",
        "script_name",
        "limits",
        "schedules",
        "default_retention",
    }
)
_RETENTION_KEYS = ("success_retention", "error_retention")
_D1_KEYS = frozenset(
    {
        "binding",
        "database_id",
        "database_internal_env",
        "database_name",
        "migrations_dir",
        "migrations_pattern",
        "migrations_table",
        "preview_database_id",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowBinding:
    """One entry of `workflows`.

    Attributes:
        key: where it stands in the file, as `workflows[0]`.
        script_name: the project that holds the class, when the entry names one.
        is_foreign: claim that this is another project.
        steps_max: `limits.steps`.
        retention: `default_retention`, as given: durations by `success_retention` and
            `error_retention`.
    """

    key: str
    binding: str
    name: str
    class_name: str
    script_name: str | None = None
    is_foreign: bool = False
    steps_max: int | None = None
    schedules: tuple[str, ...] = ()
    retention: tuple[tuple[str, float | str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class D1Binding:
    """One entry of `d1_databases`.

    Attributes:
        key: where it stands in the file, as `d1_databases[0]`.
        migrations_dir: the folder of its migrations; None: it has none.
        migrations_table: where the database remembers which of them it has seen.
    """

    key: str
    binding: str
    database_name: str | None = None
    database_id: str | None = None
    migrations_dir: str | None = None
    migrations_table: str = "d1_migrations"

    @property
    def file_name(self) -> str:
        """The file that holds it: named by its id, or else by its name, or else its binding."""
        return _file_name(self.database_id or self.database_name or self.binding)


def read_workflows(project: Table, project_name: str) -> tuple[WorkflowBinding, ...]:
    """Read `workflows`."""
    found = [
        _read_workflow(entry, project_name)
        for entry in project.tables("workflows", _WORKFLOWS_TODO)
    ]
    _check_names_differ(project, found)
    return tuple(found)


def read_d1_databases(project: Table) -> tuple[D1Binding, ...]:
    """Read `d1_databases`."""
    return tuple(_read_d1(entry) for entry in project.tables("d1_databases", _D1_TODO))


def _read_workflow(entry: Table, project_name: str) -> WorkflowBinding:
    binding = entry.string("binding", _BINDING_TODO)
    name = _read_workflow_name(entry)
    class_name = entry.string("class_name", _CLASS_TODO)
    script_name = entry.optional_string("script_name", _SCRIPT_TODO)
    is_foreign = script_name is not None and script_name != project_name
    found = WorkflowBinding(
        key=entry.path,
        binding=binding or "",
        name=name or "",
        class_name=class_name or "",
        script_name=script_name,
        is_foreign=is_foreign,
        steps_max=_read_steps(entry),
        schedules=_read_schedules(entry),
        retention=_read_retention(entry),
    )
    if is_foreign:
        _check_foreign(entry, found)
    elif found.schedules:
        entry.findings.warn(
            entry.key("schedules"),
            "this version does not act on schedules yet",
            "Create instances from code until then",
        )
    entry.warn_unexpected(_WORKFLOW_KEYS)
    return found


def _read_workflow_name(entry: Table) -> str | None:
    value = entry.values.get("name")
    if not isinstance(value, str):
        return entry.string("name", _NAME_TODO)
    try:
        return check_workflow_name(value)
    except InvalidRequest:
        what = f"{value!a:.80} is no name of a workflow"
        entry.findings.error(entry.key("name"), what, _NAME_TODO)
        return None


def _read_steps(entry: Table) -> int | None:
    limits = entry.table("limits", _LIMITS_TODO)
    if limits is None:
        return None
    limits.warn_unexpected({"steps"})
    if "steps" not in limits.values:
        return None
    steps = _whole_number(limits.values["steps"])
    if steps is None or steps < 1:
        value = limits.values["steps"]
        what = f"is {value!r:.40}, which is no positive whole number"
        limits.findings.error(limits.key("steps"), what, _STEPS_TODO)
        return None
    if steps > STEPS_USUAL_MAX:
        limits.findings.warn(
            limits.key("steps"),
            f"is {steps}, more than the {STEPS_USUAL_MAX} that Cloudflare allows",
            "Stepwell runs it; keep it lower if the project is to run there too",
        )
    return steps


def _whole_number(value: JsonValue) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def _read_schedules(entry: Table) -> tuple[str, ...]:
    match entry.values.get("schedules"):
        case str() as cron:
            if not cron.strip():
                entry.findings.error(entry.key("schedules"), "is empty", _SCHEDULES_TODO)
            return (cron,)
        case list() as crons:
            if not crons:
                entry.findings.error(entry.key("schedules"), "is empty", _SCHEDULES_TODO)
            return entry.strings("schedules", _SCHEDULES_TODO)
        case _:
            if "schedules" in entry.values:
                entry.wrong_kind("schedules", "a string or an array of strings", _SCHEDULES_TODO)
            return ()


def _read_retention(entry: Table) -> tuple[tuple[str, float | str], ...]:
    table = entry.table("default_retention", _RETENTION_TODO)
    if table is None:
        return ()
    table.warn_unexpected(_RETENTION_KEYS)
    found = []
    for name in _RETENTION_KEYS:
        if name not in table.values:
            continue
        value = table.values[name]
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            table.wrong_kind(name, "a duration", _DURATION_TODO)
        else:
            _check_duration(table, name, value)
            found.append((name, value))
    return tuple(found)


def _check_duration(table: Table, name: str, value: float | str) -> None:
    try:
        milliseconds = parse_duration(value, what=name)
    except InvalidDuration:
        what = f"is {value!r:.80}, which is no duration"
        table.findings.error(table.key(name), what, _DURATION_TODO)
        return
    if milliseconds > _RETENTION_MS_MAX:
        what = f"is {value!r}, longer than the maximum of {_RETENTION_MS_MAX // DAY_MS} days"
        table.findings.error(table.key(name), what, "Give a shorter one")


def _check_foreign(entry: Table, found: WorkflowBinding) -> None:
    for name in ("limits", "schedules"):
        if name in entry.values:
            entry.findings.error(
                entry.key(name),
                f"belongs to project {found.script_name!r}, which holds the workflow",
                "Move it into the project file there",
            )
    entry.findings.warn(
        entry.key("script_name"),
        f"this version does not reach workflows of another project ({found.script_name!r}) yet",
        f"Until then env has no {found.binding!r}",
    )


def _check_names_differ(project: Table, workflows: list[WorkflowBinding]) -> None:
    keys = defaultdict(list)
    for found in workflows:
        if found.name:
            keys[found.name].append(found.key)
    for name, places in keys.items():
        if len(places) > 1:
            project.findings.error(
                "workflows",
                f"{' and '.join(places)} have one name, {name!r}",
                "Give each workflow its own name",
            )


def _read_d1(entry: Table) -> D1Binding:
    binding = entry.string("binding", 'Give the name under which code finds it, such as "DB"')
    texts = {name: _read_text(entry, name) for name in sorted(_D1_KEYS - {"binding"})}
    entry.warn_unexpected(_D1_KEYS)
    _check_file_name(entry, texts["database_id"], texts["database_name"], binding)
    if texts["migrations_pattern"] is not None:
        entry.findings.warn(
            entry.key("migrations_pattern"),
            "this version does not act on it",
            "All .sql files of migrations_dir itself are applied",
        )
    return D1Binding(
        key=entry.path,
        binding=binding or "",
        database_name=texts["database_name"],
        database_id=texts["database_id"],
        migrations_dir=texts["migrations_dir"],
        migrations_table=texts["migrations_table"] or "d1_migrations",
    )


def _check_file_name(entry: Table, id: str | None, name: str | None, binding: str | None) -> None:
    """Check what names the database's file; see `D1Binding.file_name`."""
    key = "database_id" if id else "database_name" if name else "binding"
    text = id or name or binding
    try:
        is_usable = not text or len(_file_name(text)) <= _FILE_NAME_BYTES_MAX
    except UnicodeEncodeError:
        is_usable = False
    if not is_usable:
        what = f"is {text!a:.80}, which cannot be the name of a file"
        entry.findings.error(entry.key(key), what, _D1_ID_TODO)


def _file_name(text: str) -> str:
    return f"{quote(text, safe='')}.sqlite"


def _read_text(entry: Table, name: str) -> str | None:
    """Read a string that may be left empty, as templates leave the id of a database."""
    if entry.values.get(name) == "":
        return None
    return entry.optional_string(name, "Give it as a string, or leave it out")
