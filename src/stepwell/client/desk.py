"""What handles work with: a `Desk` takes their commands and reads for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from stepwell.engine.journal import Journal
from stepwell.engine.services import Definition
from stepwell.model.command import ClientCommand, Delete, Outcome, Restart, Terminate
from stepwell.model.limits import Limits
from stepwell.ports.clock import Clock
from stepwell.ports.store import Store
from stepwell.ports.wakeups import Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What handles work with."""

    store: Store
    journal: Journal
    clock: Clock
    limits: Limits
    pokes: Wakeups
    changes: Wakeups
    definitions: Mapping[str, Definition]

    async def do(self, command: ClientCommand) -> Outcome:
        """Write a command, and tell the workers of this process."""
        outcome = await self.journal.submit(command, is_patient=False)
        if outcome is Outcome.APPLIED:
            self.pokes.publish(command)
            if isinstance(command, Delete | Restart | Terminate):
                await asyncio.sleep(0)  # a run that has ended itself by this goes no further
        return outcome
