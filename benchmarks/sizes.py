"""How much of each workload a measurement does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """One set of sizes; the defaults are those that `docs/performance.md` reports."""

    bare_commits: int = 2_000
    instances: int = 2_000
    rounds: int = 3
    singles: int = 300
    sequential: int = 2_000
    marks: tuple[int, ...] = (100, 1_000, 10_000)
    recorded: int = 10_000
    sleepers_before: int = 30_000
    sleepers: int = 20_000
    due: int = 500
    due_spread_seconds: float = 5.0
    parallels: int = 50
    events: int = 300
    crash_runs: int = 20
    crash_lease_seconds: float = 10.0
    starts: int = 7
    idle_seconds: float = 10.0
    peer_instances: int = 300
    peer_concurrency: tuple[int, ...] = (1, 8, 32)
    peer_singles: int = 50
    peer_sequential: int = 300
    peer_parallels: int = 5
    peer_events: int = 20


FULL = Sizes()
QUICK = Sizes(
    bare_commits=300,
    instances=300,
    rounds=2,
    singles=60,
    sequential=300,
    marks=(100, 1_000),
    recorded=1_000,
    sleepers_before=1_000,
    sleepers=1_000,
    due=100,
    due_spread_seconds=1.0,
    parallels=10,
    events=40,
    crash_runs=4,
    crash_lease_seconds=1.0,
    starts=2,
    idle_seconds=2.0,
    peer_instances=16,
    peer_concurrency=(8,),
    peer_singles=8,
    peer_sequential=40,
    peer_parallels=1,
    peer_events=4,
)
TINY = Sizes(
    bare_commits=20,
    instances=4,
    rounds=1,
    singles=3,
    sequential=10,
    marks=(10, 20),
    recorded=20,
    sleepers_before=20,
    sleepers=20,
    due=5,
    due_spread_seconds=0.1,
    parallels=1,
    events=2,
    crash_runs=1,
    crash_lease_seconds=0.3,
    starts=1,
    idle_seconds=0.5,
)
BY_NAME = {"full": FULL, "quick": QUICK, "tiny": TINY}
