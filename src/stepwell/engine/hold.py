"""What a run holds: its lease, and with it the right to write.

All writes of a run go through its `Hold`. "Lazy" facts (a step has started, a sleep has ended) need
not be durable before user code goes on: losing them in a crash changes nothing that replay returns.
They ride along with the run's next write, or are written after some milliseconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Hashable
from typing import Any

from stepwell.engine.in_flight import Attempt, InFlight
from stepwell.engine.parties import Keeper
from stepwell.engine.services import Definition, Services
from stepwell.engine.states import Exit, RunState
from stepwell.engine.threads import Threads
from stepwell.engine.waits import Waits
from stepwell.errors import RunDropped, StoreError
from stepwell.model.command import Append, Finish, Outcome, Release, RunCommand
from stepwell.model.instance import InstanceStatus, Lease
from stepwell.model.step import Fact, StepKey
from stepwell.ports.store import Claim

_LOG = logging.getLogger("stepwell.engine")


class Hold:
    """One claim of one instance, and what may be done under it."""

    def __init__(
        self, claim: Claim, *, definition: Definition, services: Services, keeper: Keeper
    ) -> None:
        self.instance = claim.instance
        self.lease: Lease = claim.lease
        self.definition = definition
        self.services = services
        self.state = RunState.LIVE
        self.has_gone_on = (
            False  # after a crash: a do or a wait has ended here, so the run before came no further
        )
        self.in_flight = InFlight()
        self.stored_bytes = 0
        self.is_rolling_back = False
        self.task: asyncio.Task[None] | None = None
        self.keeper = keeper
        self.waits = Waits(self)
        self._threads: Threads | None = None
        self._lazy: dict[Hashable, Fact] = {}
        self.parting: dict[StepKey, Fact] = {}  # written only if the run is handed back meanwhile
        self._commits = 0
        self._idle: asyncio.Future[None] | None = None

    # ---- the end -----------------------------------------------------------------------------

    async def finish(self, status: InstanceStatus, *facts: Fact) -> None:
        """Write the end; afterwards nothing of this run may act."""
        await self.waits.settle()
        command = Finish(self.lease, status, (*self.take_lazy(), *facts))
        end: Fact | None = None
        try:
            await self.write(command)
            end = facts[-1]
        finally:
            # Told also if this run is dropped here: its worker may see the end in the store first.
            self.services.journal.publish(self.instance.ref, end)
        self.leave(Exit.ENDED)

    def drop(self) -> None:
        """Stop this run for good, without a word to user code; nothing is written."""
        if self.state is not RunState.OVER:
            self.leave(Exit.DROPPED)

    async def hand_back(self) -> None:
        """Stop this run, and give its lease back so that any worker may go on at once."""
        await self.waits.wait_rest()  # the lease may be going back already
        if self.state is RunState.LIVE:
            facts = (*self.take_lazy(), *self.parting.values())
            self.drop()
            await self.services.journal.submit(Release(lease=self.lease, facts=facts))

    def leave(self, exit_: Exit) -> None:
        """Let go of the instance."""
        if exit_ is not Exit.RESTED:
            self.state = RunState.OVER
            self._cancel_everything()
        self.keeper.on_exit(self, exit_)

    def _cancel_everything(self) -> None:
        tasks = self.waits.tasks | self.in_flight.tasks
        if self.task is not None:
            tasks.add(self.task)
        for task in tasks - {asyncio.current_task()}:
            task.cancel()
        self.waits.cancel()
        if self._idle is not None:
            self._idle.cancel()

    # ---- writing -----------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Give the time."""
        return self.services.clock.now_ms()

    def add_lazy(self, key: Hashable, fact: Fact) -> None:
        """Note a fact that may be written later."""
        if not self._lazy:
            self.services.journal.remind(self.flush_lazy)
        self._lazy[key] = fact

    def absorb_lazy(self, key: Hashable) -> Fact | None:
        """Take a lazy fact back that has not been written yet."""
        return self._lazy.pop(key, None)

    def take_lazy(self) -> tuple[Fact, ...]:
        """Take all lazy facts, to write them with something else."""
        facts = tuple(self._lazy.values())
        self._lazy.clear()
        return facts

    def flush_lazy(self) -> None:
        """Write the lazy facts now, without waiting."""
        if self._lazy and self.state is RunState.LIVE:
            command = Append(self.lease, self.take_lazy())
            self.services.journal.submit(command).add_done_callback(self._check_flush)

    def _check_flush(self, done: asyncio.Future[Outcome]) -> None:
        if done.cancelled():
            return
        if done.exception() is not None or done.result() is not Outcome.APPLIED:
            self.drop()

    def commit(self, *facts: Fact, consumed_event: int | None = None) -> Coroutine[Any, Any, None]:
        """Make facts durable before going on.

        Raises:
            RunDropped: this run does not hold its instance any more; nothing was stored.
        """
        if self._lazy:
            facts = (*self.take_lazy(), *facts)
        for fact in facts:
            if fact.payload is not None:
                self.stored_bytes += len(fact.payload)
        return self.write(Append(self.lease, facts, consumed_event))

    async def write(self, command: RunCommand) -> None:
        """Make any write of this run durable before going on.

        Raises:
            RunDropped: this run does not hold its instance any more, or the store has failed; it is
                over, and nothing was stored.
        """
        if self.state is not RunState.LIVE:
            await self.waits.settle()
        self._commits += 1
        try:
            outcome = await self.services.journal.submit(command)
        except StoreError as error:
            raise self.fail(error) from error
        finally:
            self._commits -= 1
            self.waits.consider_others()
        if outcome is not Outcome.APPLIED:
            self.drop()
            raise RunDropped

    def fail(self, error: StoreError) -> RunDropped:
        """Drop the run because the store has failed: user code never sees such an error."""
        if self.state is not RunState.OVER:
            _LOG.error("%s/%s stops here: %s", *self.instance.ref, error, extra={"error": error})
        self.drop()
        return RunDropped()

    @property
    def threads(self) -> Threads:
        """The threads of its sync callables."""
        if self._threads is None:
            self._threads = Threads(self.services.threads)
        return self._threads

    @property
    def has_running_threads(self) -> bool:
        """Claim that a thread runs, perhaps of an attempt that was given up."""
        return self._threads is not None and self._threads.is_running

    def enter_attempt(self, again: Attempt | None = None) -> Attempt:
        """Count an attempt in flight: it holds off rest and pause."""
        return self.in_flight.enter(again)

    def leave_attempt(self, attempt: Attempt) -> None:
        """Count it off again."""
        self.in_flight.leave(attempt)
        if not self.in_flight and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        self.waits.consider_others()

    @property
    def is_busy(self) -> bool:
        """Claim that an attempt is in flight, or a write under way."""
        return bool(self.in_flight) or self._commits > 0

    async def wait_idle(self) -> None:
        """Wait until no attempt is in flight."""
        while self.in_flight and self.state is not RunState.OVER:
            if self._idle is None or self._idle.done():
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)
