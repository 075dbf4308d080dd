"""Hints that something has changed; they may be lost, a slow poll finds everything."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

Listener = Callable[[Hashable], None]


class Wakeups(Protocol):
    """Passes hints from those who write to those who wait, within one process.

    A topic is an instance's key, its `Ref`, or a client's command; None stands for all topics.
    """

    def publish(self, topic: Hashable | None) -> None:
        """Say that what this topic names has changed; None: anything may have."""

    def listen(self, topic: Hashable | None, listener: Listener) -> Callable[[], None]:
        """Call back with the topic of each hint on it (None: of every hint); gives what ends it."""
