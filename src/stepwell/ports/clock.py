"""The one source of time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class TimerHandle(Protocol):
    """A timer that can still be called off."""

    def cancel(self) -> None:
        """Call it off; after it has fired, nothing happens."""


class Clock(Protocol):
    """Time as the store sees it; tests hand in one that they turn themselves."""

    def now_ms(self) -> int:
        """Give the time as epoch milliseconds (UTC)."""

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> TimerHandle:
        """Call back in the running event loop once the time is `when_ms` or later."""
