"""Watch for changes that other processes make to the same database: hints, never needed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from stepwell.errors import StoreError
from stepwell.ports.store import Store

_LOG = logging.getLogger("stepwell.engine")


async def watch_changes(
    store: Store, seconds: float, listeners: Sequence[Callable[[], None]]
) -> None:
    """Look at the change mark every `seconds`, for ever; call the listeners when it moves."""
    mark: object = None
    while True:
        await asyncio.sleep(seconds)
        found = await _look(store, mark)
        if found != mark and mark is not None:
            for listener in listeners:
                listener()
        mark = found


async def _look(store: Store, before: object) -> object:
    try:
        return await store.change_mark()
    except StoreError as error:
        _LOG.debug("cannot look for changes: %s", error)
        return before
