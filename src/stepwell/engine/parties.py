"""Who has to do with a run: the worker that keeps it, and what the run holds."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Protocol

from stepwell.engine.in_flight import InFlight
from stepwell.engine.services import Services
from stepwell.engine.states import Exit, RunState
from stepwell.errors import RunDropped, StoreError
from stepwell.model.instance import Instance, Lease
from stepwell.model.step import Fact


class Holder(Protocol):
    """What a run holds, as its waits see it; see `hold.Hold`."""

    instance: Instance
    lease: Lease
    services: Services
    state: RunState
    task: asyncio.Task[None] | None
    in_flight: InFlight
    is_rolling_back: bool
    keeper: Keeper

    @property
    def is_busy(self) -> bool:
        """Claim that an attempt is in flight, or a write under way."""

    @property
    def has_running_threads(self) -> bool:
        """Claim that a thread runs, perhaps of an attempt that was given up."""

    def now_ms(self) -> int:
        """Give the time."""

    def add_lazy(self, key: Hashable, fact: Fact) -> None:
        """Note a fact that may be written later."""

    def take_lazy(self) -> tuple[Fact, ...]:
        """Take all lazy facts, to write them with something else."""

    def flush_lazy(self) -> None:
        """Write the lazy facts now, without waiting."""

    def drop(self) -> None:
        """Stop this run for good."""

    def leave(self, exit_: Exit) -> None:
        """Let go of the instance."""

    def fail(self, error: StoreError) -> RunDropped:
        """Drop the run because the store has failed."""


class Keeper(Protocol):
    """The worker, as its runs see it."""

    @property
    def is_ending(self) -> bool:
        """Claim that the worker, and with it perhaps its whole event loop, is being ended."""

    @property
    def lease_until_ms(self) -> int:
        """When the worker's lease lapses if it is not renewed."""

    async def ensure_lease(self) -> None:
        """Wait until the worker's lease is good: after a stall somebody else may own its runs."""

    def on_exit(self, hold: Holder, exit_: Exit) -> None:
        """Hear that a run has left."""

    def on_news(self) -> None:
        """Hear that the store knows more of a run than has been passed on to it."""

    def on_ready(self) -> None:
        """Hear that there is something to claim."""
