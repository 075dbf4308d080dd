"""A worker that stalled past its lease: it may have lost its runs, or it may have lost nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import stepwell
from stepwell.errors import StoreBusy
from stepwell.model.instance import Ref
from stepwell.stores.memory import MemoryStore
from tests.engine.manual_clock import ManualClock
from tests.engine.support import Gate, events_of, fast, flow

LEASE_SECONDS = 60  # of the clock that is turned by hand; so long, no beat of real time comes
FOR_EVER_MS = 9_000_000_000_000


class Unreachable(MemoryStore):
    """A memory store that can be out of reach for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.refused_beats = 0
        self.was_asked_again = asyncio.Event()

    async def apply(self, commands: Any, now_ms: int) -> Any:
        """Refuse while it is away."""
        if self.is_away:
            raise StoreBusy("locked by another process")
        return await super().apply(commands, now_ms)

    async def beat(self, **options: Any) -> Any:
        """Refuse while it is away; say so when that has happened three times."""
        if self.is_away:
            self.refused_beats += 1
            if self.refused_beats >= 3:
                self.was_asked_again.set()
            raise StoreBusy("locked by another process")
        return await super().beat(**options)


async def test_nothing_starts_while_the_lease_has_lapsed() -> None:
    """By its clock the lease is over: it starts no attempt until it has renewed the lease."""
    clock, store, go_on = ManualClock(), Unreachable(), asyncio.Event()
    has_begun = asyncio.Event()
    starts: list[str] = []

    async def run(event: Any, step: Any) -> str:
        async def work() -> str:
            starts.append(f"work, refused {store.refused_beats}")
            return "done"

        has_begun.set()
        await go_on.wait()
        return str(await step.do("work", fast(0), work))

    async with stepwell.open(
        "memory://", store=store, workflows=[flow(run)], clock=clock, lease_seconds=LEASE_SECONDS
    ) as well:
        instance = await well.workflow("Flow").create(id="a")
        await has_begun.wait()
        store.is_away = True
        clock.turn(minutes=2)
        go_on.set()
        async with asyncio.timeout(10):
            await store.was_asked_again.wait()
        assert [] == starts

        store.is_away = False
        assert "done" == await instance.result(10)
        assert 1 == len(starts)


async def test_a_lapse_that_nobody_used_costs_nothing() -> None:
    """A database locked for longer than a lease: the step in flight ends, and counts."""
    clock, store, gate = ManualClock(), Unreachable(), Gate()

    async def run(event: Any, step: Any) -> Any:
        return await step.do("work", fast(0), gate)

    async with stepwell.open(
        "memory://", store=store, workflows=[flow(run)], clock=clock, lease_seconds=0.06
    ) as well:
        instance = await well.workflow("Flow").create(id="a")
        await gate.began.wait()
        store.is_away = True
        clock.turn(minutes=2)
        async with asyncio.timeout(10):
            await store.was_asked_again.wait()
        gate.may_end.set()
        await asyncio.sleep(0)
        store.is_away = False

        assert "done" == await instance.result(10)
        assert 1 == gate.calls
        assert [] == await events_of(instance, "attempt_errored")


class Deaf:
    """The store as a stalled worker has it: it hears nothing of what others do."""

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner
        self.is_deaf = False

    def __getattr__(self, name: str) -> Any:
        """Give a method of the inner store."""
        return getattr(self._inner, name)

    async def signals(self, worker: str) -> Any:
        """Hang while deaf."""
        if self.is_deaf:
            await asyncio.Event().wait()
        return await self._inner.signals(worker)


async def test_a_stalled_worker_starts_nothing_of_a_run_that_it_lost() -> None:
    """Another worker has ended the run; the stalled one goes on, and its next step never starts."""
    clock, store, go_on = ManualClock(), MemoryStore(), asyncio.Event()
    has_begun = asyncio.Event()
    acts: list[str] = []

    async def run(event: Any, step: Any, who: str) -> str:
        async def work() -> str:
            acts.append(f"work by {who}")
            return who

        if who == "stalled":
            has_begun.set()
            await go_on.wait()
            acts.append("the stalled one goes on")
        return str(await step.do("work", fast(1), work))

    def open_as(who: str, store: Any) -> Any:
        workflow = flow(lambda event, step: run(event, step, who))
        return stepwell.open(
            "memory://", store=store, workflows=[workflow], clock=clock,
            lease_seconds=LEASE_SECONDS, grace_seconds=0.1,
        )  # fmt: skip

    deaf = Deaf(store)
    async with open_as("stalled", deaf) as stalled:
        await stalled.workflow("Flow").create(id="a")
        await has_begun.wait()
        deaf.is_deaf = True
        clock.turn(minutes=2)
        await store.reap(now_ms=clock.now_ms(), limit=10)
        async with open_as("other", store) as other:
            assert "other" == await (await other.workflow("Flow").get("a")).result(10)
        go_on.set()
        await asyncio.sleep(0.05)

    assert ["work by other", "the stalled one goes on"] == acts


class SlowClaim(MemoryStore):
    """A memory store in which a lease is lost and another one taken during one claim."""

    def __init__(self) -> None:
        super().__init__()
        self.is_armed = False
        self._has_renewed = asyncio.Event()
        self.names: set[str] = set()
        self.lost = ""

    async def claim(self, **options: Any) -> Any:
        """Claim, and answer only when the worker has taken another lease meanwhile."""
        if not self.is_armed or await self.next_ready_ms(options["workflows"]) is None:
            return await super().claim(**options)
        self.is_armed = False
        self.lost = options["worker"]
        await self.reap(now_ms=FOR_EVER_MS, limit=10)
        self.names.clear()
        claims = await super().claim(**options)
        await self._has_renewed.wait()
        return claims

    async def beat(self, **options: Any) -> Any:
        """Renew; say when it was under another name than before."""
        is_kept = await super().beat(**options)
        self.names.add(options["worker"])
        if is_kept and len(self.names) > 1:
            self._has_renewed.set()
        return is_kept


async def test_a_claim_under_a_lost_lease_is_released() -> None:
    """What was claimed under a name that nobody renews is handed back, and goes on from there."""
    store, gate = SlowClaim(), Gate()

    async def run(event: Any, step: Any) -> Any:
        await step.do("work", fast(0), gate)
        return (await step.wait_for_event("wait", type="go", timeout="1 hour")).payload

    async with stepwell.open(
        "memory://", store=store, workflows=[flow(run)], lease_seconds=0.3
    ) as well:
        store.is_armed = True
        instance = await well.workflow("Flow").create(id="a")
        await gate.began.wait()
        await instance.send_event(type="go", payload="on")  # the worker compares what it holds
        row = await store.find(Ref("Flow", "a"))
        assert row is not None
        assert row.owner in store.names - {store.lost}
        gate.may_end.set()

        assert "on" == await instance.result(10)
        assert 1 == gate.calls
