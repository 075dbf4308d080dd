"""The worker: claims what is ready, holds the runs, and passes hints on to them.

The loop is one question asked again and again: is anything ready? A hint (something was created, an
event came, a run ended), the earliest due time, or the slow poll makes it ask. Nothing here is
needed for correctness: whatever a worker does late or never, another one finds in the store.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Hashable, Iterable, Mapping

from stepwell.engine.facts import error_detail
from stepwell.engine.parties import Holder
from stepwell.engine.run import Run
from stepwell.engine.services import Definition, Services
from stepwell.engine.states import Exit, RunState
from stepwell.errors import (
    HistoryTooNew,
    StoreCorrupt,
    StoreError,
    WorkflowInternalError,
)
from stepwell.model.command import (
    Create,
    Delete,
    Finish,
    Hibernate,
    Outcome,
    Pause,
    Release,
    Restart,
    Terminate,
)
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.model.limits import ASIDE_MS, CLAIM_BATCH_MAX
from stepwell.model.step import Fact, FactKind
from stepwell.ports.clock import TimerHandle
from stepwell.ports.store import Claim, Memory, Signal
from stepwell.ports.wakeups import Wakeups
from stepwell.worker.leases import WorkerLease
from stepwell.worker.settings import WorkerSettings
from stepwell.worker.warm import WarmRuns

_LOG = logging.getLogger("stepwell.worker")
_EMPTY = Memory(facts=[], events=[])
_RETRY_SECONDS = 0.2
_POLLS_FOR_ORPHANS = 10
_OF_ONE = (StoreCorrupt, HistoryTooNew)  # failures of one instance's history, not of the store


class Worker:
    """Runs instances of the given workflows in this event loop."""

    def __init__(
        self,
        services: Services,
        definitions: Mapping[str, Definition],
        *,
        settings: WorkerSettings,
        pokes: Wakeups,
    ) -> None:
        self._services = services
        self._store = services.store
        self._definitions = definitions
        self._settings = settings
        self._lease = WorkerLease(
            services, settings, on_lost=self._drop_all, on_freed=self._claim_soon
        )
        self._running: dict[int, Run] = {}
        self._warm = WarmRuns(settings.max_warm)
        self._wake = asyncio.Event()
        self._is_claim_due = True
        self._is_signal_due = False
        self._polls = 0
        self._timer: TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._pokes = pokes
        self._pokes_heard = 0

    # ---- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take a lease and begin to claim."""
        await self._lease.take()
        self._pokes.listen(None, self._on_poke)
        loop = asyncio.get_running_loop()
        for work in (self._claim_loop(), self._lease.keep(), self._lease.reap_others()):
            self._tasks.append(loop.create_task(work))

    async def stop(self) -> None:
        """Stop gracefully: claim nothing new, let steps in flight end, hand back the rest.

        The lease is kept until the last step has ended; what a claim cut short has left behind is
        handed back with it.
        """
        self._pokes.unlisten(None, self._on_poke)
        claiming, *keeping = self._tasks
        await _end([claiming])
        await self._let_steps_end()
        self._services.journal.lose_patience()
        runs = [*self._running.values(), *self._warm.take_all()]
        await asyncio.gather(*(run.hold.hand_back() for run in runs), return_exceptions=True)
        for run in runs:
            run.hold.drop()
        await self._let_runs_end(runs)
        await _end(keeping)
        if self._timer is not None:
            self._timer.cancel()
        await self._lease.give_up()

    async def _let_steps_end(self) -> None:
        """Start nothing new, and wait while attempts are in flight, up to the grace period."""
        for run in self._running.values():
            run.hold.waits.close_gate()
        waits = [asyncio.create_task(run.hold.wait_idle()) for run in self._running.values()]
        if waits:
            _, late = await asyncio.wait(waits, timeout=self._settings.grace_seconds)
            for wait in late:
                wait.cancel()

    async def _let_runs_end(self, runs: Iterable[Run]) -> None:
        """Wait for what user code does about being stopped, for as long as for its steps."""
        tasks = [run.hold.task for run in runs if run.hold.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._settings.grace_seconds)
            for task in late:
                _LOG.warning("%s has not ended, although it was cancelled", task.get_name())

    # ---- claiming ----------------------------------------------------------------------------

    async def _claim_loop(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception as error:  # noqa: BLE001  (the loop must outlive any single failure)
                is_expected = isinstance(error, StoreError)
                _LOG.warning("claiming is tried again: %s", error, exc_info=not is_expected)
                # What was claimed, or told, when it failed is not known: look at all of it anew.
                self._is_claim_due = self._is_signal_due = True
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await self._wait()

    async def _turn(self) -> None:
        if self._is_signal_due:
            await self._read_signals()
        while await self._is_ready():
            room = min(self._settings.max_running - len(self._running), CLAIM_BATCH_MAX)
            if room <= 0:
                return
            worker = self._lease.worker
            claims = await self._store.claim(
                worker=worker,
                workflows=list(self._definitions),
                limit=room,
                now_ms=self._services.clock.now_ms(),
            )
            if self._lease.worker != worker:  # lost meanwhile: nobody renews what was claimed
                await self._release([claim.lease for claim in claims])
                continue
            await self._start(claims)
            if len(claims) == room:
                self._is_claim_due = True

    async def _is_ready(self) -> bool:
        """Ask whether something is due; sets the timer for what is due later."""
        if self._is_claim_due:
            self._is_claim_due = False
            return True
        due_ms = await self._store.next_ready_ms(list(self._definitions))
        if due_ms is None:
            return False
        if due_ms <= self._services.clock.now_ms():
            return len(self._running) < self._settings.max_running
        self._set_timer(due_ms)
        return False

    def _set_timer(self, when_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._services.clock.call_at(when_ms, self._wake.set)

    async def _wait(self) -> None:
        if self._is_claim_due and len(self._running) < self._settings.max_running:
            return
        jitter = 0.75 + 0.5 * random.random()  # noqa: S311  (spreads polls, hides nothing)
        try:
            async with asyncio.timeout(self._settings.poll_seconds * jitter):
                await self._wake.wait()
        except TimeoutError:  # nobody has said anything, which may be because a hint was lost
            self._polls += 1
            is_due = bool(self._running) or self._polls % _POLLS_FOR_ORPHANS == 0
            self._is_signal_due = self._is_signal_due or is_due
        self._wake.clear()

    async def _start(self, claims: list[Claim]) -> None:
        cold: list[Claim] = []
        for claim in claims:
            self._drop_earlier(claim)
            run = self._warm.take(claim.lease)
            if run is None or not await self._start_warm(run, claim):
                cold.append(claim)
        if not cold:
            return
        try:
            memories = await self._store.load([claim.lease.key for claim in cold])
        except Exception as error:
            if isinstance(error, StoreError) and not isinstance(error, _OF_ONE):
                raise
            await self._start_one_by_one(cold)  # one of them is damaged, or newer; find out which
            return
        for claim in cold:
            self._start_cold(claim, memories.get(claim.lease.key, _EMPTY))

    def _drop_earlier(self, claim: Claim) -> None:
        """End a run that was shut out, e.g. by a restart, and has not heard of it yet."""
        earlier = self._running.pop(claim.lease.key, None)
        if earlier is not None:
            earlier.hold.drop()

    async def _start_warm(self, run: Run, claim: Claim) -> bool:
        """Wake a run in place; False if code of its own has ended it meanwhile."""
        try:
            events = await self._store.pending_events(claim.lease.key, run.hold.waits.events_seen)
        except BaseException:
            run.hold.drop()  # it cannot go on in place; the claim is handed back as an orphan
            raise
        if run.hold.state is not RunState.RESTED:
            return False
        self._running[claim.lease.key] = run
        run.hold.waits.wake_in_place(claim, events)
        return True

    async def _start_one_by_one(self, claims: list[Claim]) -> None:
        for claim in claims:
            try:
                memories = await self._store.load([claim.lease.key])
                self._start_cold(claim, memories.get(claim.lease.key, _EMPTY))
            except HistoryTooNew as error:
                await self._step_aside(claim, error)
            except Exception as error:
                if isinstance(error, StoreError) and not isinstance(error, _OF_ONE):
                    raise
                await self._give_up(claim, error)  # it ends this instance, and no other

    async def _step_aside(self, claim: Claim, error: HistoryTooNew) -> None:
        """Leave an instance that a newer version has written to workers of that version."""
        _LOG.warning("%s/%s is left to others for a while: %s", *claim.instance.ref, error)
        wake_ms = self._services.clock.now_ms() + ASIDE_MS
        await self._services.journal.submit(Hibernate(lease=claim.lease, facts=(), wake_ms=wake_ms))

    async def _release(self, leases: Iterable[Lease]) -> None:
        submit = self._services.journal.submit
        await asyncio.gather(*(submit(Release(lease=lease)) for lease in leases))

    async def _give_up(self, claim: Claim, cause: Exception) -> None:
        """End an instance whose history is damaged; a restart forgets that history."""
        _LOG.error("the history of %s/%s cannot be read", *claim.instance.ref, exc_info=cause)
        error = WorkflowInternalError(
            f"the stored history of this instance cannot be read ({cause!r}); "
            "restart it from the top, or delete it"
        )
        fact = Fact(FactKind.ERRORED, self._services.clock.now_ms(), detail=error_detail(error))
        command = Finish(lease=claim.lease, status=InstanceStatus.ERRORED, facts=(fact,))
        await self._services.journal.submit(command)
        self._services.journal.publish(claim.instance.ref, fact)

    def _start_cold(self, claim: Claim, memory: Memory) -> None:
        run = Run(
            claim,
            memory,
            definition=self._definitions[claim.instance.workflow],
            services=self._services,
            keeper=self,
        )
        self._running[claim.lease.key] = run
        run.start()

    # ---- as the runs see it ------------------------------------------------------------------

    @property
    def is_ending(self) -> bool:
        """Claim that somebody ends the tasks of this worker, e.g. asyncio.run at its end."""
        return any(task.done() or task.cancelling() > 0 for task in self._tasks)

    @property
    def lease_until_ms(self) -> int:
        """When the lease lapses if it is not renewed."""
        return self._lease.expires_ms

    async def ensure_lease(self) -> None:
        """Wait until the lease is good: after a stall somebody else may own these runs."""
        await self._lease.ensure()

    def on_news(self) -> None:
        """Hear that the store knows more of a run than has been passed on to it."""
        self._read_signals_soon()

    def on_ready(self) -> None:
        """Hear that there is something to claim."""
        self._claim_soon()

    def on_exit(self, hold: Holder, exit_: Exit) -> None:
        """Hear that a run has left; its place is free."""
        run = self._running.get(hold.lease.key)
        was_running = run is not None and run.hold is hold
        if was_running:
            del self._running[hold.lease.key]
        if exit_ is Exit.RESTED and run is not None:
            self._warm.put(run)
            self._wake.set()  # its due time may be the next one
        elif exit_ is Exit.DROPPED and was_running:
            self._read_signals_soon()  # it may be held still, if a write of it has failed
        elif len(self._running) == self._settings.max_running - 1:
            self._is_claim_due = True  # there was no room before
            self._wake.set()

    def _drop_all(self) -> None:
        """The lease is lost: whatever was held is somebody else's now."""
        for run in [*self._running.values(), *self._warm.take_all()]:
            run.hold.drop()
        self._claim_soon()

    def _claim_soon(self) -> None:
        self._is_claim_due = True
        self._wake.set()

    # ---- hints -------------------------------------------------------------------------------

    def _on_poke(self, command: Hashable, _end: Fact | None) -> None:
        """Hear of a command that a client of this process has written."""
        self._pokes_heard += 1
        self._claim_soon()
        if isinstance(command, Pause):
            # No further step starts from this very moment; the store has the last word.
            for run in self._runs_of(command.ref):
                run.hold.waits.request_pause()
        elif isinstance(command, Delete | Restart | Terminate):
            # In the next turn, outside of the run: it may have given the command itself.
            for run in self._runs_of(command.ref):
                asyncio.get_running_loop().call_soon(run.hold.drop)
        if not isinstance(command, Create):  # which no run has to hear of
            self._read_signals_soon()

    def _runs_of(self, ref: Ref) -> list[Run]:
        return [run for run in self._running.values() if run.hold.instance.ref == ref]

    def on_outside_change(self) -> None:
        """Hear that another process has changed the database."""
        self._read_signals_soon()

    def _read_signals_soon(self) -> None:
        self._is_signal_due = True
        self._wake.set()

    async def _read_signals(self) -> None:
        self._is_signal_due = False
        worker, pokes_before = self._lease.worker, self._pokes_heard
        signals = {signal.key: signal for signal in await self._store.signals(worker)}
        for key in signals.keys() - self._running.keys():
            self._release_orphan(Lease(key, worker, signals[key].epoch))
        for key, run in list(self._running.items()):
            signal = signals.get(key)
            if run.hold.state is RunState.LIVE:
                # What has been heard since may be newer than what was read.
                await self._pass_on(run, signal, is_newest=pokes_before == self._pokes_heard)
            elif run.hold.state is RunState.RESTING and signal is not None:
                await self._deliver(run, signal)  # it may be told to stay up because of these

    def _release_orphan(self, lease: Lease) -> None:
        """Hand back what the store says we hold although there is no run of it.

        A run was dropped because a write of it failed, or a claim was never started. Nobody else
        would free it while this worker lives. Should the store only not have heard yet that it has
        ended, the lease is stale and nothing happens.
        """
        self._services.journal.submit(Release(lease=lease)).add_done_callback(self._after_release)

    def _after_release(self, done: asyncio.Future[Outcome]) -> None:
        if done.cancelled():
            return
        if done.exception() is not None:
            self._is_signal_due = True  # found again at the next poll
        elif done.result() is Outcome.APPLIED:
            self._claim_soon()

    async def _pass_on(self, run: Run, signal: Signal | None, *, is_newest: bool) -> None:
        hold = run.hold
        if signal is None or signal.epoch != hold.lease.epoch:
            hold.drop()
            return
        if signal.status is InstanceStatus.WAITING_FOR_PAUSE:
            hold.waits.request_pause()
        elif hold.waits.is_pausing and is_newest:
            hold.waits.cancel_pause()
        await self._deliver(run, signal)

    async def _deliver(self, run: Run, signal: Signal) -> None:
        seen = run.hold.waits.events_seen
        if signal.epoch == run.hold.lease.epoch and signal.last_event_id > seen:
            run.hold.waits.deliver(await self._store.pending_events(signal.key, seen))


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
