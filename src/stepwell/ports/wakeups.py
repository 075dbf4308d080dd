"""Hints that something has changed; they may be lost, a slow poll finds everything."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from stepwell.model.step import Fact

Listener = Callable[[Hashable, Fact | None], None]


class Wakeups(Protocol):
    """Passes hints from those who write to those who wait, within one process.

    A topic is an instance's key, its `Ref`, or a client's command; None stands for all topics.
    """

    def publish(self, topic: Hashable | None, end: Fact | None = None) -> None:
        """Say that what this topic names has changed; None: anything may have.

        Args:
            topic: what has changed.
            end: the last fact of the instance, if it has ended by this change; it is durable.
        """

    def listen(self, topic: Hashable | None, listener: Listener) -> None:
        """Call back with each hint on this topic (None: with every hint)."""

    def unlisten(self, topic: Hashable | None, listener: Listener) -> None:
        """Call back no more."""
