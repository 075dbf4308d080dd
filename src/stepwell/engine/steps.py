"""The engine's side of `step`: answer from history, or perform and record.

What is recorded under a call's key is its answer (`recorded`); a call without one is performed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from datetime import UTC, datetime
from typing import Any, NoReturn

from stepwell.authoring.call import DoCall, Duration, ReceivedEvent, StepContext, needs_arguments
from stepwell.core import payload
from stepwell.core.config import config_from_detail, resolve_config
from stepwell.core.events import detail_text, read_detail
from stepwell.core.names import check_event_type
from stepwell.core.replay import History, Progress, StepRecord
from stepwell.engine.attempts import Attempts, Job, context_of, start_detail
from stepwell.engine.callbacks import (
    Callback,
    FirstTurn,
    arguments_of,
    shape_of,
    wants_context,
)
from stepwell.engine.facts import error_detail, error_of
from stepwell.engine.forward import Forward, as_replayed, encode_result
from stepwell.engine.hold import Hold
from stepwell.engine.in_flight import Attempt
from stepwell.engine.logs import is_detailed, log_attempt
from stepwell.engine.plans import RollbackPlan, make_plan
from stepwell.engine.recorded import Recorded
from stepwell.engine.states import RunState
from stepwell.engine.streams import StreamWriter, is_stream, replay_stream
from stepwell.engine.strict import StrictCheck
from stepwell.errors import ReplayEnded, StepError, WorkflowFatalError, WorkflowTimeoutError
from stepwell.model.command import SendEvent
from stepwell.model.duration import InvalidDuration, format_duration, parse_duration
from stepwell.model.event import PendingEvent
from stepwell.model.limits import STUB_CALLS_MAX
from stepwell.model.step import Fact, FactKind, StepConfig, StepKey, StepKind

_DO, _SLEEP, _WAIT = StepKind.DO, StepKind.SLEEP, StepKind.WAIT


class Steps:
    """Implements `StepDriver` for one run."""

    def __init__(self, hold: Hold, history: History, *, was_crashed: bool) -> None:
        self._hold = hold
        self.history = history
        self._was_crashed = was_crashed
        self.recorded = Recorded(history)
        self.strict = StrictCheck(hold, self.recorded) if hold.definition.is_strict else None
        self._do_calls = 0
        self.is_stub = False
        self._stub_calls = 0
        self.plans: dict[StepKey, RollbackPlan] = {}

    # ---- do ----------------------------------------------------------------------------------

    async def do(self, call: DoCall) -> Any:
        """Run or replay a step."""
        key = self.recorded.key_of(_DO, call.name)
        if self._hold.state is not RunState.LIVE or self._hold.is_rolling_back:
            await self._refuse_or_admit(key)
        self._do_calls += 1
        if self._do_calls > self._hold.definition.steps_max:
            await asyncio.sleep(0)  # whoever goes on calling steps does not block the event loop
            raise WorkflowFatalError(
                f"step {key.label} is one more than the {self._hold.definition.steps_max} steps "
                "that this workflow may run; raise limits.steps, or split the work"
            )
        record = self.recorded.recall(key)
        plan: RollbackPlan | None = None
        if call.rollback is not None:
            plan = self.plans[key] = make_plan(call, key, record, self._hold.services.limits)
        elif call.rollback_config is not None:
            raise WorkflowFatalError(
                f"step {key.label} has a rollback_config but no rollback; give the handler too"
            )
        if record is not None and record.progress is not Progress.OPEN:
            return await self._answer(key, record)
        if self.is_stub:
            return await self._give_nothing()
        if record is None and self.strict is not None:
            await self._admit_new(self.strict, key)
        shape = shape_of(call.callback)
        if shape.arguments_min > len(call.arguments) + 1:
            raise needs_arguments(call)
        ordinal = record.ordinal if record is not None else self.history.next_ordinal()
        config = resolve_config(
            call.config, call.options, self._hold.services.limits, call.name
        ).config
        is_plain = record is None and plan is None and shape.is_async
        if not is_plain or not self._may_start_lazily(config):
            return await self._perform(call, key, ordinal, record, plan)
        context = context_of(key, 1, config) if wants_context(call, shape) else None
        attempt = self._hold.enter_attempt()
        try:
            first, fact = self._take_first_turn(call, context, key, ordinal, config)
            if fact is not None:
                await self._hold.commit(fact)
        finally:
            self._hold.leave_attempt(attempt)
        if fact is None:
            return await self._perform(call, key, ordinal, first=(first, attempt))
        if self._hold.waits.is_pausing:  # not `_pass_gate`: one coroutine less at every step
            await self._hold.waits.pass_gate()
        if is_detailed():
            duration_ms = self._hold.now_ms() - (fact.began_ms or 0)
            log_attempt(self._hold.instance.ref, key, 1, "completed", duration_ms=duration_ms)
        return as_replayed(first.value, fact.payload or "null")

    async def _pass_gate(self) -> None:
        """Hold user code back behind a step that ended while a pause was coming."""
        if self._hold.waits.is_pausing:
            await self._hold.waits.pass_gate()

    async def _answer(self, key: StepKey, record: StepRecord) -> Any:
        if record.progress is Progress.FAILED:
            await self.recorded.let_others_come(record)
            raise error_of(record.end_detail)
        if record.progress is Progress.CANCELLED:
            return await self._stand_cancelled(key, record)
        if record.payload is not None:
            return payload.decode(record.payload)
        stream = read_detail(record.end_detail).get("stream")
        if stream is None:
            return None
        return replay_stream(self._hold, key, record.attempts, int(stream["chunks"]))

    async def _stand_cancelled(self, key: StepKey, record: StepRecord) -> None:
        """Wait to be cancelled again, as long as the step may take."""
        if self.is_stub:
            return await self._give_nothing()
        config = config_from_detail(read_detail(record.start_detail).get("config"))
        await self._park(record, self._hold.now_ms() + config.timeout_ms)
        raise WorkflowTimeoutError(
            f"step {key.label} was cancelled by the code around it when it first ran, and now that "
            f"code has let its timeout of {format_duration(config.timeout_ms)} pass"
        )

    async def _give_nothing(self) -> None:
        """Answer a call that history does not know, while only handlers are registered.

        Raises:
            ReplayEnded: there are too many, as where `run` loops over sleeps for ever.
        """
        self._stub_calls += 1
        if self._stub_calls > STUB_CALLS_MAX:
            raise ReplayEnded
        await asyncio.sleep(0)  # others of this process have to get their turn

    async def _refuse_or_admit(self, key: StepKey) -> None:
        if self._hold.is_rolling_back:
            raise WorkflowFatalError(
                f"step {key.label} was called while the instance rolls back; "
                "a rollback handler does its work itself, without steps"
            )
        await self._hold.waits.admit()

    async def _admit_new(self, strict: StrictCheck, key: StepKey) -> None:
        """Let strict mode hold a new step back; meanwhile the run may have come to its end."""
        await strict.admit(key)
        if self._hold.state is not RunState.LIVE or self._hold.is_rolling_back:
            await self._refuse_or_admit(key)

    async def _perform(
        self,
        call: DoCall,
        key: StepKey,
        ordinal: int,
        record: StepRecord | None = None,
        plan: RollbackPlan | None = None,
        first: tuple[FirstTurn, Attempt] | None = None,
    ) -> Any:
        resolved = resolve_config(call.config, call.options, self._hold.services.limits, call.name)
        config, delay = resolved.config, resolved.delay
        if record is not None:  # what was stored when the step was first reached wins over code
            config = config_from_detail(read_detail(record.start_detail).get("config"))
        flags: dict[str, Any] = {}
        if plan is not None:
            flags["rollback"] = True
            plan.ordinal, plan.has_started = ordinal, True
        if config.is_sensitive:
            flags["sensitive"] = True
        turn, begun = first or (None, None)
        callback = Callback(call, self._hold.threads, turn)
        forward = Forward(self._hold, key, ordinal, config, callback, plan)
        job = Job(
            key=key,
            ordinal=ordinal,
            config=config,
            delay=delay,
            flags=flags,
            is_careful=plan is not None or self._was_crashed,
            attempt_once=forward.attempt_once,
            record=record,
            begun=begun,
        )
        may_have_started = self._was_crashed and not self._hold.has_gone_on and plan is None
        if may_have_started if record is None else record.is_attempt_open:
            await StreamWriter(self._hold, key, ordinal, attempt=0).wipe()
        attempts = Attempts(self._hold, job, may_have_started=may_have_started)
        try:
            result = await attempts.run()
        except Exception:
            await self._pass_gate()
            await self.recorded.let_failures_come()
            raise
        except asyncio.CancelledError:
            self._note_cancelled(key, ordinal, attempts.current_attempt)
            raise
        finally:
            forward.forget()
        await self._pass_gate()
        return result

    def _may_start_lazily(self, config: StepConfig) -> bool:
        """Claim that a first attempt's start need not be on disk before its callable runs."""
        return (
            not self._was_crashed
            and self._hold.now_ms() < self._hold.keeper.lease_until_ms
            and config.retries.limit > 0
            and not self._hold.waits.is_pausing
        )

    def _take_first_turn(
        self,
        call: DoCall,
        context: StepContext | None,
        key: StepKey,
        ordinal: int,
        config: StepConfig,
    ) -> tuple[FirstTurn, Fact | None]:
        """Take the first turn of an async callable; if it ends in it, say what to store of it.

        No coroutine, as nearly every step comes through here: each one costs more than the rest.
        """
        hold = self._hold
        began_ms = hold.now_ms()
        first = FirstTurn(call.callback, arguments_of(call, context))
        if not first.is_done or is_stream(first.value):
            first.is_done = False
            return first, None
        try:
            text = encode_result(first.value, key, hold)
        except Exception as error:  # noqa: BLE001  (it fails the first attempt, as recorded there)
            first.fail(error)
            return first, None
        detail = start_detail(config, {"sensitive": True} if config.is_sensitive else {})
        fact = Fact(FactKind.STEP_RAN, hold.now_ms(), key, ordinal, 1, began_ms, None, text, detail)
        return first, fact

    # ---- sleep -------------------------------------------------------------------------------

    async def sleep(self, name: str, duration: Duration) -> None:
        """Sleep; the due time is fixed when it is first reached."""
        key = self.recorded.key_of(_SLEEP, name)
        duration_ms = _duration(duration, f"the duration of sleep {name!r}")
        self._check_length(name, duration_ms)
        record = self.recorded.recall(key)
        await self._sleep(key, record, self._hold.now_ms() + duration_ms)

    async def sleep_until(self, name: str, when: datetime | float | str) -> None:
        """Sleep until a point in time."""
        key = self.recorded.key_of(_SLEEP, name)
        record = self.recorded.recall(key)
        due_ms = _epoch_ms(when, name)
        is_new = record is None and not self.is_stub and not self._was_crashed
        if is_new and due_ms < self._hold.now_ms():
            raise ValueError(
                f"sleep_until({name!r}) got a time that is already past: {when!r}; "
                "compare with the time in a step first"
            )
        self._check_length(name, due_ms - self._hold.now_ms())
        await self._sleep(key, record, due_ms)

    def _check_length(self, name: str, duration_ms: int) -> None:
        maximum_ms = self._hold.services.limits.sleep_ms_max
        if duration_ms > maximum_ms:
            raise WorkflowFatalError(
                f"sleep {name!r} would take {format_duration(duration_ms)}; the maximum is "
                f"{format_duration(maximum_ms)}"
            )

    async def _sleep(self, key: StepKey, record: StepRecord | None, due_ms: int) -> None:
        if self._hold.state is not RunState.LIVE or self._hold.is_rolling_back:
            await self._refuse_or_admit(key)
        if record is not None and record.progress is Progress.DONE:
            return
        if self.is_stub:
            await self._give_nothing()
            return
        if record is None and self.strict is not None:
            await self._admit_new(self.strict, key)
        await self._hold.waits.pass_gate()
        if record is None:
            ordinal, now_ms = self.history.next_ordinal(), self._hold.now_ms()
            detail = detail_text(duration_ms=due_ms - now_ms)
            start = Fact(FactKind.SLEEP_STARTED, now_ms, key, ordinal, due_ms=due_ms, detail=detail)
            self._hold.add_lazy(key, start)
        else:
            ordinal, due_ms = record.ordinal, self._due_ms(record, due_ms)
        try:
            await self._park(record, due_ms)
        except asyncio.CancelledError:
            self._note_cancelled(key, ordinal)
            raise
        end = Fact(FactKind.SLEEP_COMPLETED, self._hold.now_ms(), key, ordinal)
        self._hold.add_lazy((key, "end"), end)

    # ---- wait for event ----------------------------------------------------------------------

    async def wait_for_event(self, name: str, event_type: str, timeout: Duration) -> ReceivedEvent:
        """Wait for an event; consuming it and recording it is one write."""
        key = self.recorded.key_of(_WAIT, name)
        check_event_type(event_type)
        timeout_ms = self._wait_timeout(name, timeout)
        if self._hold.state is not RunState.LIVE or self._hold.is_rolling_back:
            await self._refuse_or_admit(key)
        record = self.recorded.recall(key)
        if record is not None and record.progress is Progress.DONE:
            stored_type = read_detail(record.end_detail).get("event_type", event_type)
            return _received(record.payload or "null", record.began_ms or 0, str(stored_type))
        if record is not None and record.progress is Progress.FAILED:
            await self.recorded.let_others_come(record)
            raise error_of(record.end_detail)
        if self.is_stub:
            await self._give_nothing()
            return None  # type: ignore[return-value]  # by design
        if record is None and self.strict is not None:
            await self._admit_new(self.strict, key)
        await self._hold.waits.pass_gate()
        now_ms = self._hold.now_ms()
        if record is None:
            ordinal, due_ms = self.history.next_ordinal(), now_ms + timeout_ms
            detail = detail_text(event_type=event_type, timeout_ms=timeout_ms)
            start = Fact(FactKind.WAIT_STARTED, now_ms, key, ordinal, due_ms=due_ms, detail=detail)
            self._hold.add_lazy(key, start)
        else:
            ordinal, due_ms = record.ordinal, self._due_ms(record, now_ms)
            if due_ms <= now_ms:  # it ran out while nobody held the instance
                await self._time_out(key, ordinal, timeout_ms)
        try:
            event = await self._park(record, due_ms, event_type)
        except asyncio.CancelledError:
            self._note_cancelled(key, ordinal)
            raise
        if event is None:
            await self._time_out(key, ordinal, timeout_ms)
        await self._consume(key, ordinal, event)
        return _received(event.payload, event.at_ms, event.type)

    async def _park(
        self, record: StepRecord | None, due_ms: int, event_type: str | None = None
    ) -> PendingEvent | None:
        """Wait; what the code has cancelled before takes no event, and is cancelled again."""
        if record is None or record.progress is not Progress.CANCELLED:
            return await self._hold.waits.park(due_ms, event_type)
        self.recorded.standing += 1
        try:
            return await self._hold.waits.park(due_ms)
        finally:
            self.recorded.standing -= 1

    def _note_cancelled(self, key: StepKey, ordinal: int, attempt: int | None = None) -> None:
        """Record that user code has cancelled a step of its own, such as the loser of a race.

        At a replay the call waits for the same to happen: it takes no event that a later wait is
        to get, and runs nothing a second time.
        """
        hold, record = self._hold, self.history.records.get(key)
        if record is not None and record.progress is Progress.CANCELLED:
            return
        if hold.state is RunState.LIVE and not hold.is_rolling_back and not hold.keeper.is_ending:
            error = StepError("the code around this step has cancelled it", name="CancelledError")
            detail, now_ms = error_detail(error), hold.now_ms()
            fact = Fact(FactKind.STEP_CANCELLED, now_ms, key, ordinal, attempt, detail=detail)
            hold.add_lazy((key, "cancelled"), fact)

    def _due_ms(self, record: StepRecord, default_ms: int) -> int:
        """Give when a recorded sleep or wait ends.

        One that was cancelled has its whole length again: else it could be over before the code
        around it cancels it, as it did when it was first there.
        """
        if record.progress is Progress.CANCELLED:
            detail = read_detail(record.start_detail)
            length_ms = detail.get("duration_ms") or detail.get("timeout_ms") or 0
            return self._hold.now_ms() + int(length_ms)
        return record.due_ms or default_ms

    def _wait_timeout(self, name: str, timeout: Duration) -> int:
        limits = self._hold.services.limits
        timeout_ms = _duration(timeout or "24 hours", f"the timeout of wait_for_event {name!r}")
        if not limits.wait_ms_min <= timeout_ms <= limits.wait_ms_max:
            raise WorkflowFatalError(
                f"the timeout of wait_for_event {name!r} is {format_duration(timeout_ms)}; it must "
                f"lie between {format_duration(limits.wait_ms_min)} and "
                f"{format_duration(limits.wait_ms_max)}"
            )
        return timeout_ms

    async def _consume(self, key: StepKey, ordinal: int, event: PendingEvent) -> None:
        fact = Fact(
            FactKind.WAIT_COMPLETED,
            self._hold.now_ms(),
            key,
            ordinal,
            began_ms=event.at_ms,
            payload=event.payload,
            detail=detail_text(event_type=event.type),
        )
        storing = asyncio.ensure_future(self._hold.commit(fact, consumed_event=event.id))
        try:
            await asyncio.shield(storing)
        except asyncio.CancelledError:
            self._note_cancelled(key, ordinal)
            if self._hold.state is RunState.LIVE:  # nobody gets to see the event: it goes back
                storing.add_done_callback(lambda done: self._put_back(event, done))
            raise
        self._hold.has_gone_on = True

    def _put_back(self, event: PendingEvent, stored: asyncio.Task[None]) -> None:
        if not stored.cancelled() and stored.exception() is None:
            command = SendEvent(ref=self._hold.instance.ref, type=event.type, payload=event.payload)
            again = self._hold.services.journal.submit(command)
            again.add_done_callback(lambda _: self._hold.keeper.on_news())

    async def _time_out(self, key: StepKey, ordinal: int, timeout_ms: int) -> NoReturn:
        error = WorkflowTimeoutError(
            f"wait_for_event {key.label} got no event within {format_duration(timeout_ms)}"
        )
        now_ms, detail = self._hold.now_ms(), error_detail(error)
        await self._hold.commit(Fact(FactKind.WAIT_TIMED_OUT, now_ms, key, ordinal, detail=detail))
        self._hold.has_gone_on = True
        raise error


def _duration(value: Duration, what: str) -> int:
    try:
        return parse_duration(value, what=what)
    except InvalidDuration as error:
        raise WorkflowFatalError(str(error)) from error


def _epoch_ms(when: datetime | float | str, name: str) -> int:
    if isinstance(when, str):
        with contextlib.suppress(ValueError):  # what is no time is refused below
            when = datetime.fromisoformat(when)
    if isinstance(when, datetime):
        aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    if isinstance(when, (int, float)) and not isinstance(when, bool) and math.isfinite(when):
        return round(when)
    raise WorkflowFatalError(
        f"sleep_until({name!r}) got {when!r}; give a datetime, epoch milliseconds, or ISO 8601 text"
    )


def _received(text: str, at_ms: int, event_type: str) -> ReceivedEvent:
    return ReceivedEvent(
        payload=payload.decode(text),
        timestamp=datetime.fromtimestamp(at_ms / 1000, UTC),
        type=event_type,
    )
