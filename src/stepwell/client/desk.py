"""What handles work with: a `Desk` takes their commands and reads for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, cast

from stepwell.engine.journal import Journal
from stepwell.engine.services import Definition
from stepwell.errors import StepwellError
from stepwell.model.command import ClientCommand, Delete, Outcome, Restart, Terminate
from stepwell.model.limits import Limits
from stepwell.ports.store import Store
from stepwell.ports.wakeups import Wakeups


@dataclass(slots=True, kw_only=True)
class Desk:
    """What handles work with; not frozen, because it closes and handles outlive it."""

    store: Store
    journal: Journal
    limits: Limits
    changes: Wakeups
    definitions: Mapping[str, Definition]

    async def do(self, command: ClientCommand) -> Outcome:
        """Write a command; the workers of this process hear of it."""
        outcome = await self.journal.submit(command, is_patient=False)
        if outcome is Outcome.APPLIED and isinstance(command, Delete | Restart | Terminate):
            await asyncio.sleep(0)  # a run that has ended itself by this goes no further
        return outcome

    def close(self) -> None:
        """Let go of store and journal; handles say so from now on, and those who wait are told."""
        self.store = cast(Store, _Closed())
        self.journal = cast(Journal, _Closed())
        self.changes.publish(None)

    def check_open(self) -> None:
        """Raise if it is closed."""
        if isinstance(self.store, _Closed):
            raise closed()


class _Closed:
    """Stands for what was let go: whatever is asked of it, it is closed.

    So no verb has to remember to ask first, and a store that would go on does not.
    """

    def __getattr__(self, name: str) -> NoReturn:
        raise closed()


def closed() -> StepwellError:
    """Give the error of whoever uses a handle after its client was closed."""
    return StepwellError(
        "stepwell is closed, and this handle belongs to it; use it inside of "
        "`with stepwell.open(…) as well`, or open it again and get() the instance"
    )
