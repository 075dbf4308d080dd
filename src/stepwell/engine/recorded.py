"""How far a run's code has come along what is recorded of it.

Each call of a step has a key: kind + name + how-manieth call of that name in this run. A finished
record of that key is the answer; there is no other comparison with the past, so reordering steps of
different names is harmless.
"""

from __future__ import annotations

import asyncio

from stepwell.core.names import check_step_name
from stepwell.core.replay import History, Progress, StepRecord
from stepwell.model.limits import CATCH_UP_TURNS_MAX
from stepwell.model.step import StepKey, StepKind


class Recorded:
    """The recorded steps of one run, as its code comes to them.

    Attributes:
        progress: a number that grows whenever the code has come further.
        standing: how many steps that were cancelled wait for the code to cancel them again.
    """

    def __init__(self, history: History) -> None:
        self._records = history.records
        self._counts: dict[tuple[StepKind, str], int] = {}
        self._reached = 0
        self.progress = 0
        self.standing = 0
        self._failures: set[int] = set()
        self._cut_off: int | None = None

    def key_of(self, kind: StepKind, name: str) -> StepKey:
        """Give the key of the call that comes now.

        Raises:
            WorkflowFatalError: the name is not allowed.
        """
        counter = (kind, name)
        try:
            count = self._counts.get(counter, 0) + 1
        except TypeError:
            count = 0  # not even hashable; the check below says what it must be
        if count <= 1:
            check_step_name(name)
        self._counts[counter] = count
        return StepKey(kind, name, count)

    def recall(self, key: StepKey) -> StepRecord | None:
        """Give what is recorded of a call; None: it has not been there before."""
        record = self._records.get(key)
        if record is not None:
            self._reached += 1
            self.progress += 1
        return record

    @property
    def has_more(self) -> bool:
        """Claim that the code has not called every recorded step yet."""
        return self._reached < len(self._records)

    def unreached(self) -> list[StepKey]:
        """Name the recorded steps that this run's code has not called: it has changed since."""
        counts = self._counts
        return [
            key
            for key in self._records
            if key.kind is not StepKind.ROLLBACK and counts.get((key.kind, key.name), 0) < key.count
        ]

    def missing(self) -> list[StepKey]:
        """Name those that code of the same text would have called, in whatever order it runs.

        What it has cancelled itself, as in a race, it may cancel earlier another time. If that is
        now where a step is about to fail again, nobody knows what of the rest was to come of it.
        """
        records, cancelled, cut_off = self._records, Progress.CANCELLED, self._cut_off
        return [
            key
            for key in self.unreached()
            if records[key].progress is not cancelled
            and (cut_off is None or records[key].begun_by < cut_off)
        ]

    async def let_others_come(self, record: StepRecord) -> None:
        """Let other branches come as far as they had when this step failed, before it fails again.

        Else a failure that is remembered would stop them earlier than it did when it happened, and
        they could not say how to undo what they had done.
        """
        failures, seen, turns = self._failures, self.progress, 0
        failures.add(record.ended_by)
        try:
            while self.has_more and (turns < CATCH_UP_TURNS_MAX or not self._is_next(record)):
                await asyncio.sleep(0)
                turns = turns + 1 if self.progress == seen else 0
                seen = self.progress
        except asyncio.CancelledError:
            self._cut_off = min(record.ended_by, self._cut_off or record.ended_by)
            raise
        finally:
            failures.discard(record.ended_by)
            self.progress += 1

    async def let_failures_come(self) -> None:
        """Let what is remembered come before what happens."""
        while self._failures:  # noqa: ASYNC110  (there is no such event)
            await asyncio.sleep(0)

    def _is_next(self, record: StepRecord) -> bool:
        """Claim that of all that wait to fail, this one came last before what began next."""
        begun = (self._records[key].begun_by for key in self.unreached())
        first = min(begun, default=record.ended_by)
        before = [ended for ended in self._failures if ended < first]
        return record.ended_by == max(before, default=min(self._failures))
