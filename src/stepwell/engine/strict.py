"""Strict mode: an instance whose code does not reach what is recorded of it is paused.

A replay answers by name alone, so changed code goes on with whatever it finds. In strict mode a
call that history does not know waits until every recorded step has been called. Branches may come
there in any order, so it waits for the others; if they stop coming, this is not the code that was
recorded. The instance is paused with the difference, and nothing new has run: bring the code back,
restart from a step, or give strict mode up, and resume.

Steps that the code has cancelled itself may be missing, and with them what came of a step whose
failure is remembered, if a race is decided before that strikes again. Where remembered failures of
one group race, and the instance was paused just then, unchanged code may be paused too (one of some
thousand random programs); resuming without strict mode lets it go on.
"""

from __future__ import annotations

import asyncio
import logging

from stepwell.core.events import detail_text
from stepwell.engine.hold import Hold
from stepwell.engine.recorded import Recorded
from stepwell.engine.states import RunState
from stepwell.model.command import SetStatus
from stepwell.model.instance import InstanceStatus
from stepwell.model.limits import STRICT_PATIENCE_SECONDS
from stepwell.model.step import Fact, FactKind, StepKey

_LOG = logging.getLogger("stepwell.engine")
_LOOK_SECONDS = 0.01


class StrictCheck:
    """Compares one run's code with what is recorded of it."""

    def __init__(self, hold: Hold, recorded: Recorded) -> None:
        self._hold = hold
        self._recorded = recorded

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

        Raises:
            RunDropped: the run is over.
        """
        hold, recorded = self._hold, self._recorded
        loop, seen, until = asyncio.get_running_loop(), -1, 0.0
        while recorded.has_more and recorded.missing() and not hold.is_rolling_back:
            if hold.state is not RunState.LIVE:
                await hold.waits.settle()
            if seen != recorded.progress:
                seen, until = recorded.progress, loop.time() + STRICT_PATIENCE_SECONDS
            if loop.time() < until:
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                await self._pause(new)

    async def _pause(self, new: StepKey | None) -> None:
        """Pause the instance; comes back only if somebody has resumed it before it got there.

        Only as long as this run holds it: another worker may have gone on with the right code.
        """
        hold = self._hold
        unreached = [key.label for key in self._recorded.missing()]
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
            await hold.write(SetStatus(lease=hold.lease, status=status, facts=(pausing,)))
            hold.waits.request_pause()
            await hold.waits.pass_gate()
        finally:
            hold.waits.pause_detail = None
