"""Runs at rest that stay in memory, so that a wake need not replay a long history.

Bounded; the least recently rested goes first. Correctness never depends on them: a run is woken in
place only with the very next epoch after its own, which proves that nobody touched the instance in
between. Anything else drops it, and the instance is replayed.
"""

from __future__ import annotations

from collections import OrderedDict

from stepwell.engine.run import Run
from stepwell.engine.states import RunState
from stepwell.model.instance import Lease


class WarmRuns:
    """Resting runs by their instance's key."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._runs: OrderedDict[int, Run] = OrderedDict()

    def put(self, run: Run) -> None:
        """Keep a run that has just come to rest; drops what is too much."""
        self._runs[run.hold.lease.key] = run
        while len(self._runs) > self._maximum:
            _, oldest = self._runs.popitem(last=False)
            oldest.hold.drop()

    def take(self, lease: Lease) -> Run | None:
        """Give the run that may go on under this lease; drops one that may not."""
        run = self._runs.pop(lease.key, None)
        if run is None:
            return None
        if run.hold.state is RunState.RESTED and run.hold.lease.epoch + 1 == lease.epoch:
            return run
        run.hold.drop()
        return None

    def take_all(self) -> list[Run]:
        """Give all and forget them."""
        runs = list(self._runs.values())
        self._runs.clear()
        return runs
