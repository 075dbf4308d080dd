"""The attempts of one run that are in flight, and what belongs to them.

A step may be called from within the callable of another, also in tasks that the callable has made:
these inherit the context in which it was called. Such a step belongs to the outer attempt: nothing
that waits for the attempt to end may hold it back.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from stepwell.engine.states import current_task


@dataclass(slots=True, eq=False)
class Attempt:
    """An attempt in flight: the task that awaits it, and the attempt around it, if there is one."""

    task: asyncio.Task[Any]
    outer: Attempt | None


_AROUND: ContextVar[Attempt | None] = ContextVar("stepwell_attempt", default=None)


class InFlight:
    """The attempts in flight of one run."""

    def __init__(self) -> None:
        self._attempts: set[Attempt] = set()

    def __bool__(self) -> bool:
        return bool(self._attempts)

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks that await them."""
        return {attempt.task for attempt in self._attempts}

    def enter(self, again: Attempt | None = None) -> Attempt:
        """Count an attempt that begins here; all that is called from now on belongs to it.

        Args:
            again: go on with this one, which has been left.
        """
        attempt = again or Attempt(current_task(), self._around())
        self._attempts.add(attempt)
        _AROUND.set(attempt)
        return attempt

    def leave(self, attempt: Attempt) -> None:
        """Count it off again."""
        self._attempts.discard(attempt)
        _AROUND.set(attempt.outer)

    @property
    def is_around(self) -> bool:
        """Claim that the caller belongs to an attempt in flight."""
        return self._around() is not None

    def _around(self) -> Attempt | None:
        around = _AROUND.get()
        while around is not None and around not in self._attempts:
            around = around.outer  # it has ended; what it has left behind may lie in another
        return around
