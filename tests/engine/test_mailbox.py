"""The mailbox of a run: no event is lost between two waits, and each goes to whose turn it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import stepwell
from stepwell.model.command import Append, SendEvent
from stepwell.stores.memory import MemoryStore
from tests.engine.manual_clock import NO_LAPSE, ManualClock
from tests.engine.processes import REF, killed_at_the_end, let_lease_lapse, stores_of
from tests.engine.support import Open, flow, steps_of, until, until_step


class Interferes(MemoryStore):
    """A memory store that lets a test act in the very turn in which something happens, once."""

    def __init__(self) -> None:
        super().__init__()
        self.at_delivery: Callable[[], Any] | None = None  # before a run is given its events
        self.at_consumption: Callable[[], Any] | None = None  # before a taken event is written off

    async def pending_events(self, key: int, after_id: int) -> Any:
        events = await super().pending_events(key, after_id)
        if events and self.at_delivery is not None:
            act, self.at_delivery = self.at_delivery, None
            act()
        return events

    async def apply(self, commands: Any, now_ms: int) -> Any:
        takes = [c for c in commands if isinstance(c, Append) and c.consumed_event is not None]
        if takes and self.at_consumption is not None:
            act, self.at_consumption = self.at_consumption, None
            act()
            await asyncio.sleep(0)  # who was cancelled hears of it before the write has ended
        return await super().apply(commands, now_ms)


def open_held(store: MemoryStore, run: Any, **options: Any) -> Any:
    """Open a well in which no run ever rests."""
    return stepwell.open(
        "memory://", store=store, workflows=[flow(run)], linger_seconds=None, **options
    )


def soon(act: Callable[[], Any]) -> None:
    """Act after the delivery that is under way, and before anybody hears of it."""
    asyncio.get_running_loop().call_soon(act)


async def test_a_wait_cancelled_as_its_event_comes_leaves_it_to_a_later_one() -> None:
    """Cancelled in the very turn in which its event is delivered, a wait has not swallowed it."""
    store, waits = Interferes(), {}

    async def run(event: Any, step: Any) -> Any:
        waits["first"] = asyncio.create_task(step.wait_for_event("first", "go", timeout="1 hour"))
        with pytest.raises(asyncio.CancelledError):
            await waits["first"]
        return (await step.wait_for_event("second", "go", timeout="1 hour")).payload

    async with open_held(store, run) as well:
        instance = await well.workflow("Flow").create()
        await until_step(instance, "wait_started", "first-1")
        store.at_delivery = lambda: soon(waits["first"].cancel)
        await instance.send_event("go", "kept")

        assert "kept" == await instance.result(10)
        assert ["second-1"] == await steps_of(instance, "wait_completed")


async def test_a_wait_cancelled_as_its_event_comes_leaves_it_to_the_next_in_line() -> None:
    """The first of two waits is cancelled in the turn of delivery: the second gets the event."""
    store, waits = Interferes(), {}

    async def run(event: Any, step: Any) -> Any:
        for name in ("first", "second"):
            waiting = step.wait_for_event(name, "go", timeout="1 hour")
            waits[name] = asyncio.create_task(waiting)
        await asyncio.wait(waits.values())
        return [waits["first"].cancelled(), (await waits["second"]).payload]

    async with open_held(store, run) as well:
        instance = await well.workflow("Flow").create()
        await until_step(instance, "wait_started", "second-1")
        store.at_delivery = lambda: soon(waits["first"].cancel)
        await instance.send_event("go", "kept")

        assert [True, "kept"] == await instance.result(10)


async def test_an_event_taken_by_a_cancelled_wait_goes_back() -> None:
    """Cancelled while its event is being written off, a wait gives it back: a later one gets it."""
    store, waits = Interferes(), {}

    async def run(event: Any, step: Any) -> Any:
        waits["first"] = asyncio.create_task(step.wait_for_event("first", "go", timeout="1 hour"))
        with pytest.raises(asyncio.CancelledError):
            await waits["first"]
        return (await step.wait_for_event("second", "go", timeout="1 hour")).payload

    async with open_held(store, run) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await until_step(instance, "wait_started", "first-1")
        store.at_consumption = waits["first"].cancel
        await instance.send_event("go", {"kept": 1})

        assert {"kept": 1} == await instance.result(10)
        row = await store.find(REF)
        assert row is not None
        assert [] == await store.pending_events(row.key, 0)


async def test_two_waits_of_one_type_get_events_in_order_of_their_start() -> None:
    """A wait that begins in the turn of delivery passes nobody, and is not left standing."""
    store, may_begin = Interferes(), asyncio.get_running_loop().create_future()

    async def run(event: Any, step: Any) -> Any:
        async def late() -> Any:
            await may_begin
            return await step.wait_for_event("late", "go", timeout="1 hour")

        early = step.wait_for_event("early", "go", timeout="1 hour")
        return [got.payload for got in await asyncio.gather(early, late())]

    async with open_held(store, run) as well:
        instance = await well.workflow("Flow").create()
        await until_step(instance, "wait_started", "early-1")
        store.at_delivery = lambda: may_begin.set_result(None)
        await asyncio.gather(instance.send_event("go", 1), instance.send_event("go", 2))

        assert [1, 2] == await instance.result(10)


@pytest.mark.parametrize("linger_seconds", [None, 3600])
async def test_an_event_in_time_counts_although_no_hint_came(linger_seconds: float | None) -> None:
    """Another process sends an event just before the deadline of a held wait: it is received."""
    store, clock = MemoryStore(), ManualClock()

    async def run(event: Any, step: Any) -> Any:
        return (await step.wait_for_event("wait", "go", timeout="10 minutes")).payload

    options: Any = {
        "store": store, "clock": clock, "lease_seconds": NO_LAPSE, "linger_seconds": linger_seconds,
    }  # fmt: skip
    async with stepwell.open("memory://", workflows=[flow(run)], **options) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await until(instance, "wait_started")
        clock.turn(minutes=9)
        # Nothing here gives up its turn, so that nobody can have told the worker of it.
        command = SendEvent(ref=REF, type="go", payload='"in time"')
        await store.apply([command], clock.now_ms())
        clock.turn(minutes=1)

        assert "in time" == await instance.result(10)


async def races(event: Any, step: Any) -> Any:
    """Let two waits race and cancel the loser; later wait for an event of the loser's type."""
    winner = asyncio.create_task(step.wait_for_event("winner", "approved", timeout="1 hour"))
    loser = asyncio.create_task(step.wait_for_event("loser", "cancelled", timeout="1 hour"))
    done, _ = await asyncio.wait({winner, loser}, return_when=asyncio.FIRST_COMPLETED)
    loser.cancel()
    first = [(await task).type for task in done]
    await step.wait_for_event("pause", "on", timeout="1 hour")
    later = await step.wait_for_event("later", "cancelled", timeout="1 hour")
    return [first, later.payload]


async def test_the_loser_of_a_race_takes_no_event_in_a_later_process(
    open_well: Open, url: str
) -> None:
    """The race was over when its process stopped: at the replay its loser takes no event."""
    new_store = stores_of(url)
    async with open_well([flow(races)], store=new_store()) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await until_step(instance, "wait_started", "loser-1")
        await instance.send_event("approved")
        await asyncio.wait_for(until_step(instance, "wait_started", "pause-1"), 10)
    async with open_well([flow(races)], store=new_store(), worker=False) as well:
        await (await well.workflow("Flow").get(REF.id)).send_event("cancelled", "please")
    async with open_well([flow(races)], store=new_store()) as well:
        instance = await well.workflow("Flow").get(REF.id)
        await instance.send_event("on")

        assert [["approved"], "please"] == await instance.result(10)
        assert ["winner-1", "pause-1", "later-1"] == await steps_of(instance, "wait_completed")


async def test_the_loser_of_a_race_takes_no_event_after_a_crash(open_well: Open, url: str) -> None:
    """The race was over when its worker died: at the replay its loser takes no event."""
    new_store = stores_of(url)
    async with killed_at_the_end(open_well, new_store(), [flow(races)]) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await until_step(instance, "wait_started", "loser-1")
        await instance.send_event("approved")
        await asyncio.wait_for(until_step(instance, "wait_started", "pause-1"), 10)
    await let_lease_lapse(new_store())
    async with open_well([flow(races)], store=new_store(), worker=False) as well:
        await (await well.workflow("Flow").get(REF.id)).send_event("cancelled", "please")
    async with open_well([flow(races)], store=new_store()) as well:
        instance = await well.workflow("Flow").get(REF.id)
        await instance.send_event("on")

        assert [["approved"], "please"] == await instance.result(10)


async def test_the_loser_of_a_race_takes_no_event_while_the_run_sleeps(open_well: Open) -> None:
    """In one process, however often the run rests: the event is for the wait that comes."""
    async with open_well([flow(races)]) as well:
        instance = await well.workflow("Flow").create()
        await until_step(instance, "wait_started", "loser-1")
        await instance.send_event("approved")
        await asyncio.wait_for(until_step(instance, "wait_started", "pause-1"), 10)
        await instance.send_event("cancelled", "please")
        await instance.send_event("on")

        assert [["approved"], "please"] == await instance.result(10)
        assert ["loser-1"] == await steps_of(instance, "step_errored")
