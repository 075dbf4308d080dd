"""What people see of an instance: its status, and its steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from stepwell.core import payload
from stepwell.core.events import LogEvent, read_detail, spell_out
from stepwell.model.instance import Instance, InstanceStatus
from stepwell.model.limits import FACTS_PAGE_MAX
from stepwell.model.step import Fact, FactKind, StepKey, StepKind
from stepwell.ports.store import Store


class InstanceState(dict[str, Any]):
    """What `status()` gives: a dict, JSON-serialisable, whose keys are also attributes.

    Keys: `status` (a status word), `output` (None until complete), `error` (`{name, message}` or
    None), `rollback` (`{outcome, error}` or None).
    """

    def __getattr__(self, name: str) -> Any:
        """Give a key as an attribute."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"an instance's state has no {name!r}") from None


def state_of(instance: Instance, last: Fact | None) -> InstanceState:
    """Describe an instance by its row and its newest fact."""
    state = InstanceState(status=str(instance.status), output=None, error=None, rollback=None)
    if last is None or not instance.status.is_terminal:
        return state
    detail = read_detail(last.detail)
    if instance.status is InstanceStatus.COMPLETE and last.payload is not None:
        state["output"] = payload.to_plain(last.payload)
    error = detail.get("error")
    if isinstance(error, dict):
        state["error"] = {"name": error.get("name"), "message": error.get("message")}
    rollback = detail.get("rollback_outcome")
    if isinstance(rollback, dict):
        state["rollback"] = {"outcome": rollback.get("outcome"), "error": rollback.get("error")}
    return state


class StepView(dict[str, Any]):
    """One step as people see it: a dict whose keys are also attributes.

    Keys: `name` (the label: name and counter), `step_name` and `count` (the two apart), `type`
    (step, sleep, waitForEvent, rollback), `start`, `end` (datetimes; `end` None while it
    runs), `success` (None while it runs), `output`, `error`, `config`, `attempts` (list of
    `{attempt, start, end, success, error}`).
    """

    def __getattr__(self, name: str) -> Any:
        """Give a key as an attribute."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"a step's view has no {name!r}") from None


_TYPES = {
    StepKind.DO: "step",
    StepKind.SLEEP: "sleep",
    StepKind.WAIT: "waitForEvent",
    StepKind.ROLLBACK: "rollback",
}


def steps_of(facts: Iterable[Fact]) -> list[StepView]:
    """Describe the steps of a history in order of their start.

    That is the order of their ordinals: the facts of a step may be written late, and clocks are
    coarse and may be turned.
    """
    views: dict[StepKey, StepView] = {}
    ordinals: dict[StepKey, int] = {}
    for fact in facts:
        if fact.step is None:
            continue
        ordinals.setdefault(fact.step, fact.ordinal or 0)
        for event in spell_out(fact):
            if fact.step not in views:
                views[fact.step] = _begun(fact.step, event)
            _apply(views[fact.step], event)
    return [views[key] for key in sorted(views, key=ordinals.__getitem__)]


def _begun(key: StepKey, first: LogEvent) -> StepView:
    return StepView(
        name=key.label, step_name=key.name, count=key.count,
        type=_TYPES[key.kind], start=first.timestamp, end=None,
        success=None, output=None, error=None, config=None, attempts=[],
    )  # fmt: skip


def _apply(view: StepView, event: LogEvent) -> None:
    _, _, what = event.type.rpartition("_")  # wait_timed_out ends in "out"
    if "attempt_" in event.type:
        _apply_attempt(view, event, what)
    elif what == "started":
        view.update({k: v for k, v in event.details.items() if k != "rollback"})
    else:
        view.update(event.details)
        view.update(end=event.timestamp, success=what == "completed")


def _apply_attempt(view: StepView, event: LogEvent, what: str) -> None:
    attempts: list[dict[str, Any]] = view["attempts"]
    number = event.details.get("attempt", len(attempts) + 1)
    if what == "started" or not attempts:
        begun = {"attempt": number, "start": event.timestamp}
        attempts.append({**begun, "end": None, "success": None, "error": None})
    if what != "started":
        attempts[-1].update(
            end=event.timestamp, success=what == "completed", error=event.details.get("error")
        )


async def read_log(store: Store, key: int, *, after_id: int) -> list[Fact]:
    """Read a page of facts, each with all that its events say.

    Params are stored once, with what was queued; what says that the instance has started shows them
    too.
    """
    facts = await store.read_facts(key, after_id=after_id, limit=FACTS_PAGE_MAX)
    if all(fact.kind is not FactKind.STARTED for fact in facts):
        return facts
    first = facts[:1]
    if first[0].kind is not FactKind.QUEUED:
        first = await store.read_facts(key, after_id=0, limit=1)
    params = next((fact.payload for fact in first if fact.kind is FactKind.QUEUED), None)
    return [
        replace(fact, payload=params) if fact.kind is FactKind.STARTED else fact for fact in facts
    ]
