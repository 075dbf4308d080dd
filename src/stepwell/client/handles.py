"""Handles: `Workflow` and `WorkflowInstance`, the verbs on them, and what they refuse.

A handle holds no state of its own: each verb is one command through the journal, or one read.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from stepwell.client.desk import Desk
from stepwell.client.ending import ENDS, result_of
from stepwell.client.listening import Listening
from stepwell.client.registry import retention_of
from stepwell.client.requests import (
    check_id_is_text,
    check_page_size,
    check_seconds,
    encode_event,
    read_cursor,
    read_event,
    read_event_id,
    read_event_types,
    read_retention,
    read_status,
)
from stepwell.client.views import InstanceState, StepView, read_log, state_of, steps_of
from stepwell.core import payload
from stepwell.core.events import LogEvent, detail_text, fact_before, spell_out
from stepwell.core.names import check_addressed_id, check_event_type, check_new_instance_id
from stepwell.core.shown import shown
from stepwell.core.target import Target, find_step, near_steps, parse_target
from stepwell.errors import (
    InstanceAlreadyExists,
    InstanceNotFound,
    InvalidRequest,
    StoreError,
    WorkflowError,
)
from stepwell.model.command import (
    ClientCommand,
    Create,
    Delete,
    Outcome,
    Pause,
    Restart,
    Resume,
    SendEvent,
    Terminate,
)
from stepwell.model.instance import Instance, Ref, TriggerSource
from stepwell.model.limits import FACTS_PAGE_MAX
from stepwell.model.step import Fact

_LOG = logging.getLogger("stepwell.client")
_DELETE_ERRORS: dict[Outcome | None, dict[str, Any]] = {
    Outcome.NOT_FOUND: {"code": 10400, "message": "workflows.api.error.instance.not_found"},
    None: {"code": 10001, "message": "workflows.api.error.internal_server"},
}


class Workflow:
    """A workflow, to create its instances and to find them."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        self.name = name

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r}>"

    async def create(
        self,
        id: str | None = None,
        params: Any = None,
        retention: Mapping[str, Any] | None = None,
    ) -> WorkflowInstance:
        """Create an instance; returns once it is on disk, queued.

        Args:
            id: at most 100 of letters, digits, `-`, `_`; default: a random UUID.
            params: given to `run` as `event.payload`; validated to its declared type. At most
                1 MiB when stored; default: an empty mapping.
            retention: `{"success_retention", "error_retention"}`: how long the instance is kept
                after its end, a terminated one like one with an error. A number of milliseconds,
                a text such as "3 days", or a timedelta; at most 365 days. Default: what the
                workflow says, else 30 days.

        Raises:
            InstanceAlreadyExists: the id is taken (until retention ends or it is deleted).
            InvalidRequest: id, params or retention break a rule; nothing was stored.
            NotSerializableError: params hold what cannot be stored; `path` says where.
            PayloadTooLargeError: params are above their maximum.
        """
        check_id_is_text(id)
        command = self._create(id, params, read_retention(retention, "retention"))
        if await self._desk.do(command) is Outcome.EXISTS:
            raise InstanceAlreadyExists(
                f"workflow {self.name!r} has an instance {command.ref.id!r} already; "
                "choose another id, or delete that one"
            )
        return WorkflowInstance(self._desk, command.ref)

    async def create_batch(self, items: Sequence[Mapping[str, Any]]) -> list[WorkflowInstance]:
        """Create up to 100 instances, each `{"id", "params", "retention"}`.

        Returns:
            Those actually created; ids that exist are skipped.

        Raises:
            InvalidRequest: the batch is empty or too large, or an item is bad; nothing was stored.
        """
        self._check_batch(items)
        commands = [self._parse_item(index, item) for index, item in enumerate(items)]
        outcomes = await asyncio.gather(*(self._desk.do(command) for command in commands))
        return [
            WorkflowInstance(self._desk, command.ref)
            for command, outcome in zip(commands, outcomes, strict=True)
            if outcome is Outcome.APPLIED
        ]

    createBatch = create_batch  # noqa: N815  (Cloudflare's spelling)

    async def get(self, id: str) -> WorkflowInstance:
        """Find an instance.

        Raises:
            InstanceNotFound: there is none of this id, or no more: retention has ended.
            InvalidRequest: no instance can have this id.
        """
        ref = Ref(self.name, check_addressed_id(id))
        if await self._desk.store.find(ref) is None:
            raise _not_found(ref)
        return WorkflowInstance(self._desk, ref)

    async def delete_batch(self, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Delete up to 100 instances.

        Returns:
            `{"deleted": [{"id"}], "errors": [{"id", "code", "message"}]}`, in the order given;
            code 10400: there is none of this id, 10001: the database failed (see the log).
        """
        self._check_batch(ids)
        ids = [check_addressed_id(id_) for id_ in ids]
        deleted: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        each = list(dict.fromkeys(ids))
        found = dict(zip(each, await asyncio.gather(*map(self._delete, each)), strict=True))
        for id_ in ids:
            if found[id_] is Outcome.APPLIED:
                deleted.append({"id": id_})
            else:
                errors.append({"id": id_, **_DELETE_ERRORS[found[id_]]})
        return {"deleted": deleted, "errors": errors}

    async def _delete(self, id_: str) -> Outcome | None:
        """Delete one of a batch; None if the store failed, which must not hide what was done."""
        try:
            return await self._desk.do(Delete(ref=Ref(self.name, id_)))
        except StoreError:
            _LOG.exception("%s/%s is not deleted", self.name, id_)
            return None

    deleteBatch = delete_batch  # noqa: N815  (Cloudflare's spelling)

    async def list(
        self, status: str | None = None, limit: int = 25, cursor: str | None = None
    ) -> InstancePage:
        """List instances, newest first; the page's `cursor` asks for the next page.

        Args:
            status: one of `InstanceStatus`, e.g. "running" or "waitingForPause"; default: all.
            limit: of one page, 1 to 100.
            cursor: of the page before; default: the first page.

        Raises:
            InvalidRequest: one of the three is nothing of the kind.
        """
        check_page_size(limit, self._desk.limits.page_max)
        rows = await self._desk.store.list_instances(
            self.name, status=read_status(status), before_key=read_cursor(cursor), limit=limit
        )
        more = str(rows[-1].key) if len(rows) == limit else None
        return InstancePage([WorkflowInstance(self._desk, row.ref) for row in rows], more)

    def _check_batch(self, items: Any) -> None:
        maximum = self._desk.limits.batch_max
        if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Sequence):
            raise InvalidRequest(f"a batch is a list, not {type(items).__name__}")
        if not 1 <= len(items) <= maximum:
            raise InvalidRequest(f"a batch has 1 to {maximum} items; this one has {len(items)}")

    def _parse_item(self, index: int, item: Any) -> Create:
        if not isinstance(item, Mapping):
            raise InvalidRequest(f"item {index} of the batch is no mapping: {shown(item)}")
        unknown = sorted(map(str, set(item) - {"id", "params", "retention"}))
        if unknown:
            raise InvalidRequest(
                f"item {index} of the batch has unknown keys {unknown}; "
                "there are id, params and retention"
            )
        retention = read_retention(item.get("retention"), f"retention of item {index} of the batch")
        return self._create(item.get("id"), item.get("params"), retention)

    def _create(self, id_: str | None, params: Any, retention: Mapping[str, Any] | None) -> Create:
        if id_ is None:
            id_ = str(uuid.uuid4())
        id_ = check_new_instance_id(id_)
        definition = self._desk.definitions.get(self.name)
        limits = self._desk.limits
        default = definition.retention if definition is not None else None
        if definition is not None:
            params = definition.validate(params)
        text = payload.encode(
            params, bytes_max=limits.params_bytes_max, what=f"the params of {self.name}/{id_}"
        )
        return Create(
            ref=Ref(self.name, id_),
            params=text,
            trigger=TriggerSource.BINDING,
            retention=retention_of(retention or {}, limits, default),
            # Else the worker validates them: only once, as a validator may change what it gets.
            detail=detail_text(trigger="binding", is_validated=definition is not None or None),
        )


class InstancePage(list["WorkflowInstance"]):
    """One page of instances; `cursor` is None on the last one."""

    def __init__(self, items: list[WorkflowInstance], cursor: str | None) -> None:
        super().__init__(items)
        self.cursor = cursor


class WorkflowInstance:
    """One instance, addressed by workflow name and id."""

    def __init__(self, desk: Desk, ref: Ref) -> None:
        self._desk = desk
        self._ref = ref

    @property
    def id(self) -> str:
        """Id of the instance."""
        return self._ref.id

    @property
    def workflow_name(self) -> str:
        """Name of its workflow."""
        return self._ref.workflow

    def __repr__(self) -> str:
        return f"<WorkflowInstance {self._ref.workflow}/{self._ref.id}>"

    async def status(self) -> InstanceState:
        """Tell how the instance is: `status`, `output`, `error`, `rollback`.

        Raises:
            InstanceNotFound: it was deleted, or its retention has ended. Each method may.
        """
        instance = await self._find()
        if not instance.status.is_terminal:
            return state_of(instance, None)
        return state_of(instance, await self._desk.store.last_fact(instance.key))

    async def result(self, timeout: float | None = None) -> Any:
        """Wait for the end and give the output.

        Args:
            timeout: seconds to wait at most; None: for ever.

        Raises:
            InstanceErrored: it ended with an error, which is the cause.
            InstanceTerminated: it was terminated.
            TimeoutError: it has not ended in time; it goes on. The message tells its status.
        """
        check_seconds(timeout)
        return result_of(self._ref, await self._wait_end(timeout))

    async def _wait_end(self, timeout: float | None) -> Fact:
        try:
            async with asyncio.timeout(timeout):
                return await self._hear_end()
        except TimeoutError:
            end = await self._end()  # what is there needs no time
            if end is not None:
                return end
            status = (await self._find()).status
            then = (
                "it is paused. resume() it, and call result() again, or terminate() it"
                if status == "paused"
                else f"it goes on, now {status}. Call result() again to wait on, or terminate() it"
            )
            raise TimeoutError(
                f"{self._ref.workflow}/{self._ref.id} has not ended within {timeout} seconds; "
                f"{then}"
            ) from None

    async def _hear_end(self) -> Fact:
        with Listening(self._desk, self._ref) as changed:
            while True:
                end = await self._end() or await changed.wait()
                if end is not None:
                    return end

    async def _end(self) -> Fact | None:
        instance = await self._find()
        if not instance.status.is_terminal:
            return None
        last = await self._desk.store.last_fact(instance.key)
        return last if last is not None and last.kind in ENDS else None

    async def pause(self) -> None:
        """Ask for a pause; returns once that is on disk.

        Attempts in flight end first (`waitingForPause`), then the status is `paused`: nothing new
        starts, no timer runs out, events gather. Unless running or waiting, nothing happens.
        """
        await self._do(Pause(ref=self._ref))

    async def resume(self) -> None:
        """Go on after a pause, or take back one that is asked for; else nothing happens.

        Sleeps, timeouts of waits and pauses between attempts end later by the length of the pause.
        """
        await self._do(Resume(ref=self._ref))

    async def restart(self, from_step: str | Mapping[str, Any] | None = None) -> None:
        """Run again from the top, or from a step: that step and all that started later run anew.

        From any status; id, params and timestamp stay. From the top, events that nobody took yet
        are discarded; from a step they stay.

        Args:
            from_step: a name (the first `do` of that name; else the sleep or wait of that name;
                else `name-count` as steps() shows it), or
                `{"name", "count": 1, "type": "do" | "sleep" | "waitForEvent"}`.

        Raises:
            WorkflowError: code `instance.cannot_restart`, that step is not in the history.
            InvalidRequest: `from_step` breaks a rule, or may mean a sleep or a wait.
        """
        if from_step is None:
            await self._do(Restart(ref=self._ref))
            return
        target = parse_target(from_step)
        if await self._desk.do(Restart(ref=self._ref, step=target.key)) is Outcome.NOT_FOUND:
            await self._restart_as_named(target)

    async def _restart_as_named(self, target: Target) -> None:
        """Restart from a step other than the plain reading, which is tried without the history."""
        keys = {fact.step for fact in await self._facts() if fact.step is not None}
        found = find_step(target, keys)
        if found is not None:
            outcome = await self._desk.do(Restart(ref=self._ref, step=found))
            if outcome is not Outcome.NOT_FOUND:
                return
            await self._find()  # the instance itself may be what is missing
        near = near_steps(target, keys)
        raise WorkflowError(
            f"step {shown(target.name)} is not in the history of {self._ref.workflow}/"
            f"{self._ref.id}; {f'near it: {near}; ' if near else ''}"
            "see steps() for the names and counts that are",
            code="instance.cannot_restart",
        )

    async def terminate(self, *, rollback: bool = False) -> None:
        """End the instance now; with `rollback`, undo its steps first.

        Code that runs is cancelled at its next await. With `rollback`, this returns at once with
        the status `rollingBack`; the rollbacks of all steps that began then run, last step first.

        Raises:
            WorkflowError: code `instance.cannot_terminate`, it has ended already.
        """
        command = Terminate(ref=self._ref, rollback=rollback, detail=detail_text(trigger="binding"))
        if await self._do(command) is Outcome.FINISHED:
            raise WorkflowError(
                f"{self._ref.workflow}/{self._ref.id} has ended already, in a finite state",
                code="instance.cannot_terminate",
            )

    async def delete(self) -> None:
        """Remove the instance and all it stored, whatever it is doing; no rollback runs.

        Its id is free at once.
        """
        await self._do(Delete(ref=self._ref))

    async def send_event(self, type: str | Mapping[str, Any], payload: Any = None) -> None:
        """Send an event; it waits for the instance if the instance does not wait for it yet.

        It ends one `wait_for_event` of exactly its type, the oldest; such a wait lasts 24 hours
        unless it says otherwise. This returns once the event is on disk.

        Args:
            type: of the event, at most 100 of letters, digits, `-`, `_`; or, as Cloudflare has
                it, one mapping `{"type", "payload"}`.
            payload: what the wait gives; at most 1 MiB when stored.

        Raises:
            WorkflowError: code `instance.in_finite_state`, the instance has ended.
            InvalidRequest: the type breaks a rule; nothing was stored.
            NotSerializableError: the payload holds what cannot be stored; `path` says where.
            PayloadTooLargeError: the payload is above its maximum.
        """
        given, payload = read_event(type, payload)
        name = check_event_type(given)
        text = encode_event(payload, self._desk.limits, name)
        command = SendEvent(ref=self._ref, type=name, payload=text)
        if await self._do(command) is Outcome.FINISHED:
            raise WorkflowError(
                f"{self._ref.workflow}/{self._ref.id} has ended and takes no more events",
                code="instance.in_finite_state",
            )

    sendEvent = send_event  # noqa: N815  (Cloudflare's spelling)

    async def steps(self) -> list[StepView]:
        """Describe its steps, in order of their start."""
        return steps_of(await self._facts())

    async def events(self) -> list[LogEvent]:
        """Give the whole event log, in order."""
        return [event for fact in await self._facts() for event in spell_out(fact)]

    async def subscribe(
        self, cursor: int | None = None, types: Sequence[str] | None = None
    ) -> AsyncIterator[LogEvent]:
        """Give the event log and then what happens, until the instance ends.

        Args:
            cursor: only events with a greater id; default: all.
            types: only events of these types, which `stepwell.core.events.EVENT_TYPES` lists, e.g.
                "step_completed", "workflow_paused" (it ends at the end all the same).

        Raises:
            InvalidRequest: at the first event: the cursor is no number, or a type is unknown.
        """
        after, wanted = read_event_id(cursor), read_event_types(types)
        read = fact_before(after)
        while True:
            instance = await self._find()
            with Listening(self._desk, self._ref, instance.key) as changed:
                facts = await read_log(self._desk.store, instance.key, after_id=read)
                for event in _news(facts, after):
                    if wanted is None or event.type in wanted:
                        yield event
                read = facts[-1].id if facts else read
                if facts and facts[-1].kind in ENDS:
                    return
                if len(facts) < FACTS_PAGE_MAX:
                    if instance.status.is_terminal:  # the cursor lay beyond the end
                        return
                    await changed.wait()

    async def _facts(self) -> list[Fact]:
        key, found, after = (await self._find()).key, [], 0
        while True:
            page = await read_log(self._desk.store, key, after_id=after)
            found.extend(page)
            if len(page) < FACTS_PAGE_MAX:
                return found
            after = page[-1].id

    async def _find(self) -> Instance:
        instance = await self._desk.store.find(self._ref)
        if instance is None:
            raise _not_found(self._ref)
        return instance

    async def _do(self, command: ClientCommand) -> Outcome:
        outcome = await self._desk.do(command)
        if outcome is Outcome.NOT_FOUND:
            raise _not_found(self._ref)
        return outcome


def _news(facts: Sequence[Fact], after: int) -> list[LogEvent]:
    return [event for fact in facts for event in spell_out(fact) if event.id > after]


def _not_found(ref: Ref) -> InstanceNotFound:
    return InstanceNotFound(f"workflow {ref.workflow!r} has no instance {ref.id!r}")
