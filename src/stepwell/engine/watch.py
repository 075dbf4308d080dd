"""Watch for changes that other processes make to the same database: hints, never needed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from stepwell.ports.store import Store

_LOG = logging.getLogger("stepwell.engine")
_POLL_SECONDS = 1.0


class Watch:
    """Looks at a store's change mark again and again.

    No failure ends it: what cannot be looked at is told in the log once, and looked at again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._mark: object = None
        self._is_failing = False

    async def begin(self) -> None:
        """Note the mark as it is: every later change will be told."""
        self._mark = await self._look()

    async def watch(
        self,
        seconds: float,
        listeners: Sequence[Callable[[], None]],
        *,
        on_poll: Callable[[], None],
    ) -> None:
        """Look every `seconds`, for ever.

        Args:
            seconds: between two looks.
            listeners: called when the mark has moved.
            on_poll: called about every second whether it has or not; a mark is only a hint.
        """
        polled = time.monotonic()
        while True:
            await asyncio.sleep(seconds)
            found = await self._look()
            if found != self._mark:
                self._mark = found
                _tell(listeners)
            if time.monotonic() - polled >= _POLL_SECONDS:
                polled = time.monotonic()
                _tell([on_poll])

    async def _look(self) -> object:
        try:
            found = await self._store.change_mark()
        except Exception as error:  # noqa: BLE001  (a hint less; the polls go on)
            if not self._is_failing:
                _LOG.warning("changes of other processes are found later: %s", error)
            self._is_failing = True
            return self._mark
        self._is_failing = False
        return found


def _tell(listeners: Sequence[Callable[[], None]]) -> None:
    for listener in listeners:
        try:
            listener()
        except Exception:  # noqa: BLE001  (the others must hear, and the watch go on)
            _LOG.exception("a listener failed at a hint")
