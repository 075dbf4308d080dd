"""Whether short work on a connection is quick enough to be done in the event loop's own thread."""

from __future__ import annotations

from typing import Final

QUICK_SECONDS: Final = 0.004
_WEIGHT_OF_NEW: Final = 0.1
_BEARABLE_SECONDS: Final = 0.1
_TURNED_AWAY_UNTIL_TRIAL: Final = 32


class Pace:
    """How long short work took of late.

    What the connection's thread takes is an upper bound: beside a busy event loop it waits for the
    interpreter most of the time. So while that looks slow, one piece of some is tried in the loop
    all the same, unless it may hold the loop up for long.
    """

    def __init__(self) -> None:
        self._usual_seconds = QUICK_SECONDS
        self._turned_away = 0

    def is_quick(self) -> bool:
        """Claim that the next short piece of work may be done in the loop."""
        if self._usual_seconds < QUICK_SECONDS:
            return True
        if self._usual_seconds > _BEARABLE_SECONDS:
            return False
        self._turned_away = (self._turned_away + 1) % _TURNED_AWAY_UNTIL_TRIAL
        return self._turned_away == 0

    def note(self, seconds: float, *, is_here: bool) -> None:
        """Take account of a short piece of work.

        Args:
            seconds: what it took.
            is_here: it was done in the loop.
        """
        if is_here and seconds < QUICK_SECONDS <= self._usual_seconds:
            self._usual_seconds = seconds  # a trial went well
        else:
            self._usual_seconds += _WEIGHT_OF_NEW * (seconds - self._usual_seconds)
