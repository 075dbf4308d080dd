"""Hints within one process: a dictionary of listeners."""

from __future__ import annotations

from collections.abc import Hashable

from stepwell.model.step import Fact
from stepwell.ports.wakeups import Listener


class LocalWakeups:
    """Calls listeners at once, in the event loop's thread."""

    def __init__(self) -> None:
        self._listeners: dict[Hashable | None, set[Listener]] = {}

    def publish(self, topic: Hashable | None, end: Fact | None = None) -> None:
        """Call those who listen to this topic, and those who listen to all."""
        if topic is None:
            called = [one for group in self._listeners.values() for one in group]
        else:
            listeners = self._listeners
            if topic not in listeners and None not in listeners:
                return  # so it is at nearly every step
            called = [*listeners.get(topic, ()), *listeners.get(None, ())]
        for listener in called:
            listener(topic, end)

    def listen(self, topic: Hashable | None, listener: Listener) -> None:
        """Add a listener."""
        self._listeners.setdefault(topic, set()).add(listener)

    def unlisten(self, topic: Hashable | None, listener: Listener) -> None:
        """Remove a listener."""
        group = self._listeners.get(topic, set())
        group.discard(listener)
        if not group:
            self._listeners.pop(topic, None)
