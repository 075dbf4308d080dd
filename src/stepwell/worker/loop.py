"""The worker: claims what is ready, holds the runs, and passes hints on to them.

The loop is one question asked again and again: is anything ready? A hint (something was created, an
event came, a run ended), the earliest due time, or the slow poll makes it ask. Nothing here is
needed for correctness: whatever a worker does late or never, another one finds in the store.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Hashable, Mapping

from stepwell.engine.hold import Exit, RunState
from stepwell.engine.run import Run
from stepwell.engine.services import Definition, Services
from stepwell.errors import StoreError
from stepwell.model.command import Pause
from stepwell.model.instance import InstanceStatus, Ref
from stepwell.model.limits import CLAIM_BATCH_MAX
from stepwell.ports.clock import TimerHandle
from stepwell.ports.store import Claim, Memory, Signal
from stepwell.ports.wakeups import Wakeups
from stepwell.worker.leases import WorkerLease
from stepwell.worker.settings import WorkerSettings
from stepwell.worker.warm import WarmRuns

_LOG = logging.getLogger("stepwell.worker")
_EMPTY = Memory(facts=[], events=[])


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
        self._is_stopping = False
        self._timer: TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._unlisten = pokes.listen(None, self._on_poke)

    # ---- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take a lease and begin to claim."""
        await self._lease.take()
        loop = asyncio.get_running_loop()
        for work in (self._claim_loop(), self._lease.keep(), self._lease.reap_others()):
            self._tasks.append(loop.create_task(work))

    async def stop(self) -> None:
        """Stop gracefully: claim nothing new, let steps in flight end, hand back the rest."""
        self._is_stopping = True
        self._unlisten()
        self._wake.set()
        await self._let_steps_end()
        for run in self._warm.take_all():
            run.hold.drop()
        await asyncio.gather(
            *(run.hold.hand_back() for run in list(self._running.values())), return_exceptions=True
        )
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        await self._lease.give_up()

    async def _let_steps_end(self) -> None:
        """Start nothing new, and wait while attempts are in flight, up to the grace period."""
        for run in self._running.values():
            run.hold.close_gate()
        waits = [asyncio.create_task(run.hold.wait_idle()) for run in self._running.values()]
        if waits:
            _, late = await asyncio.wait(waits, timeout=self._settings.grace_seconds)
            for wait in late:
                wait.cancel()

    @property
    def running_count(self) -> int:
        """Tell how many runs are held."""
        return len(self._running)

    # ---- claiming ----------------------------------------------------------------------------

    async def _claim_loop(self) -> None:
        while not self._is_stopping:
            try:
                await self._turn()
            except StoreError as error:
                _LOG.warning("claiming waits for the database: %s", error)
                self._set_timer(self._services.clock.now_ms() + 500)
            await self._wait()

    async def _turn(self) -> None:
        if self._is_signal_due and self._running:
            self._is_signal_due = False
            await self._read_signals()
        while not self._is_stopping and await self._is_ready():
            room = min(self._settings.max_running - len(self._running), CLAIM_BATCH_MAX)
            if room <= 0:
                return
            claims = await self._store.claim(
                worker=self._lease.worker,
                workflows=list(self._definitions),
                limit=room,
                now_ms=self._services.clock.now_ms(),
            )
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
        except TimeoutError:
            pass
        self._wake.clear()

    async def _start(self, claims: list[Claim]) -> None:
        cold: list[Claim] = []
        for claim in claims:
            run = self._warm.take(claim.lease)
            if run is None:
                cold.append(claim)
            else:
                self._running[claim.lease.key] = run
                events = await self._store.pending_events(claim.lease.key, run.hold.events_seen)
                run.hold.wake_in_place(claim, events)
        if cold:
            memories = await self._store.load([claim.lease.key for claim in cold])
            for claim in cold:
                self._start_cold(claim, memories.get(claim.lease.key, _EMPTY))

    def _start_cold(self, claim: Claim, memory: Memory) -> None:
        run = Run(
            claim,
            memory,
            definition=self._definitions[claim.instance.workflow],
            services=self._services,
            on_exit=self._on_exit,
            on_news=self._read_signals_soon,
        )
        self._running[claim.lease.key] = run
        run.start()

    def _on_exit(self, run: Run, exit_: Exit) -> None:
        key = run.hold.lease.key
        if self._running.get(key) is run:
            del self._running[key]
        if exit_ is Exit.RESTED:
            self._warm.put(run)
            self._wake.set()  # its due time may be the next one
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

    def _on_poke(self, command: Hashable) -> None:
        """Hear of a command that a client of this process has written."""
        if isinstance(command, Pause):
            self._hold_back(command.ref)
        self._is_claim_due = True
        self._read_signals_soon()

    def _hold_back(self, ref: Ref) -> None:
        """Let no further step start from this very moment; the store has the last word."""
        for run in self._running.values():
            if run.hold.instance.ref == ref:
                run.hold.request_pause()

    def on_outside_change(self) -> None:
        """Hear that another process has changed the database."""
        self._read_signals_soon()

    def _read_signals_soon(self) -> None:
        self._is_signal_due = True
        self._wake.set()

    async def _read_signals(self) -> None:
        signals = {signal.key: signal for signal in await self._store.signals(self._lease.worker)}
        for key, run in list(self._running.items()):
            signal = signals.get(key)
            if run.hold.state is RunState.LIVE:
                await self._pass_on(run, signal)
            elif run.hold.state is RunState.RESTING and signal is not None:
                await self._deliver(run, signal)  # it may be told to stay up because of these

    async def _pass_on(self, run: Run, signal: Signal | None) -> None:
        hold = run.hold
        if signal is None or signal.epoch != hold.lease.epoch:
            hold.drop()
            return
        if signal.status is InstanceStatus.WAITING_FOR_PAUSE:
            hold.request_pause()
        elif hold.is_pausing:
            hold.cancel_pause()
        await self._deliver(run, signal)

    async def _deliver(self, run: Run, signal: Signal) -> None:
        seen = run.hold.events_seen
        if signal.epoch == run.hold.lease.epoch and signal.last_event_id > seen:
            run.hold.deliver(await self._store.pending_events(signal.key, seen))
