"""The journal: the writes of runs and clients, all that wait at one moment sharing one commit.

While the store makes one batch durable, the next one gathers: no timer, no added delay. A lone
command pays one commit; a thousand runs share one. Commands keep their order.

When the store fails: a locked, full, failing or read-only database is outlasted for runs (they are
only waiting for their commit, nothing is lost) and told at once to clients; any other failure is
narrowed down to the command that causes it by applying the batch one by one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from stepwell.errors import StoreBusy, StoreDiskError, StoreError, StoreFull, StoreReadOnly
from stepwell.model.command import CLIENT_COMMANDS, Command, Outcome, size_of
from stepwell.model.limits import JOURNAL_BATCH_BYTES_MAX, JOURNAL_BATCH_COMMANDS_MAX
from stepwell.model.step import Fact
from stepwell.ports.clock import Clock
from stepwell.ports.store import Store
from stepwell.ports.wakeups import Wakeups

_LOG = logging.getLogger("stepwell.engine")
_TRANSIENT = (StoreBusy, StoreDiskError, StoreFull, StoreReadOnly)
LAZY_SECONDS = 0.01
_RETRY_SECONDS_FIRST = 0.1
_RETRY_SECONDS_MAX = 2.0


class _Entry(NamedTuple):
    command: Command
    outcome: asyncio.Future[Outcome]
    is_patient: bool


class Journal:
    """Hands commands to the store in batches and each caller its own outcome."""

    def __init__(self, store: Store, clock: Clock, *, changes: Wakeups, pokes: Wakeups) -> None:
        """Prepare it.

        Args:
            store: where the commands go.
            clock: gives the time of each batch.
            changes: hears of each instance that a command was about, by key or ref.
            pokes: hears of each client's command that was applied, before anybody can have claimed
                what it has made ready: a run that is here then was shut out by it.
        """
        self._changes = changes
        self._pokes = pokes
        self._store = store
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Entry] = deque()
        self._drain_task: asyncio.Task[None] | None = None
        self._is_impatient = False
        self._reminders: dict[Callable[[], None], None] = {}

    def submit(self, command: Command, *, is_patient: bool = True) -> asyncio.Future[Outcome]:
        """Queue a command; the future resolves once it is durable or refused.

        Args:
            command: the write.
            is_patient: outlast a locked or full database; else raise `StoreError` at once.
        """
        outcome: asyncio.Future[Outcome] = self._loop.create_future()
        self._waiting.append(_Entry(command, outcome, is_patient))
        if self._drain_task is None:
            self._drain_task = self._loop.create_task(self._drain())
        return outcome

    def remind(self, flush: Callable[[], None]) -> None:
        """Call `flush` after some milliseconds: lazy facts should not stay unwritten long."""
        if not self._reminders:
            self._loop.call_later(LAZY_SECONDS, self._remind)
        self._reminders[flush] = None

    def _remind(self) -> None:
        reminders, self._reminders = self._reminders, {}
        for flush in reminders:
            flush()

    def lose_patience(self) -> None:
        """Outlast no locked or full database any longer: the process is about to stop."""
        self._is_impatient = True

    async def close(self) -> None:
        """Wait until everything that was submitted is durable or has failed."""
        self._is_impatient = True
        while self._drain_task is not None:
            await asyncio.wait([self._drain_task])

    async def _drain(self) -> None:
        batch: list[_Entry] = []
        try:
            while self._waiting:
                batch = self._take()
                await self._apply(batch)
        except asyncio.CancelledError:
            # Somebody ends every task of the loop; nobody may wait for ever for what is not done.
            for entry in (*batch, *self._waiting):
                entry.outcome.cancel()
            self._waiting.clear()
            raise
        except BaseException as signal:  # in the main thread; what it met may be stored, or not
            error = StoreError(f"a write was interrupted by {type(signal).__name__}")
            for entry in (*batch, *self._waiting):
                _fail(entry, error)
            self._waiting.clear()
            raise
        finally:
            self._drain_task = None

    def _take(self) -> list[_Entry]:
        waiting = self._waiting
        batch: list[_Entry] = []
        room = JOURNAL_BATCH_BYTES_MAX
        while waiting and len(batch) < JOURNAL_BATCH_COMMANDS_MAX and room > 0:
            entry = waiting.popleft()
            batch.append(entry)
            room -= size_of(entry.command)
        return batch

    async def _apply(self, batch: list[_Entry]) -> None:
        pause = _RETRY_SECONDS_FIRST
        while batch:
            try:
                outcomes = await self._store.apply([e.command for e in batch], self._clock.now_ms())
            except _TRANSIENT as error:
                batch = self._outlast(batch, error)
                if batch:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _RETRY_SECONDS_MAX)
            except Exception as error:  # noqa: BLE001  (whatever it is belongs to one of the callers)
                await self._narrow_down(batch, error)
                return
            else:
                self._resolve(batch, outcomes)
                return

    def _resolve(self, batch: Sequence[_Entry], outcomes: Sequence[Outcome]) -> None:
        for entry, outcome in zip(batch, outcomes, strict=True):
            if not entry.outcome.done():  # its caller may have been cancelled meanwhile
                entry.outcome.set_result(outcome)
            if type(entry.command) in CLIENT_COMMANDS and outcome is Outcome.APPLIED:
                self._pokes.publish(entry.command)
            self.publish(_topic(entry.command))

    def publish(self, topic: Hashable, end: Fact | None = None) -> None:
        """Hint that an instance has changed, to those who listen to its key or its ref."""
        self._changes.publish(topic, end)

    def _outlast(self, batch: list[_Entry], error: StoreError) -> list[_Entry]:
        """Tell the impatient ones; give those who go on waiting."""
        patient = [] if self._is_impatient else [entry for entry in batch if entry.is_patient]
        keep = set(map(id, patient))
        for entry in batch:
            if id(entry) not in keep:
                _fail(entry, error)
        if patient:
            _LOG.warning("%d writes wait for the database: %s", len(patient), error)
        return patient

    async def _narrow_down(self, batch: list[_Entry], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch[0], _as_ours(error))
            return
        for entry in batch:
            await self._apply([entry])


def _topic(command: Any) -> Hashable:
    topic: Hashable = command.ref if type(command) in CLIENT_COMMANDS else command.lease.key
    return topic


def _as_ours(error: Exception) -> StoreError:
    """Give a StoreError: a defect of a store must not travel through user code as what it is."""
    if isinstance(error, StoreError):
        return error
    ours = StoreError(f"the store failed with {type(error).__name__}: {error}")
    ours.__cause__ = error
    return ours


def _fail(entry: _Entry, error: Exception) -> None:
    if not entry.outcome.done():
        entry.outcome.set_exception(error)
