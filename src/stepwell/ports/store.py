"""The contract of a store. `stepwell.testing.exercise_store` holds every store to it.

One method is one transaction. All writes of runs and clients go through `apply`; the other
writing methods are about workers: claiming, leases, and clearing up. A store decides nothing that
`Command` and these docstrings do not say, and never asks the time. A limit below 1 means none.

Ids of an instance's facts only grow, through a restart too. An instance's modified_ms is when its
row last changed; facts that are appended leave it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stepwell.model.command import Command, Outcome
from stepwell.model.event import PendingEvent
from stepwell.model.instance import Instance, InstanceStatus, Lease, Ref
from stepwell.model.step import Fact, StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run that a worker now holds. `instance` is the row after the claim."""

    instance: Instance
    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that an instance remembers: its facts in order of id, and its unconsumed events."""

    facts: list[Fact]
    events: list[PendingEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a holder must know of a run: its status and its newest event's id (or 0)."""

    key: int
    epoch: int
    status: InstanceStatus
    last_event_id: int


class Store(Protocol):
    """Where instances live. Every method may raise `StoreError` and its kinds."""

    async def open(self) -> None:
        """Connect, and bring the schema up to date under a lock."""

    async def close(self) -> None:
        """Finish what is under way and let go of every file and connection. Twice is fine."""

    async def apply(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Do all of `commands` in one transaction, in order; one outcome for each.

        Either the whole batch is durable when this returns, or it raises and nothing is stored. A
        command that cannot be stored at all (a number beyond 64 bits, text that is no text) makes
        the whole batch raise: who batched it finds the culprit by applying them one by one.
        """

    async def claim(
        self, *, worker: str, workflows: Sequence[str], limit: int, now_ms: int
    ) -> list[Claim]:
        """Take up to `limit` unheld instances with ready_ms <= now.

        Those that have started before (started_ms) come first, then by ready_ms, then by key. Only
        instances of `workflows`. Each gets owner = worker, epoch + 1, ready_ms = None, and status
        running (rollingBack keeps its status); started_ms = now if it had none. An unheld
        waitingForPause instance is never claimed, because `reap` and `Release` turn it into paused.
        """

    async def load(self, keys: Sequence[int]) -> dict[int, Memory]:
        """Read the whole memory of instances; keys that do not exist are absent.

        For who holds them: a long history may be read in pages, and nobody else adds to it.
        """

    async def next_ready_ms(self, workflows: Sequence[str]) -> int | None:
        """Tell the earliest ready_ms among unheld instances of these workflows."""

    async def beat(self, *, worker: str, expires_ms: int, now_ms: int) -> bool:
        """Create or renew the worker's lease; False if it had lapsed and was reaped since.

        The first beat of a worker creates its row. A row that `reap` has seen lapse stays as
        reaped for at least 30 days, so that a worker that slept past its lease learns it and starts
        under a new name.
        """

    async def retire(self, *, worker: str, now_ms: int) -> None:
        """Hand back all that the worker holds (as `Release`), and remove its lease."""

    async def reap(self, *, now_ms: int, limit: int) -> int:
        """Free up to `limit` instances of workers whose lease has lapsed; tell how many.

        Each: owner None, epoch + 1, ready now, crashes = 1 if a fact other than STEP_STARTED,
        ATTEMPT_STARTED, RUNNING, WAITING, SLEEP_STARTED, WAIT_STARTED was added since the last
        crash, else crashes + 1. A waitingForPause instance becomes paused (fact PAUSED,
        paused_ms = now, ready_ms None). An instance whose owner has no lease row counts as
        lapsed too.
        """

    async def signals(self, worker: str) -> list[Signal]:
        """Tell the state of every run that the worker holds."""

    async def pending_events(self, key: int, after_id: int) -> list[PendingEvent]:
        """Read unconsumed events with a greater id, in order."""

    async def find(self, ref: Ref) -> Instance | None:
        """Read one instance's row."""

    async def list_instances(
        self,
        workflow: str,
        *,
        status: InstanceStatus | None,
        before_key: int | None,
        limit: int,
    ) -> list[Instance]:
        """Read rows, newest first (by key), those with a key below `before_key`."""

    async def count_by_status(self, workflow: str) -> dict[InstanceStatus, int]:
        """Count a workflow's instances."""

    async def read_facts(self, key: int, *, after_id: int, limit: int) -> list[Fact]:
        """Read facts with a greater id, in order, up to `limit`."""

    async def last_fact(self, key: int) -> Fact | None:
        """Read the newest fact (for a finished instance: how it ended)."""

    async def read_chunk(self, key: int, step: StepKey, attempt: int, index: int) -> bytes | None:
        """Read one piece of a stream."""

    async def purge(self, *, now_ms: int, limit: int) -> int:
        """Delete up to `limit` finished instances whose retention is over; tell how many.

        It may stop earlier where their histories are long, but not before one is deleted.
        """

    async def change_mark(self) -> object:
        """Give a value that differs once another process has changed the database.

        It may be cheap and coarse (a file's time); it is a hint, never needed for correctness.
        """
