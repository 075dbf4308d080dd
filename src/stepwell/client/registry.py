"""The workflows that a program knows: from its classes to checked definitions."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from stepwell.authoring.params import ParamsCodec, declared_params_type
from stepwell.authoring.workflow import WorkflowEntrypoint, WorkflowEvent
from stepwell.core.names import check_workflow_name
from stepwell.engine.services import Definition
from stepwell.errors import InvalidRequest
from stepwell.model.duration import InvalidDuration, format_duration, parse_duration
from stepwell.model.instance import Retention
from stepwell.model.limits import Limits

WorkflowClass = type[WorkflowEntrypoint[Any, Any]]
WorkflowClasses = Iterable[WorkflowClass] | Mapping[str, WorkflowClass]
Overrides = Mapping[str, Mapping[str, Any]]


def define(
    workflows: WorkflowClasses, *, limits: Limits, steps: Overrides, retention: Overrides
) -> dict[str, Definition]:
    """Check workflow classes and give their definitions by name.

    Raises:
        InvalidRequest: two of one name, no workflow class, no usable `run`, a bad name or limit, a
            declaration of params that cannot be read.
    """
    named = workflows.items() if isinstance(workflows, Mapping) else _named(workflows)
    found: dict[str, Definition] = {}
    for name, entrypoint in named:
        check_workflow_name(name)
        _check_class(entrypoint, name)
        if name in found:
            raise InvalidRequest(
                f"two workflows are called {name!r}: {_place(found[name].entrypoint)} and "
                f"{_place(entrypoint)}; give one of them another name",
                code="workflow.already_exists",
            )
        found[name] = Definition(
            name=name,
            entrypoint=entrypoint,
            steps_max=_steps_max(name, {**entrypoint.limits, **steps.get(name, {})}, limits),
            retention=retention_of({**entrypoint.retention, **retention.get(name, {})}, limits),
            is_strict=_is_strict(name, entrypoint),
            validate=ParamsCodec(
                declared_params_type(entrypoint, WorkflowEntrypoint, WorkflowEvent)
            ).validate,
        )
    return found


def _is_strict(name: str, entrypoint: WorkflowClass) -> bool:
    given: object = entrypoint.strict
    if not isinstance(given, bool):
        raise InvalidRequest(
            f"strict of workflow {name!r} is {given!r:.80}; it must be True or False"
        )
    return given


def name_of(entrypoint: WorkflowClass) -> str:
    """Give the name of a workflow class: its `name`, or else the class's."""
    return getattr(entrypoint, "name", None) or entrypoint.__name__


def retention_of(
    given: Mapping[str, Any], limits: Limits, default: Retention | None = None
) -> Retention:
    """Read `{success_retention, error_retention}` (or Cloudflare's camelCase) as durations."""
    base = limits.retention_ms_default
    success_ms = default.success_ms if default is not None else base
    error_ms = default.error_ms if default is not None else base
    for key, value in given.items():
        match key:
            case "success_retention" | "successRetention":
                success_ms = _retention_ms(key, value, limits)
            case "error_retention" | "errorRetention":
                error_ms = _retention_ms(key, value, limits)
            case _:
                raise InvalidRequest(
                    f"unknown retention key {key!r}; use success_retention and error_retention"
                )
    return Retention(success_ms=success_ms, error_ms=error_ms)


def _retention_ms(key: str, value: Any, limits: Limits) -> int:
    try:
        found = parse_duration(value, what=key)
    except InvalidDuration as error:
        raise InvalidRequest(str(error)) from error
    if found > limits.retention_ms_max:
        raise InvalidRequest(
            f"{key} is {value!r}; the maximum is {format_duration(limits.retention_ms_max)}"
        )
    return found


def _named(workflows: Iterable[WorkflowClass]) -> list[tuple[str, WorkflowClass]]:
    if isinstance(workflows, type):
        raise InvalidRequest(f"workflows={workflows.__name__} is a class; give a list of classes")
    classes = list(workflows)
    for entrypoint in classes:
        _check_class(entrypoint, None)
    return [(name_of(entrypoint), entrypoint) for entrypoint in classes]


def _check_class(entrypoint: Any, name: str | None) -> None:
    if not (inspect.isclass(entrypoint) and issubclass(entrypoint, WorkflowEntrypoint)):
        raise InvalidRequest(
            f"workflow {name or entrypoint!r} is no subclass of WorkflowEntrypoint: {entrypoint!r}"
        )
    if entrypoint.run is WorkflowEntrypoint.run:
        raise InvalidRequest(
            f"workflow class {_place(entrypoint)} has no run(event, step) of its own; define it"
        )
    if not _takes_two(entrypoint):
        raise InvalidRequest(
            f"run of workflow class {_place(entrypoint)} cannot be called with event and step; "
            "write async def run(self, event, step)"
        )


def _takes_two(entrypoint: WorkflowClass) -> bool:
    """Claim that `run` can be called with two arguments."""
    run: Any = entrypoint.run
    if not callable(run):
        return False
    is_method = inspect.isfunction(inspect.getattr_static(entrypoint, "run"))
    try:
        inspect.signature(run).bind(*range(3 if is_method else 2))
    except TypeError:
        return False
    except ValueError:  # some builtins have no signature
        return True
    return True


def _steps_max(name: str, given: Mapping[str, Any], limits: Limits) -> int:
    unknown = sorted(set(given) - {"steps"})
    if unknown:
        raise InvalidRequest(f"workflow {name!r} has unknown limits {unknown}; there is `steps`")
    steps = given.get("steps", limits.steps_default)
    if not isinstance(steps, int) or isinstance(steps, bool) or not 1 <= steps <= limits.steps_max:
        raise InvalidRequest(
            f"limits.steps of workflow {name!r} is {steps!r}; "
            f"it must be a whole number from 1 to {limits.steps_max}"
        )
    return steps


def _place(entrypoint: WorkflowClass) -> str:
    return f"{entrypoint.__module__}.{entrypoint.__qualname__}"
