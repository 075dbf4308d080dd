"""Where the branches of a run wait: for a time, and perhaps for an event of one type.

An accepted event lies in the mailbox until a waiter takes it out himself, once he runs. Waking a
waiter hands him nothing, so one that is cancelled on the way loses no event for the others. Of each
type the longest waiting branch comes first, and nobody passes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from stepwell.model.event import PendingEvent
from stepwell.ports.clock import TimerHandle


@dataclass(slots=True, eq=False)
class Park:
    """One branch that waits.

    Attributes:
        due_ms: when it goes on at the latest.
        event_type: what it waits for besides, or None.
        task: the task that is held up.
        is_inside: it belongs to an attempt in flight, which a pause waits for.
        woken: what it waits on; None or done while it is on its way.
        timer: fires at `due_ms`.
    """

    due_ms: int
    event_type: str | None
    task: asyncio.Task[Any]
    is_inside: bool = False
    woken: asyncio.Future[None] | None = None
    timer: TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Claim that it waits, and has not been woken."""
        return self.woken is not None and not self.woken.done()

    def wake(self) -> None:
        """Let it look whether it may go on."""
        if self.woken is not None and not self.woken.done():
            self.woken.set_result(None)

    def cancel_timer(self) -> None:
        """Call its timer off."""
        if self.timer is not None:
            self.timer.cancel()


class Parking:
    """The parks of one run, in the order in which they began, and its mailbox.

    Attributes:
        events_seen: id of the newest event that has come in.
    """

    def __init__(self) -> None:
        self.events_seen = 0
        self._parks: dict[Park, None] = {}
        self._mail: dict[str, deque[PendingEvent]] = {}

    def __len__(self) -> int:
        return len(self._parks)

    def __iter__(self) -> Iterator[Park]:
        return iter(tuple(self._parks))

    def add(self, park: Park) -> None:
        """Let a branch wait behind all others."""
        self._parks[park] = None

    def remove(self, park: Park) -> None:
        """Take a branch out, for whatever reason it leaves."""
        self._parks.pop(park, None)
        park.cancel_timer()

    def store_mail(self, events: Iterable[PendingEvent]) -> None:
        """Put events into the mailbox; those that were seen before are left out."""
        for event in events:
            if event.id > self.events_seen:
                self.events_seen = event.id
                self._mail.setdefault(event.type, deque()).append(event)

    def take_mail(self, park: Park) -> PendingEvent | None:
        """Give the oldest event of the type that this branch waits for, if it is its turn."""
        mail = self._mail.get(park.event_type) if park.event_type is not None else None
        return mail.popleft() if mail and self._first_of(park.event_type) is park else None

    def wake_for_mail(self, *, only_inside: bool) -> None:
        """Wake the first branch of each type of which there is mail; it wakes the next one.

        Args:
            only_inside: a pause is coming: only those that belong to an attempt in flight.
        """
        for event_type, mail in self._mail.items():
            first = self._first_of(event_type) if mail else None
            if first is not None and (first.is_inside or not only_inside):
                first.wake()

    def _first_of(self, event_type: str | None) -> Park | None:
        return next((park for park in self._parks if park.event_type == event_type), None)

    @property
    def is_waiting(self) -> bool:
        """Claim that there are branches here, and that all of them wait."""
        return bool(self._parks) and all(park.is_waiting for park in self._parks)

    @property
    def tasks(self) -> set[asyncio.Task[Any]]:
        """The tasks that are held up."""
        return {park.task for park in self._parks}

    @property
    def event_types(self) -> tuple[str, ...]:
        """The types of events that branches wait for."""
        types = (park.event_type for park in self._parks)
        return tuple(dict.fromkeys(type_ for type_ in types if type_ is not None))

    @property
    def due_ms(self) -> int:
        """When the first branch goes on."""
        return min(park.due_ms for park in self._parks)
