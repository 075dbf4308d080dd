"""What a worker may be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How a worker behaves.

    Attributes:
        lease_seconds: how long after its last sign of life a worker counts as dead.
        max_running: instances held at once.
        max_warm: resting runs kept in memory; 0 drops a run at every park.
        poll_seconds: the slow poll that finds what no hint announced.
        grace_seconds: how long a graceful stop waits for steps in flight.
    """

    lease_seconds: float = 10.0
    max_running: int = 1000
    max_warm: int = 1000
    poll_seconds: float = 2.0
    grace_seconds: float = 10.0
