"""The clock of the machine; right for SQLite, whose file lives on the same machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from stepwell.ports.clock import TimerHandle

# A loop timer may not lie too far ahead: far ones are set again when this much has passed, which
# also follows a clock that somebody turns.
_HOP_SECONDS_MAX = 3600.0


class _Timer:
    """A timer that hops towards its time and never fires early."""

    __slots__ = ("_callback", "_clock", "_handle", "_when_ms")

    def __init__(self, clock: SystemClock, when_ms: int, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._when_ms = when_ms
        self._callback = callback
        self._handle: asyncio.TimerHandle | None = None
        self.hop()

    def hop(self) -> None:
        """Fire if it is time, else sleep on."""
        left_ms = self._when_ms - self._clock.now_ms()
        loop = asyncio.get_running_loop()
        if left_ms <= 0 and self._handle is not None:
            self._callback()
        else:
            seconds = min(max(left_ms, 0) / 1000, _HOP_SECONDS_MAX)
            self._handle = loop.call_later(seconds, self.hop)

    def cancel(self) -> None:
        """Call it off."""
        if self._handle is not None:
            self._handle.cancel()


class SystemClock:
    """`time.time` and the event loop's timers."""

    def now_ms(self) -> int:
        """Give the time as epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> TimerHandle:
        """Call back once it is `when_ms`; at the earliest in the loop's next turn."""
        return _Timer(self, when_ms, callback)
