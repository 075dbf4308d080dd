"""Watch for changes that other processes make to the same database: hints, never needed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from stepwell.errors import StoreError
from stepwell.ports.store import Store

_LOG = logging.getLogger("stepwell.engine")
_POLL_SECONDS = 1.0


async def watch_changes(
    store: Store,
    seconds: float,
    listeners: Sequence[Callable[[], None]],
    *,
    on_poll: Callable[[], None],
) -> None:
    """Look at the change mark every `seconds`, for ever.

    Args:
        store: where to look.
        seconds: between two looks.
        listeners: called when the mark has moved.
        on_poll: called about every second whether it has or not; a mark is only a hint.
    """
    mark: object = None
    polled = time.monotonic()
    while True:
        await asyncio.sleep(seconds)
        found = await _look(store, mark)
        if found != mark and mark is not None:
            for listener in listeners:
                listener()
        mark = found
        if time.monotonic() - polled >= _POLL_SECONDS:
            polled = time.monotonic()
            on_poll()


async def _look(store: Store, before: object) -> object:
    try:
        return await store.change_mark()
    except StoreError as error:
        _LOG.debug("cannot look for changes: %s", error)
        return before
