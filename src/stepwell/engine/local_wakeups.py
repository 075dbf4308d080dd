"""Hints within one process: a dictionary of listeners."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from stepwell.ports.wakeups import Listener


class LocalWakeups:
    """Calls listeners at once, in the event loop's thread."""

    def __init__(self) -> None:
        self._listeners: dict[Hashable | None, set[Listener]] = {}

    def publish(self, topic: Hashable | None) -> None:
        """Call those who listen to this topic, and those who listen to all."""
        if not self._listeners:
            return
        if topic is None:
            called = [one for group in self._listeners.values() for one in group]
        else:
            called = [*self._listeners.get(topic, ()), *self._listeners.get(None, ())]
        for listener in called:
            listener(topic)

    def listen(self, topic: Hashable | None, listener: Listener) -> Callable[[], None]:
        """Add a listener; call what this gives to remove it."""
        self._listeners.setdefault(topic, set()).add(listener)

        def end() -> None:
            group = self._listeners.get(topic, set())
            group.discard(listener)
            if not group:
                self._listeners.pop(topic, None)

        return end
