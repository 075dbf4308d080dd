"""What a run holds: its lease, and with it the right to write, to wait, to rest and to pause.

All writes of a run go through its `Hold`. "Lazy" facts (a step has started, a sleep has ended) need
not be durable before user code goes on: losing them in a crash changes nothing that replay returns.
They ride along with the run's next write, or are written after some milliseconds.

A branch of user code that waits is a `Park`. When nothing is in flight and every branch is parked
for long, the lease is given back in one conditional write (RESTING, then RESTED): no event may have
come meanwhile. The same worker may wake the run in place if it gets the very next epoch; otherwise
it is dropped. A run that is over refuses every further step.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from enum import Enum
from typing import Any

from stepwell.engine.parking import Park, Parking
from stepwell.engine.quiet import is_quiet
from stepwell.engine.services import Definition, Services
from stepwell.engine.threads import Threads
from stepwell.errors import RunDropped, StoreError, WorkflowInternalError
from stepwell.model.command import (
    Append,
    EnterPause,
    Finish,
    Hibernate,
    Outcome,
    Release,
    RunCommand,
    Wake,
)
from stepwell.model.event import PendingEvent
from stepwell.model.instance import InstanceStatus, Lease
from stepwell.model.step import Fact, FactKind, StepKey
from stepwell.ports.store import Claim

_LOG = logging.getLogger("stepwell.engine")
_BUSY_RECHECK_SECONDS = 0.25


class RunState(Enum):
    """Whether a run may go on."""

    LIVE = "live"
    RESTING = "resting"  # giving the lease back; not yet known whether it was applied
    RESTED = "rested"
    OVER = "over"


class Exit(Enum):
    """How a run left its worker's hands."""

    ENDED = "ended"
    RESTED = "rested"
    PAUSED = "paused"
    DROPPED = "dropped"


class Hold:
    """One claim of one instance, and what may be done under it."""

    def __init__(
        self,
        claim: Claim,
        *,
        definition: Definition,
        services: Services,
        on_exit: Callable[[Exit], None],
        on_news: Callable[[], None],
        on_ready: Callable[[], None],
    ) -> None:
        self.instance = claim.instance
        self.lease: Lease = claim.lease
        self.definition = definition
        self.services = services
        self.state = RunState.LIVE
        self.has_gone_on = False  # a step has ended, other than by being remembered
        self.in_flight: dict[asyncio.Task[Any], int] = {}
        self.stored_bytes = 0
        self.is_rolling_back = False
        self.task: asyncio.Task[None] | None = None
        self._on_exit = on_exit
        self._on_news = on_news
        self._on_ready = on_ready
        self.parking = Parking()
        self.threads = Threads(services.threads)
        self._lazy: dict[Hashable, Fact] = {}
        self.parting: dict[StepKey, Fact] = {}  # written only if the run is handed back meanwhile
        self._commits = 0
        self._pause_gate: asyncio.Future[None] | None = None
        self._settled: asyncio.Future[None] | None = None
        self._is_rest_check_due = False
        self._was_quiet = False
        self._is_entering_pause = False
        self._recheck: asyncio.TimerHandle | None = None
        self.is_closing = False
        self._idle: asyncio.Future[None] | None = None

    # ---- the end -----------------------------------------------------------------------------

    async def finish(self, status: InstanceStatus, *facts: Fact) -> None:
        """Write the end; afterwards nothing of this run may act."""
        await self.settle()
        command = Finish(self.lease, status, (*self.take_lazy(), *facts))
        end: Fact | None = None
        try:
            await self.write(command)
            end = facts[-1]
        finally:
            # Told also if this run is dropped here: its worker may see the end in the store first.
            self.services.journal.publish(self.instance.ref, end)
        self._leave(Exit.ENDED)

    def drop(self) -> None:
        """Stop this run for good, without a word to user code; nothing is written."""
        if self.state is not RunState.OVER:
            self._leave(Exit.DROPPED)

    async def hand_back(self) -> None:
        """Stop this run, and give its lease back so that any worker may go on at once."""
        if self.state is RunState.RESTING and self._settled is not None:
            await asyncio.wait([self._settled])  # the lease may be going back already
        if self.state is RunState.LIVE:
            facts = (*self.take_lazy(), *self.parting.values())
            self.drop()
            await self.services.journal.submit(Release(lease=self.lease, facts=facts))

    def _leave(self, exit_: Exit) -> None:
        if exit_ is not Exit.RESTED:
            self.state = RunState.OVER
            self._cancel_everything()
        self._on_exit(exit_)

    def _cancel_everything(self) -> None:
        current = asyncio.current_task()
        tasks = self.parking.tasks | set(self.in_flight)
        if self.task is not None:
            tasks.add(self.task)
        for task in tasks:
            if task is not current:
                task.cancel()
        for park in self.parking:
            park.cancel_timer()
        for gate in (self._pause_gate, self._settled, self._idle):
            if gate is not None and not gate.done():
                gate.cancel()
        if self._recheck is not None:
            self._recheck.cancel()

    # ---- writing -----------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Give the time."""
        return self.services.clock.now_ms()

    async def settle(self) -> None:
        """Wait until it is known whether this run may go on; refuse if it may not.

        Code of its own may have gone on although the run has given its lease back, for instance
        because of a timer that nobody could see. Then the lease is asked for again.

        Raises:
            RunDropped: the run is over.
        """
        while self.state is RunState.RESTING and self._settled is not None:
            await asyncio.shield(self._settled)
        while self.state is RunState.RESTED:
            if self._settled is None or self._settled.done():
                self._settled = asyncio.get_running_loop().create_future()
                self._then(self.services.journal.submit(Wake(lease=self.lease)), self._end_wake)
            await asyncio.shield(self._settled)
        if self.state is not RunState.LIVE:
            raise RunDropped

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
            await self.settle()
        self._commits += 1
        try:
            outcome = await self.services.journal.submit(command)
        except StoreError as error:
            raise self.fail(error) from error
        finally:
            self._commits -= 1
            self._consider_others()
        if outcome is not Outcome.APPLIED:
            self.drop()
            raise RunDropped

    def fail(self, error: StoreError) -> RunDropped:
        """Drop the run because the store has failed: user code never sees such an error."""
        if self.state is not RunState.OVER:
            _LOG.error("%s/%s stops here: %s", *self.instance.ref, error, extra={"error": error})
        self.drop()
        return RunDropped()

    def enter_attempt(self) -> asyncio.Task[Any]:
        """Count an attempt in flight, by its task: it holds off rest and pause."""
        task = _current_task()
        self.in_flight[task] = self.in_flight.get(task, 0) + 1
        return task

    def leave_attempt(self, task: asyncio.Task[Any]) -> None:
        """Count it off again."""
        left = self.in_flight.get(task, 1) - 1
        if left:
            self.in_flight[task] = left
        else:
            self.in_flight.pop(task, None)
            if not self.in_flight and self._idle is not None and not self._idle.done():
                self._idle.set_result(None)
            self._consider_others()

    async def wait_idle(self) -> None:
        """Wait until no attempt is in flight."""
        while self.in_flight and self.state is not RunState.OVER:
            if self._idle is None or self._idle.done():
                self._idle = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._idle)

    # ---- parking -----------------------------------------------------------------------------

    async def park(self, due_ms: int, event_type: str | None = None) -> PendingEvent | None:
        """Wait until `due_ms`, or for an event of this type; gives the event, or None.

        The event is taken out of the mailbox; consuming it for good is the caller's write. One that
        was accepted before `due_ms` counts, even if nobody has told this run of it yet.
        """
        park = Park(due_ms, event_type, _current_task())
        self.parking.add(park)
        try:
            event = self.parking.take_mail(park)
            while event is None:
                await self._wait_in(park)
                is_due = self.now_ms() >= due_ms
                if is_due and event_type is not None:
                    await self._fetch_mail()
                event = self.parking.take_mail(park)
                if is_due:
                    break
            return event
        finally:
            self.parking.remove(park)
            self._wake_for_mail()
            self._consider_others()

    async def _wait_in(self, park: Park) -> None:
        park.woken = asyncio.get_running_loop().create_future()
        self._arm(park)
        self.consider()
        await park.woken
        await self.pass_gate()

    async def _fetch_mail(self) -> None:
        """Read events that no hint has told of yet."""
        try:
            store, seen = self.services.store, self.parking.events_seen
            self.parking.store_mail(await store.pending_events(self.lease.key, seen))
        except StoreError as error:
            raise self.fail(error) from error

    def _arm(self, park: Park) -> None:
        park.cancel_timer()
        park.timer = self.services.clock.call_at(park.due_ms, lambda: self._fire(park))

    def _fire(self, park: Park) -> None:
        """End a park in time; while the run rests or pauses, it fires when it is armed again."""
        if self._may_wake:
            park.wake()

    @property
    def _may_wake(self) -> bool:
        return self.state is RunState.LIVE and self._pause_gate is None

    def _wake_parks(self) -> None:
        for park in self.parking:
            if park.is_waiting:
                self._arm(park)
        self._wake_for_mail()

    def deliver(self, events: Iterable[PendingEvent]) -> None:
        """Take events that the store has accepted; the oldest waiter of a type gets the oldest."""
        self.parking.store_mail(events)
        self._wake_for_mail()
        self._consider_others()

    def _wake_for_mail(self) -> None:
        if self._may_wake:
            self.parking.wake_for_mail()

    # ---- rest --------------------------------------------------------------------------------

    def consider(self) -> None:
        """Look, in the loop's next turn, whether this run should pause or may rest."""
        if not self._is_rest_check_due and self.state is RunState.LIVE:
            self._is_rest_check_due = True
            asyncio.get_running_loop().call_soon(self._check)

    def _consider_others(self) -> None:
        """Look again when one branch has moved: the others may all be parked for long."""
        if self.parking or self._pause_gate is not None:
            self.consider()

    def _check(self) -> None:
        self._is_rest_check_due = False
        if self.state is not RunState.LIVE or self.in_flight or self._commits:
            self._was_quiet = False
            return
        if self._pause_gate is not None:
            self._start_pause()
        elif self._is_long() and self.task is not None:
            if not is_quiet(self.task, self.parking.tasks):
                self._was_quiet = False
                self._recheck_later()
            elif self._was_quiet:
                self._start_rest()
            else:  # look once more, when those who are to be told of something have been
                self._was_quiet = True
                self.consider()

    def _recheck_later(self) -> None:
        """Look again after a while; one timer, however often this is asked for."""
        if self._recheck is None:
            loop = asyncio.get_running_loop()
            self._recheck = loop.call_later(_BUSY_RECHECK_SECONDS, self._recheck_now)

    def _recheck_now(self) -> None:
        self._recheck = None
        self.consider()

    def _is_long(self) -> bool:
        linger_ms = self.services.linger_ms
        if linger_ms is None or not self.parking.is_waiting:
            return False
        return self.parking.due_ms - self.now_ms() > linger_ms

    def _start_rest(self) -> None:
        self.state = RunState.RESTING
        self._was_quiet = False
        self._settled = asyncio.get_running_loop().create_future()
        facts = (*self.take_lazy(), Fact(FactKind.WAITING, self.now_ms()))
        command = Hibernate(
            lease=self.lease,
            facts=facts,
            wake_ms=self.parking.due_ms,
            event_types=self.parking.event_types,
            events_seen=self.parking.events_seen,
        )
        self._then(self.services.journal.submit(command), self._end_rest)

    def _end_rest(self, outcome: Outcome) -> None:
        if self.state is not RunState.RESTING:
            return
        if outcome is Outcome.APPLIED:
            self.state = RunState.RESTED
            for park in self.parking:
                park.cancel_timer()
            self._leave(Exit.RESTED)
        elif outcome is Outcome.STAY:
            self.state = RunState.LIVE
            self.add_lazy(FactKind.RUNNING, Fact(FactKind.RUNNING, self.now_ms()))
            self._wake_parks()
            self._on_news()
            # Not at once to rest again: the news that kept it up must come first (`deliver`).
            if self._pause_gate is not None:
                self.consider()
        else:
            self.drop()
        self._settle()

    def _settle(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def _end_wake(self, outcome: Outcome) -> None:
        if outcome is Outcome.APPLIED:
            self._on_ready()
        elif self.state is RunState.RESTED:
            self.drop()

    def wake_in_place(self, claim: Claim, events: Iterable[PendingEvent]) -> None:
        """Go on where the run rests: this worker holds it again, and nobody did in between."""
        self.instance = claim.instance
        self.lease = claim.lease
        self.state = RunState.LIVE
        self.add_lazy(FactKind.RUNNING, Fact(FactKind.RUNNING, self.now_ms()))
        self.parking.store_mail(events)
        self._wake_parks()
        self._settle()
        self.consider()

    # ---- pause -------------------------------------------------------------------------------

    def request_pause(self) -> None:
        """Start nothing new; once nothing is in flight, pause."""
        if self._pause_gate is None and self.state is not RunState.OVER:
            self._pause_gate = asyncio.get_running_loop().create_future()
        self.consider()

    def close_gate(self) -> None:
        """Start nothing new from now on: the process is about to stop."""
        self.is_closing = True
        if self._pause_gate is None:
            self._pause_gate = asyncio.get_running_loop().create_future()

    def cancel_pause(self) -> None:
        """Go on after all."""
        if self.is_closing:
            return
        gate, self._pause_gate = self._pause_gate, None
        if gate is not None and not gate.done():
            gate.set_result(None)
            self._wake_parks()
            self.consider()

    @property
    def is_pausing(self) -> bool:
        """Claim that a pause was asked for and has not been reached."""
        return self._pause_gate is not None

    async def pass_gate(self) -> None:
        """Hold a step back while a pause is coming."""
        while self._pause_gate is not None:
            self.consider()
            await asyncio.shield(self._pause_gate)
        if self.state is not RunState.LIVE:
            await self.settle()

    def _start_pause(self) -> None:
        if self._is_entering_pause or self.is_closing:
            return
        self._is_entering_pause = True
        self.flush_lazy()  # on its own: the pause may be refused, and these may not be lost then
        facts = (Fact(FactKind.PAUSED, self.now_ms()),)
        command = EnterPause(lease=self.lease, facts=facts)
        self._then(self.services.journal.submit(command), self._end_pause)

    def _end_pause(self, outcome: Outcome) -> None:
        self._is_entering_pause = False
        if self.state is not RunState.LIVE:
            return
        if outcome is Outcome.APPLIED:
            self._leave(Exit.PAUSED)
        elif outcome is Outcome.STAY:
            self.cancel_pause()
        else:
            self.drop()

    def _then(self, write: Awaitable[Outcome], act: Callable[[Outcome], None]) -> None:
        """Act on the outcome of a write that nobody awaits."""

        def done(future: asyncio.Future[Outcome]) -> None:
            if future.cancelled() or future.exception() is not None:
                self.drop()
            else:
                act(future.result())

        asyncio.ensure_future(write).add_done_callback(done)


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise WorkflowInternalError("a step was called outside of any asyncio task")
    return task
