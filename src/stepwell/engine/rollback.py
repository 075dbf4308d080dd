"""The rollback phase: undo what started, newest first, then end the instance.

Order and eligibility come from history, and from what this run has started: every `do` that
declared a rollback and has started, whether it succeeded, failed or was interrupted, and whose
rollback is not finished, in descending order of start. It stops at the first handler that finally
fails. The instance's error stays the one that triggered the rollback.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from stepwell.authoring.call import DoCall, RollbackInput
from stepwell.core import payload
from stepwell.core.events import detail_text, read_detail
from stepwell.core.replay import Progress, StepRecord, rollback_key
from stepwell.engine.attempts import Attempts, Job, Success, context_of
from stepwell.engine.callbacks import Callback, shape_of
from stepwell.engine.facts import error_detail, error_of, is_failure
from stepwell.engine.hold import Hold
from stepwell.engine.plans import RollbackPlan
from stepwell.engine.steps import Steps
from stepwell.engine.streams import replay_stream
from stepwell.errors import RollbackMissing, Terminated
from stepwell.model.command import SetStatus
from stepwell.model.instance import InstanceStatus
from stepwell.model.limits import SIBLINGS_SECONDS_MAX
from stepwell.model.step import Fact, FactKind, StepKey, StepKind


class RollbackPhase:
    """Ends an instance that failed, or is to be terminated with rollback."""

    def __init__(self, hold: Hold, steps: Steps) -> None:
        self._hold = hold
        self._steps = steps
        self._error: Exception = Terminated()
        self._completed = 0

    async def after_failure(self, error: BaseException) -> None:
        """Roll back after `run` raised, then end as errored."""
        detail = read_detail(error_detail(error))["error"]
        await self._stop_siblings()
        self._error = error if isinstance(error, Exception) else error_of(error_detail(error))
        await self._run(InstanceStatus.ERRORED, detail, is_begun=False)

    async def resume(self) -> None:
        """Go on with a rollback that an operator asked for, or that a crash interrupted."""
        begun = self._steps.history.rollback_detail
        if begun is None:
            error = Terminated("the instance was terminated")
            detail = read_detail(error_detail(error))["error"]
            self._error = error
            await self._run(InstanceStatus.TERMINATED, detail, is_begun=False)
        else:
            parts = read_detail(begun)
            self._error = error_of(begun)
            final = InstanceStatus(str(parts.get("final", "errored")))
            await self._run(final, parts.get("error"), is_begun=True)

    async def _stop_siblings(self) -> None:
        """Stop the other branches: no attempt starts, or goes on, once undoing begins.

        A thread cannot be cancelled; it is given the time that its attempt had. A coroutine that
        ignores its cancellation is not waited for without end.
        """
        hold = self._hold
        hold.is_rolling_back = True
        for task in (hold.in_flight.tasks | hold.waits.tasks) - {asyncio.current_task()}:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SIBLINGS_SECONDS_MAX):
                await hold.wait_idle()
        await hold.threads.wait_all()

    async def _run(self, final: InstanceStatus, error: Any, *, is_begun: bool) -> None:
        self._hold.is_rolling_back = True
        self._steps.is_stub = False
        eligible = self._eligible()
        if not eligible and not is_begun:
            await self._finish(final, error, ())
            return
        total = len(eligible) + self._completed
        if not is_begun:
            await self._begin(final, error, total)
        for key in eligible:
            try:
                await self._roll_back(key)
            except BaseException as failure:
                if not is_failure(failure):
                    raise
                await self._end(final, error, total, failure)
                return
            self._completed += 1
        await self._end(final, error, total, None)

    def _eligible(self) -> list[StepKey]:
        """Give keys of steps to roll back, newest start first; count those that are done."""
        found = {p.key: p.ordinal for p in self._steps.plans.values() if p.has_started}
        records = self._steps.history.records
        for key, record in records.items():
            if key.kind is StepKind.DO and read_detail(record.start_detail).get("rollback"):
                found.setdefault(key, record.ordinal)
        open_: list[StepKey] = []
        for key in sorted(found, key=lambda key: -found[key]):
            record_ = records.get(rollback_key(key))
            if record_ is not None and record_.progress is Progress.DONE:
                self._completed += 1
            else:
                open_.append(key)
        return open_

    async def _begin(self, final: InstanceStatus, error: Any, total: int) -> None:
        detail = detail_text(error=error, total=total, final=str(final))
        fact = Fact(FactKind.ROLLBACK_STARTED, self._hold.now_ms(), detail=detail)
        await self._hold.waits.settle()
        facts = (*self._hold.take_lazy(), fact)
        await self._hold.write(
            SetStatus(lease=self._hold.lease, status=InstanceStatus.ROLLING_BACK, facts=facts)
        )

    async def _roll_back(self, key: StepKey) -> None:
        plan = self._steps.plans.get(key)
        record = self._steps.history.records.get(rollback_key(key))
        if record is not None and record.progress is Progress.FAILED:
            raise error_of(record.end_detail)
        ordinal = self._steps.history.next_ordinal() if record is None else record.ordinal
        if plan is None:
            await self._report_missing(key, ordinal)
        else:
            await self._attempt(plan, ordinal, record)

    async def _attempt(self, plan: RollbackPlan, ordinal: int, record: StepRecord | None) -> None:
        handler = _Handler(self._hold, plan, self._error)
        job = Job(
            key=rollback_key(plan.key),
            ordinal=ordinal,
            config=plan.config.config,
            delay=plan.config.delay,
            flags={},
            is_careful=True,
            attempt_once=handler.attempt_once,
            record=record,
        )
        await Attempts(self._hold, job, may_have_started=False).run()

    async def _report_missing(self, key: StepKey, ordinal: int) -> None:
        error = RollbackMissing(
            f"step {key.label} started with a rollback, but the code as it is now does not reach "
            "it any more, so there is no handler to call"
        )
        now_ms, detail = self._hold.now_ms(), error_detail(error)
        missing = Fact(
            FactKind.STEP_FAILED, now_ms, rollback_key(key), ordinal, attempt=1, detail=detail
        )
        await self._hold.commit(missing)
        raise error

    async def _end(
        self, final: InstanceStatus, error: Any, total: int, failure: BaseException | None
    ) -> None:
        kind = FactKind.ROLLBACK_COMPLETED if failure is None else FactKind.ROLLBACK_FAILED
        detail = detail_text(total=total, completed=self._completed)
        outcome: dict[str, Any] = {"outcome": "complete" if failure is None else "failed"}
        if failure is not None:
            recorded = read_detail(error_detail(failure))["error"]
            outcome["error"] = {"name": recorded["name"], "message": recorded["message"]}
        fact = Fact(kind, self._hold.now_ms(), detail=detail)
        await self._finish(final, error, (fact,), rollback_outcome=outcome)

    async def _finish(
        self, final: InstanceStatus, error: Any, facts: tuple[Fact, ...], **more: Any
    ) -> None:
        is_error = final is InstanceStatus.ERRORED
        kind = FactKind.ERRORED if is_error else FactKind.TERMINATED
        detail = detail_text(error=error if is_error else None, **more)
        await self._hold.finish(final, *facts, Fact(kind, self._hold.now_ms(), detail=detail))


class _Handler:
    """The attempts of one rollback handler."""

    def __init__(self, hold: Hold, plan: RollbackPlan, error: Exception) -> None:
        self._hold = hold
        self._plan = plan
        self._error = error
        has_place = shape_of(plan.handler).arguments_max > 0
        call = DoCall(plan.key.name, plan.handler, context_index=0 if has_place else -1)
        self._callback = Callback(call, hold.threads)

    async def attempt_once(self, attempt: int) -> Success:
        """Call the handler; what it returns is not kept."""
        plan = self._plan
        if attempt > 1:
            await self._callback.wait_lingering(
                f"rollback of {plan.key.label}", plan.config.config.timeout_ms
            )
        seen: Any = None
        if self._callback.wants_context:
            seen = RollbackInput(
                ctx=context_of(plan.key, plan.attempt, plan.forward),
                error=self._error,
                output=self._output(),
            )
        await self._callback.run(
            seen, f"rollback of {plan.key.label}", plan.config.config.timeout_ms
        )
        return Success(None, None, {})

    def _output(self) -> Any:
        """Give the forward step's result, None if it has none."""
        plan = self._plan
        if plan.stream is not None:
            return replay_stream(self._hold, plan.key, plan.attempt, int(plan.stream["chunks"]))
        return None if plan.payload is None else payload.decode(plan.payload)
