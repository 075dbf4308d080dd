"""Strict mode: an instance whose code does not reach what is recorded of it is paused.

A replay answers by name alone, so changed code goes on with whatever it finds. In strict mode a
call that history does not know waits until every recorded step has been called. Branches may come
there in any order, so it waits for the others, and long where one works on something of its own. If
they stop coming, this is not the code that was recorded. The instance is paused with the
difference, and nothing new has run: bring the code back, restart from a step, or give strict mode
up, and resume.

Steps that the code has cancelled itself may be missing, and with them what came of a step whose
failure is remembered, if a race is decided before that strikes again. Where remembered failures of
one group race, and the instance was paused just then, unchanged code may be paused too (one of some
thousand random programs); resuming without strict mode lets it go on.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from stepwell.core.events import detail_text
from stepwell.engine.hold import Hold
from stepwell.engine.quiet import Look
from stepwell.engine.recorded import Recorded
from stepwell.engine.states import RunState, current_task
from stepwell.model.command import SetStatus
from stepwell.model.instance import InstanceStatus
from stepwell.model.limits import STRICT_PATIENCE_SECONDS
from stepwell.model.step import Fact, FactKind, StepKey

_LOG = logging.getLogger("stepwell.engine")
_LOOK_SECONDS = 0.01
_SHARE_AT_WORK = 0.01  # of the patience; what is done between steps may take minutes


class StrictCheck:
    """Compares one run's code with what is recorded of it."""

    def __init__(self, hold: Hold, recorded: Recorded) -> None:
        self._hold = hold
        self._recorded = recorded
        self._held: set[asyncio.Task[Any]] = set()

    async def admit(self, new: StepKey) -> None:
        """Let a step begin that is not recorded, once all that is recorded has been called.

        A step inside of another is not held back: a pause would wait for the outer one.
        """
        if not self._hold.in_flight.is_around:
            await self._let_all_come(new)

    async def check_end(self) -> None:
        """Let the code end only once all that is recorded has been called."""
        await self._let_all_come(None)

    async def _let_all_come(self, new: StepKey | None) -> None:
        """Wait for what is missing; pause the instance if that stops coming.

        Looks are counted, and not seconds: after a stall of the process others must have their
        turns first.

        Raises:
            RunDropped: the run is over.
        """
        hold, recorded, task = self._hold, self._recorded, current_task()
        seen, patience = -1, 0.0
        while recorded.has_more and recorded.missing() and not hold.is_rolling_back:
            if hold.state is not RunState.LIVE:
                await hold.waits.settle()
            if seen != recorded.progress or recorded.standing:
                seen, patience = recorded.progress, STRICT_PATIENCE_SECONDS
            if patience > 0:
                self._held.add(task)
                patience -= _LOOK_SECONDS * (_SHARE_AT_WORK if self._is_at_work() else 1)
                try:
                    await asyncio.sleep(_LOOK_SECONDS)
                finally:
                    self._held.discard(task)
                await hold.waits.pass_gate()
            else:
                await self._pause(new)

    def _is_at_work(self) -> bool:
        """Claim that some branch does something of its own, which may lead to what is missing."""
        hold = self._hold
        look = Look(hold.waits.tasks | self._held)
        return hold.is_busy or (hold.task is not None and not look.is_quiet(hold.task))

    async def _pause(self, new: StepKey | None) -> None:
        """Pause the instance; comes back only if somebody has resumed it before it got there.

        Only as long as this run holds it: another worker may have gone on with the right code.

        Raises:
            RunDropped: this run does not hold its instance any more; nothing is paused.
        """
        hold = self._hold
        unreached = [key.label for key in self._recorded.missing()]
        if not unreached:  # others have come meanwhile
            return
        detail = detail_text(unreached=unreached, new=None if new is None else new.label)
        _LOG.warning(
            "%s/%s is paused: its code %s without the recorded steps %s",
            *hold.instance.ref,
            "ends" if new is None else f"comes to step {new.label}",
            ", ".join(unreached),
        )
        status, pausing = InstanceStatus.WAITING_FOR_PAUSE, Fact(FactKind.PAUSING, hold.now_ms())
        hold.waits.pause_detail = detail
        try:
            if not hold.waits.is_pausing:
                await hold.write(SetStatus(lease=hold.lease, status=status, facts=(pausing,)))
                hold.waits.request_pause()
            await hold.waits.pass_gate()
        finally:
            hold.waits.pause_detail = None
