"""A clock that stands still until a test turns it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Timer:
    """A timer of a `ManualClock`."""

    def __init__(self, when_ms: int, callback: Callable[[], None]) -> None:
        self.when_ms = when_ms
        self.callback = callback
        self.is_over = False

    def cancel(self) -> None:
        """Call it off."""
        self.is_over = True

    def fire(self) -> None:
        """Call back, once, unless it was called off."""
        if not self.is_over:
            self.is_over = True
            self.callback()


class ManualClock:
    """Time for a whole well; pass `lease_seconds=NO_LAPSE` beside it, for a lease is time too."""

    def __init__(self) -> None:
        self._now_ms = 1_800_000_000_000
        self._timers: list[Timer] = []

    def now_ms(self) -> int:
        """Give the time."""
        return self._now_ms

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Timer:
        """Call back in the loop's next turn after the clock was turned to `when_ms`."""
        timer = Timer(when_ms, callback)
        self._timers.append(timer)
        self._fire_due()
        return timer

    def turn(self, *, minutes: int) -> None:
        """Let time pass."""
        self._now_ms += minutes * 60_000
        self._fire_due()

    def _fire_due(self) -> None:
        due = [timer for timer in self._timers if timer.when_ms <= self._now_ms]
        self._timers = [timer for timer in self._timers if timer.when_ms > self._now_ms]
        for timer in sorted(due, key=lambda timer: timer.when_ms):
            asyncio.get_running_loop().call_soon(timer.fire)


NO_LAPSE = 1_000_000
