"""Hints that something has changed; they may be lost, a slow poll finds everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Wakeups(Protocol):
    """Passes hints from writers to those who wait, in one process."""

    def publish(self, key: int | None) -> None:
        """Say that the instance of this key has changed; None: anything may have."""

    def listen(self, key: int | None, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back at hints about this key (None: at every hint); gives what ends it."""
