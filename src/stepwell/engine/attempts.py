"""Try something until it succeeds or may not be tried again; each try is on record.

Used for forward steps and for rollback handlers alike. What is durable when:

    before the callable runs   its start, if this is the last permitted attempt, or a retry, or the
                               step has a rollback, or the run follows a crash; otherwise the start
                               is lazy (a first attempt that can still be repeated if it is lost)
    before user code goes on   the result, or the final error
    before the next attempt    that this one failed (it rides along with the next start)

So a crash can hide first attempts that had begun since the run's last write; the run that follows
it counts each step without a record as tried once, until `Hold.has_gone_on`. Never more than
limit + 1 attempts start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from stepwell.authoring.call import DelayInput, StepContext, StepName
from stepwell.core.config import config_to_detail, public_config
from stepwell.core.delay import parse_delay_answer
from stepwell.core.events import detail_text
from stepwell.core.replay import StepRecord
from stepwell.core.retry import is_retryable, retry_wait_ms
from stepwell.engine.facts import error_detail, is_failure, restore_error
from stepwell.engine.hold import Hold
from stepwell.engine.in_flight import Attempt
from stepwell.engine.logs import log_attempt
from stepwell.engine.states import RunState
from stepwell.errors import NonRetryableDelayError, StepError, WorkflowInternalError
from stepwell.model.limits import DELAY_FUNCTION_SECONDS_MAX, DELAY_MS_WITHOUT_FUNCTION
from stepwell.model.step import DEFAULT_CONFIG, Fact, FactKind, StepConfig, StepKey

_LOG = logging.getLogger("stepwell.engine")


@dataclass(slots=True)
class Success:
    """What a successful attempt leaves: the value for user code, and what is stored of it."""

    value: Any
    payload: str | None
    detail: dict[str, Any]


@dataclass(slots=True)
class Job:
    """Something to try.

    Attributes:
        key: of the step (or its rollback).
        ordinal: how-manieth step of the instance.
        config: merged configuration.
        delay: function that decides the delay, or None.
        flags: parts of the start's detail besides the config: rollback, sensitive.
        is_careful: every start is durable before the callable runs.
        attempt_once: makes one attempt; gives what is stored.
        record: what history knows of the step, or None.
        begun: the attempt in which the callable has had its first turn, or None.
    """

    key: StepKey
    ordinal: int
    config: StepConfig
    delay: Callable[[Any], Any] | None
    flags: dict[str, Any]
    is_careful: bool
    attempt_once: Callable[[int], Awaitable[Success]]
    record: StepRecord | None = None
    begun: Attempt | None = None


class Attempts:
    """The attempts of one job."""

    def __init__(self, hold: Hold, job: Job, *, may_have_started: bool) -> None:
        self._hold = hold
        self._job = job
        self._limit = job.config.retries.limit
        self._attempt = 1
        self._began_ms = 0
        self._is_start_recorded = job.record is not None
        self._may_have_started = may_have_started
        self.current_attempt: int | None = None

    async def run(self) -> Any:
        """Try until it ends; gives the value, or raises the last attempt's error."""
        await self._catch_up()
        while True:
            await self._hold.waits.pass_gate()
            attempt = self._hold.enter_attempt(self._job.begun)
            self._job.begun = None
            self.current_attempt = self._attempt
            try:
                return await self._try()
            except _RetryAt as retry:
                due_ms = retry.due_ms
            finally:
                self._hold.leave_attempt(attempt)
            self.current_attempt = None
            await self._hold.waits.park(due_ms)
            self._attempt += 1

    async def _catch_up(self) -> None:
        """Find the number of the next attempt; an interrupted one counts as failed."""
        record = self._job.record
        if record is None:
            if self._may_have_started and self._limit >= 1:
                await self._count_hidden()
            return
        self._attempt = record.attempts + 1
        if record.is_attempt_open:
            await self._count_interrupted(record.attempts)
        elif record.due_ms is not None:
            await self._hold.waits.park(record.due_ms)

    async def _count_hidden(self) -> None:
        """Count a first attempt whose start, being lazy, the crash may have hidden."""
        detail = start_detail(self._job.config, self._job.flags)
        self._hold.add_lazy(self._job.key, self._fact(FactKind.STEP_STARTED, 1, detail=detail))
        self._is_start_recorded = True
        await self._count_interrupted(1, "may have been")
        self._attempt = 2

    async def _count_interrupted(self, attempt: int, was: str = "was") -> None:
        error = WorkflowInternalError(
            f"attempt {attempt} of step {self._job.key.label} {was} interrupted: "
            "its worker stopped before the attempt had ended"
        )
        if attempt > self._limit:
            fact = self._fact(FactKind.STEP_FAILED, attempt, detail=error_detail(error))
            await self._hold.commit(fact)
            self._hold.has_gone_on = True
            raise error
        fact = self._fact(FactKind.ATTEMPT_FAILED, attempt, detail=error_detail(error))
        self._hold.add_lazy((self._job.key, "interrupted"), fact)

    async def _try(self) -> Any:
        await self._start()
        try:
            outcome = await self._job.attempt_once(self._attempt)
        except asyncio.CancelledError as error:
            if self._is_cut_off():
                raise
            # The callable awaited something that was cancelled: its own failure, not ours.
            await self._failed(StepError(str(error) or "cancelled", name="CancelledError"))
        except BaseException as error:
            if not is_failure(error):
                raise
            await self._failed(error)
        else:
            await self._succeeded(outcome)
            self._hold.has_gone_on = True
            return outcome.value

    async def _start(self) -> None:
        self._began_ms = self._hold.now_ms()
        attempt = self._attempt
        if self._is_start_recorded:
            fact = self._fact(FactKind.ATTEMPT_STARTED, attempt)
        else:
            fact = self._fact(
                FactKind.STEP_STARTED,
                attempt,
                detail=start_detail(self._job.config, self._job.flags),
            )
            self._is_start_recorded = True
        if attempt > 1 or attempt > self._limit or self._job.is_careful:
            await self._hold.commit(fact)
        else:
            self._hold.add_lazy(self._job.key, fact)

    async def _succeeded(self, outcome: Success) -> None:
        job = self._job
        start = self._hold.absorb_lazy(job.key)
        detail: str | None
        if start is not None:
            kind, detail = FactKind.STEP_RAN, start.detail
            if outcome.detail:
                detail = detail_text(
                    config=config_to_detail(job.config), **{**job.flags, **outcome.detail}
                )
        else:
            kind = FactKind.STEP_COMPLETED
            parts = {**outcome.detail, "sensitive": job.flags.get("sensitive")}
            detail = detail_text(**parts)
        await self._hold.commit(
            Fact(
                kind,
                self._hold.now_ms(),
                job.key,
                job.ordinal,
                self._attempt,
                self._began_ms,
                None,
                outcome.payload,
                detail,
            )
        )
        self._log("completed")

    async def _failed(self, error: BaseException) -> None:
        """Record a failed attempt.

        Raises:
            _RetryAt: there is another attempt, at that time.
            Exception: there is none; the error as user code sees it, live and at replay.
        """
        reason = error
        if self._attempt <= self._limit and is_retryable(error):
            try:
                wait_ms = await self._wait_ms(error)
            except NonRetryableDelayError as delay_error:
                reason = delay_error
            else:
                fact = self._retry_fact(error, wait_ms)
                self._hold.add_lazy((self._job.key, "failed", self._attempt), fact)
                self._log("failed", error, wait_ms)
                raise _RetryAt(fact.due_ms or 0)
        detail = error_detail(reason)
        await self._hold.commit(self._fact(FactKind.STEP_FAILED, self._attempt, None, detail))
        self._hold.has_gone_on = True
        self._log("failed for good", reason)
        raise restore_error(reason, detail)

    async def _wait_ms(self, error: BaseException) -> int:
        delay_ms = self._job.config.retries.delay_ms
        if self._job.delay is None:
            # None: the step began with a delay function, which the code has no more.
            return self._grown_ms(DELAY_MS_WITHOUT_FUNCTION if delay_ms is None else delay_ms)
        # If the process stops while the function runs, a second is waited: that is no error.
        parting, key = self._hold.parting, self._job.key
        parting[key] = self._retry_fact(error, self._grown_ms(DELAY_MS_WITHOUT_FUNCTION))
        try:
            return self._grown_ms(await self._ask_delay(self._job.delay, error))
        finally:
            del parting[key]

    def _grown_ms(self, base_ms: int) -> int:
        chance = self._hold.services.chance()
        retries = self._job.config.retries
        return retry_wait_ms(retries, attempt=self._attempt, base_ms=base_ms, chance=chance)

    def _retry_fact(self, error: BaseException, wait_ms: int) -> Fact:
        detail = error_detail(error)
        return self._fact(FactKind.ATTEMPT_FAILED, self._attempt, wait_ms, detail)

    async def _ask_delay(self, delay: Callable[[Any], Any], error: BaseException) -> int:
        seen = DelayInput(
            ctx=context_of(self._job.key, self._attempt, self._job.config),
            error=error if isinstance(error, Exception) else StepError(str(error)),
        )
        whose = f"the delay function of step {self._job.key.label}"
        scope = asyncio.timeout(DELAY_FUNCTION_SECONDS_MAX)
        try:
            async with scope:
                answer = delay(seen)
                if asyncio.iscoroutine(answer) or isinstance(answer, asyncio.Future):
                    answer = await answer
        except BaseException as wrong:
            is_cancelled = isinstance(wrong, asyncio.CancelledError)
            if self._is_cut_off() if is_cancelled else not is_failure(wrong):
                _LOG.debug("%s was cut off: the run stops here", whose)
                raise
            if scope.expired() and isinstance(wrong, TimeoutError):
                _LOG.warning("%s did not answer", whose)
                raise NonRetryableDelayError(
                    f"NonRetryableDelayError: {whose} gave no answer within "
                    f"{DELAY_FUNCTION_SECONDS_MAX:g} seconds"
                ) from None
            raise NonRetryableDelayError(
                f"NonRetryableDelayError: {whose} raised {type(wrong).__name__}: {wrong}"
            ) from wrong
        return parse_delay_answer(answer)

    def _is_cut_off(self) -> bool:
        """Claim that a cancellation is meant for the run, and no failure of user code."""
        task = asyncio.current_task()
        is_cancelled = task is not None and task.cancelling() > 0
        return self._hold.state is not RunState.LIVE or is_cancelled

    def _fact(
        self, kind: FactKind, attempt: int, wait_ms: int | None = None, detail: str | None = None
    ) -> Fact:
        job, now_ms = self._job, self._hold.now_ms()
        due_ms = None if wait_ms is None else now_ms + wait_ms
        began_ms = None if kind in _STARTS else self._began_ms or None
        return Fact(kind, now_ms, job.key, job.ordinal, attempt, began_ms, due_ms, None, detail)

    def _log(
        self, outcome: str, error: BaseException | None = None, next_ms: int | None = None
    ) -> None:
        hold = self._hold
        log_attempt(
            hold.instance.ref,
            self._job.key,
            self._attempt,
            outcome,
            duration_ms=hold.now_ms() - self._began_ms,
            error=error,
            next_ms=next_ms,
        )


class _RetryAt(Exception):
    """Another attempt is due."""

    def __init__(self, due_ms: int) -> None:
        self.due_ms = due_ms


_STARTS = frozenset({FactKind.STEP_STARTED, FactKind.ATTEMPT_STARTED})


def start_detail(config: StepConfig, flags: dict[str, Any]) -> str | None:
    """Give the detail text of a step's start; None if all of it is the default."""
    if not flags and config is DEFAULT_CONFIG:
        return None
    return detail_text(config=config_to_detail(config), **flags)


def context_of(key: StepKey, attempt: int, config: StepConfig) -> StepContext:
    """Make the context that a callable sees; its config is a copy."""
    name = StepName(name=key.name, count=key.count)
    return StepContext(step=name, attempt=attempt, config=public_config(config))
