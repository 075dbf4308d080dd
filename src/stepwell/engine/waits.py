"""How a run waits: for a time or an event, for the end of a pause, at rest without its lease.

A branch of user code that waits is a `Park`. When nothing is in flight and every branch is parked
for long, the lease is given back in one conditional write (RESTING, then RESTED): no event may have
come meanwhile. The same worker may wake the run in place if it gets the very next epoch; otherwise
it is dropped. A run that is over refuses every further step.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from stepwell.engine.logs import log_instance
from stepwell.engine.parking import Park, Parking
from stepwell.engine.parties import Holder
from stepwell.engine.quiet import Look
from stepwell.engine.states import Exit, RunState, current_task
from stepwell.errors import RunDropped, StoreError
from stepwell.model.command import EnterPause, Hibernate, Outcome, Wake
from stepwell.model.event import PendingEvent
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Claim

_BUSY_RECHECK_SECONDS = 0.25
_REFUSALS_MAX = 100
_FOR_EVER_SECONDS = 24 * 60 * 60


class Waits:
    """What the branches of one run wait for, and with them the whole run."""

    def __init__(self, hold: Holder) -> None:
        self._hold = hold
        self._parking = Parking()
        self._gate: asyncio.Future[None] | None = None
        self._settled: asyncio.Future[None] | None = None
        self._is_check_due = False
        self._last_look: Look | None = None  # the one just before, if all was quiet in it
        self._is_entering_pause = False
        self.pause_detail: str | None = None  # why, for the log
        self._is_closing = False
        self._refusals = 0
        self._recheck: asyncio.TimerHandle | None = None

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks that are held up."""
        return self._parking.tasks

    @property
    def events_seen(self) -> int:
        """Id of the newest event that has come in."""
        return self._parking.events_seen

    def store_mail(self, events: Iterable[PendingEvent]) -> None:
        """Put events into the mailbox; those that were seen before are left out."""
        self._parking.store_mail(events)

    def cancel(self) -> None:
        """Let nothing wait any longer: the run is over."""
        for park in self._parking:
            park.cancel_timer()
        for future in (self._gate, self._settled):
            if future is not None:
                future.cancel()
        if self._recheck is not None:
            self._recheck.cancel()

    # ---- parking -----------------------------------------------------------------------------

    async def park(self, due_ms: int, event_type: str | None = None) -> PendingEvent | None:
        """Wait until `due_ms`, or for an event of this type; gives the event, or None.

        The event is taken out of the mailbox; consuming it for good is the caller's write. One that
        was accepted before `due_ms` counts, even if nobody has told this run of it yet; so may one
        that came a little later, before the wait has ended.
        """
        is_inside = self._hold.in_flight.is_around
        park = Park(due_ms, event_type, current_task(), is_inside=is_inside)
        self._parking.add(park)
        try:
            event = self._parking.take_mail(park)
            while event is None:
                await self._wait_in(park)
                is_due = self._hold.now_ms() >= due_ms
                if is_due and event_type is not None:
                    await self._fetch_mail()
                event = self._parking.take_mail(park)
                if is_due:
                    break
            return event
        finally:
            self._parking.remove(park)
            self._wake_for_mail()
            self.consider_others()

    async def _wait_in(self, park: Park) -> None:
        park.woken = asyncio.get_running_loop().create_future()
        self._arm(park)
        self.consider()
        await park.woken
        await self.pass_gate()

    async def _fetch_mail(self) -> None:
        """Read events that no hint has told of yet."""
        try:
            store, seen = self._hold.services.store, self._parking.events_seen
            self._parking.store_mail(await store.pending_events(self._hold.lease.key, seen))
        except StoreError as error:
            raise self._hold.fail(error) from error

    def _arm(self, park: Park) -> None:
        park.cancel_timer()
        park.timer = self._hold.services.clock.call_at(park.due_ms, lambda: self._fire(park))

    def _fire(self, park: Park) -> None:
        """End a park in time; while the run rests or pauses, it fires when it is armed again."""
        if self._hold.state is RunState.LIVE and (self._gate is None or park.is_inside):
            park.wake()

    def _wake_parks(self) -> None:
        for park in self._parking:
            if park.is_waiting:
                self._arm(park)
        self._wake_for_mail()

    def deliver(self, events: Iterable[PendingEvent]) -> None:
        """Take events that the store has accepted; the oldest waiter of a type gets the oldest."""
        self._parking.store_mail(events)
        self._wake_for_mail()
        self.consider_others()

    def _wake_for_mail(self) -> None:
        if self._hold.state is RunState.LIVE:
            self._parking.wake_for_mail(only_inside=self._gate is not None)

    async def settle(self) -> None:
        """Wait until it is known whether this run may go on; refuse if it may not.

        Code of its own may have gone on although the run has given its lease back, for instance
        because of a timer that nobody could see. Then the lease is asked for again.

        Raises:
            RunDropped: the run is over.
        """
        while self._hold.state is RunState.RESTING and self._settled is not None:
            await asyncio.shield(self._settled)
        while self._hold.state is RunState.RESTED:
            if self._settled is None or self._settled.done():
                self._settled = asyncio.get_running_loop().create_future()
                self._then(
                    self._hold.services.journal.submit(Wake(lease=self._hold.lease)), self._end_wake
                )
            await asyncio.shield(self._settled)
        if self._hold.state is not RunState.LIVE:
            raise RunDropped

    async def admit(self) -> None:
        """Let a step begin only once it is known that this run may go on.

        Code that goes on calling steps whatever is raised must not block the event loop: after
        many refusals it is not answered any more.

        Raises:
            RunDropped: the run is over.
        """
        try:
            await self.settle()
        except RunDropped:
            self._refusals += 1
            await asyncio.sleep(0 if self._refusals <= _REFUSALS_MAX else _FOR_EVER_SECONDS)
            raise

    # ---- rest --------------------------------------------------------------------------------

    def consider(self) -> None:
        """Look, in the loop's next turn, whether this run should pause or may rest."""
        if not self._is_check_due and self._hold.state is RunState.LIVE:
            self._is_check_due = True
            asyncio.get_running_loop().call_soon(self._check)

    def consider_others(self) -> None:
        """Look again when one branch has moved: the others may all be parked for long."""
        if self._parking or self._gate is not None:
            self.consider()

    def _check(self) -> None:
        self._is_check_due = False
        before, self._last_look = self._last_look, None
        if self._hold.state is not RunState.LIVE or self._hold.is_busy:
            return
        if self._gate is not None:
            if not self._hold.is_rolling_back:  # what has failed goes to its end instead
                self._start_pause()
        elif self._is_long() and self._hold.task is not None:
            look = Look(self._parking.tasks)
            if self._hold.has_running_threads or not look.is_quiet(self._hold.task):
                self._recheck_later()
            elif before is not None and before.ended == look.ended:
                self._start_rest()
            else:  # look once more, when those who are to be told of something have been
                self._last_look = look
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
        linger_ms = self._hold.services.linger_ms
        if linger_ms is None or not self._parking.is_waiting:
            return False
        return self._parking.due_ms - self._hold.now_ms() > linger_ms

    def _start_rest(self) -> None:
        self._hold.state = RunState.RESTING
        self._settled = asyncio.get_running_loop().create_future()
        facts = (*self._hold.take_lazy(), Fact(FactKind.WAITING, self._hold.now_ms()))
        command = Hibernate(
            lease=self._hold.lease,
            facts=facts,
            wake_ms=self._parking.due_ms,
            event_types=self._parking.event_types,
            events_seen=self._parking.events_seen,
        )
        self._then(self._hold.services.journal.submit(command), self._end_rest)

    def _end_rest(self, outcome: Outcome) -> None:
        if self._hold.state is not RunState.RESTING:
            return
        if outcome is Outcome.APPLIED:
            self._hold.state = RunState.RESTED
            for park in self._parking:
                park.cancel_timer()
            log_instance(self._hold.instance.ref, self._what_for())
            self._hold.leave(Exit.RESTED)
        elif outcome is Outcome.STAY:
            self._hold.state = RunState.LIVE
            self._hold.add_lazy(FactKind.RUNNING, Fact(FactKind.RUNNING, self._hold.now_ms()))
            self._wake_parks()
            self._hold.keeper.on_news()
            # Not at once to rest again: the news that kept it up must come first (`deliver`).
            if self._gate is not None:
                self.consider()
        else:
            self._hold.drop()
        self._settle()

    def _what_for(self) -> str:
        """Say what the run waits for, to people."""
        types = " or ".join(repr(type_) for type_ in self._parking.event_types)
        until = datetime.fromtimestamp(self._parking.due_ms / 1000, UTC).isoformat(" ", "seconds")
        return f"waits for event {types} until {until}" if types else f"waits until {until}"

    def _settle(self) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(None)

    def _end_wake(self, outcome: Outcome) -> None:
        if outcome is Outcome.APPLIED:
            self._hold.keeper.on_ready()
        elif self._hold.state is RunState.RESTED:
            self._hold.drop()

    async def wait_rest(self) -> None:
        """Wait until it is known whether the run is at rest, if it is about to be."""
        if self._hold.state is RunState.RESTING and self._settled is not None:
            await asyncio.wait([self._settled])

    def wake_in_place(self, claim: Claim, events: Iterable[PendingEvent]) -> None:
        """Go on where the run rests: this worker holds it again, and nobody did in between."""
        self._hold.instance = claim.instance
        self._hold.lease = claim.lease
        self._hold.state = RunState.LIVE
        self._hold.add_lazy(FactKind.RUNNING, Fact(FactKind.RUNNING, self._hold.now_ms()))
        self._parking.store_mail(events)
        self._wake_parks()
        self._settle()
        self.consider()

    # ---- pause -------------------------------------------------------------------------------

    def request_pause(self) -> None:
        """Start nothing new; once nothing is in flight, pause."""
        if self._gate is None and self._hold.state is not RunState.OVER:
            self._gate = asyncio.get_running_loop().create_future()
        self.consider()

    def close_gate(self) -> None:
        """Start nothing new from now on: the process is about to stop."""
        self._is_closing = True
        if self._gate is None:
            self._gate = asyncio.get_running_loop().create_future()

    def cancel_pause(self) -> None:
        """Go on after all; not while the pause is being written, since the store decides then."""
        if self._is_closing or self._is_entering_pause:
            return
        gate, self._gate = self._gate, None
        if gate is not None and not gate.done():
            gate.set_result(None)
            self._wake_parks()
            self.consider()

    @property
    def is_pausing(self) -> bool:
        """Claim that a pause was asked for and has not been reached."""
        return self._gate is not None

    async def pass_gate(self) -> None:
        """Hold a step back while a pause is coming, unless it is called from within another.

        It is held back too until the worker is sure of its lease: after a stall of the process,
        another one may have gone on with the run long since.
        """
        hold = self._hold
        while self._gate is not None and not hold.in_flight.is_around:
            self.consider()
            await asyncio.shield(self._gate)
        if hold.now_ms() >= hold.keeper.lease_until_ms:
            await hold.keeper.ensure_lease()
        if hold.state is not RunState.LIVE:
            await self.admit()

    def _start_pause(self) -> None:
        if self._is_entering_pause or self._is_closing:
            return
        self._is_entering_pause = True
        self._hold.flush_lazy()  # on its own: should the pause be refused, these are not lost
        facts = (Fact(FactKind.PAUSED, self._hold.now_ms(), detail=self.pause_detail),)
        command = EnterPause(lease=self._hold.lease, facts=facts)
        self._then(self._hold.services.journal.submit(command), self._end_pause)

    def _end_pause(self, outcome: Outcome) -> None:
        self._is_entering_pause = False
        if self._hold.state is not RunState.LIVE:
            return
        if outcome is Outcome.APPLIED:
            self._hold.leave(Exit.PAUSED)
        elif outcome is Outcome.STAY:
            self.cancel_pause()
        else:
            self._hold.drop()

    def _then(self, write: Awaitable[Outcome], act: Callable[[Outcome], None]) -> None:
        """Act on the outcome of a write that nobody awaits."""

        def done(future: asyncio.Future[Outcome]) -> None:
            if future.cancelled() or future.exception() is not None:
                self._hold.drop()
            else:
                act(future.result())

        asyncio.ensure_future(write).add_done_callback(done)
