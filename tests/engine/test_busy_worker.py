"""A worker that is busy, hears nothing, or meets a damaged instance: no other one suffers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

import stepwell
from stepwell import WorkflowInstance, settings
from stepwell.engine import watch
from stepwell.errors import HistoryTooNew, StoreCorrupt
from stepwell.model.command import Command, Pause, Restart, SendEvent, Terminate
from stepwell.stores.memory import MemoryStore
from stepwell.worker.settings import WorkerSettings
from tests.engine.manual_clock import NO_LAPSE, ManualClock
from tests.engine.processes import REF
from tests.engine.support import Gate, Open, error_of, flow, steps_of, types_of, until, until_step


async def before_ten(waiting: Awaitable[Any]) -> Any:
    """Give what is waited for, within ten seconds."""
    return await asyncio.wait_for(waiting, 10)


# ---- restarts and claims -------------------------------------------------------------------------


class ClaimsLate(MemoryStore):
    """A memory store whose claims, once armed, take a while."""

    def __init__(self) -> None:
        super().__init__()
        self.is_armed = False
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()

    async def claim(self, **options: Any) -> Any:
        if self.is_armed:
            self.is_armed = False
            self.has_begun.set()
            await self.may_end.wait()
        return await super().claim(**options)


async def _by_client(instance: WorkflowInstance, _store: MemoryStore) -> None:
    await instance.restart()


async def _by_another_process(_instance: WorkflowInstance, store: MemoryStore) -> None:
    await store.apply([Restart(ref=REF)], 0)


@pytest.mark.parametrize("restart", [_by_client, _by_another_process])
async def test_a_restart_while_the_worker_claims_leaves_one_run(
    restart: Callable[[WorkflowInstance, MemoryStore], Awaitable[None]],
) -> None:
    """Restarted while its worker is busy claiming, an instance never has two runs at once."""
    store, log = ClaimsLate(), []
    began = [asyncio.Event(), asyncio.Event()]

    async def run(event: Any, step: Any) -> Any:
        if event.payload == "probe":
            return "probed"
        number = log.count("begins")

        async def work() -> str:
            log.append("begins")
            began[number].set()
            try:
                if number == 0:
                    await asyncio.get_running_loop().create_future()
                return "done"
            finally:
                log.append("ends")

        return await step.do("work", work)

    async with stepwell.open("memory://", store=store, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await began[0].wait()
        store.is_armed = True
        await well.workflow("Flow").create(params="probe")
        await store.has_begun.wait()
        await restart(instance, store)
        store.may_end.set()
        await before_ten(began[1].wait())

        assert "done" == await instance.result(10)
        assert ["begins", "ends"] * 2 == log


class HandsOverLate(MemoryStore):
    """A memory store in which, once armed, something happens while a run at rest is claimed."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], None] | None = None

    async def pending_events(self, key: int, after_id: int) -> Any:
        if self.meanwhile is not None:
            act, self.meanwhile = self.meanwhile, None
            act()
            for _ in range(20):  # turns, enough for a write
                await asyncio.sleep(0)
        return await super().pending_events(key, after_id)


async def test_a_run_that_wakes_itself_while_it_is_claimed_is_not_lost() -> None:
    """Code of a run at rest calls a step while its worker wakes it: step and run both go on."""
    store, may_call = HandsOverLate(), asyncio.Event()
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        async def side() -> Any:
            await may_call.wait()
            await step.do("side", lambda: calls.append("side"))

        beside = asyncio.create_task(side())
        got = await step.wait_for_event("wait", "go", timeout="1 hour")
        await step.wait_for_event("end", "end", timeout="1 hour")
        return [got.payload, beside.done()]

    options: Any = {"store": store, "linger_seconds": 0}
    async with stepwell.open("memory://", workflows=[flow(run)], **options) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "workflow_waiting")
        store.meanwhile = may_call.set
        await instance.send_event("go", "on")
        await before_ten(until_step(instance, "step_completed", "side-1"))
        await before_ten(until_step(instance, "wait_started", "end-1"))
        await instance.send_event("end")

        assert ["on", True] == await instance.result(10)
        assert ["side"] == calls


# ---- lost hints ----------------------------------------------------------------------------------


async def _is_paused(instance: WorkflowInstance) -> None:
    await until(instance, "workflow_paused")
    await instance.resume()
    await instance.send_event("go", "on")


async def _has_event(_instance: WorkflowInstance) -> None:
    return


async def _runs_again(instance: WorkflowInstance) -> None:
    await instance.send_event("go", "on")


LOST: list[tuple[Command, Callable[[WorkflowInstance], Awaitable[None]]]] = [
    (Pause(ref=REF), _is_paused),
    (SendEvent(ref=REF, type="go", payload='"on"'), _has_event),
    (Restart(ref=REF), _runs_again),
]


@pytest.fixture
def polls_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the slow polls be fast ones: no public option says how often."""
    fast_ones = partial(WorkerSettings, poll_seconds=0.02)
    monkeypatch.setattr(settings, "WorkerSettings", fast_ones)
    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.02)


@pytest.mark.usefixtures("polls_fast")
@pytest.mark.parametrize(("command", "check"), LOST)
async def test_the_poll_finds_what_no_hint_told(
    command: Command, check: Callable[[WorkflowInstance], Awaitable[None]]
) -> None:
    """What another process does to a held run, and no hint tells, is found by the slow poll."""
    store = MemoryStore()  # its change mark never moves, so nothing tells of a direct write

    async def run(event: Any, step: Any) -> Any:
        return (await step.wait_for_event("wait", "go", timeout="1 hour")).payload

    options: Any = {"store": store, "linger_seconds": None}
    async with stepwell.open("memory://", workflows=[flow(run)], **options) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await until(instance, "wait_started")
        await store.apply([command], 0)
        await before_ten(check(instance))

        assert "on" == await instance.result(10)


@pytest.mark.usefixtures("polls_fast")
async def test_the_poll_ends_a_run_that_was_terminated_unheard() -> None:
    """Terminated by another process without a hint, a run is stopped in the middle of a step."""
    store, gate, has_stopped = MemoryStore(), Gate(), asyncio.Event()

    async def run(event: Any, step: Any) -> Any:
        async def work() -> Any:
            try:
                return await gate()
            finally:
                has_stopped.set()

        return await step.do("work", work)

    async with stepwell.open("memory://", store=store, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await gate.began.wait()
        await store.apply([Terminate(ref=REF, rollback=False)], 0)
        await before_ten(has_stopped.wait())

        assert "terminated" == (await instance.status()).status


# ---- one bad history in a batch ------------------------------------------------------------------


class HasABadOne(MemoryStore):
    """A memory store in which the history of the first instance cannot be read."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error: Exception | None = error
        self.loads = 0

    async def load(self, keys: Any) -> Any:
        if 1 in keys and self.error is not None:
            self.loads += 1
            raise self.error
        return await super().load(keys)


async def _create_ten(store: MemoryStore, clock: ManualClock) -> None:
    async with stepwell.open("memory://", store=store, clock=clock, worker=False) as well:
        await well.workflow("Flow").create_batch([{"id": f"i{n}"} for n in range(10)])


async def _returns(_event: Any, step: Any) -> Any:
    return await step.do("work", lambda: "done")


async def test_a_damaged_history_stops_no_other_instance() -> None:
    """One of ten that are claimed together is damaged: it ends errored, and the others complete."""
    clock, store = ManualClock(), HasABadOne(StoreCorrupt("a damaged page"))
    await _create_ten(store, clock)
    options: Any = {"store": store, "clock": clock, "lease_seconds": NO_LAPSE}
    async with stepwell.open("memory://", workflows=[flow(_returns)], **options) as well:
        others = [await well.workflow("Flow").get(f"i{n}") for n in range(1, 10)]

        assert ["done"] * 9 == [await other.result(10) for other in others]
        error = await error_of(await well.workflow("Flow").get("i0"))
        assert "a damaged page" in error["message"]


async def test_a_newer_history_is_left_alone_and_unharmed() -> None:
    """What a newer version wrote waits for a worker of that version, and then completes."""
    clock, store = ManualClock(), HasABadOne(HistoryTooNew("a word of tomorrow"))
    await _create_ten(store, clock)
    options: Any = {"store": store, "clock": clock, "lease_seconds": NO_LAPSE}
    async with stepwell.open("memory://", workflows=[flow(_returns)], **options) as well:
        others = [await well.workflow("Flow").get(f"i{n}") for n in range(1, 10)]
        assert ["done"] * 9 == [await other.result(10) for other in others]
        newer = await well.workflow("Flow").get("i0")
        assert "waiting" == (await newer.status()).status
        assert ["workflow_queued"] == await types_of(newer)
        assert 2 == store.loads  # with the others, and alone: it is not asked for again and again

        store.error = None  # the worker of the newer version comes
        clock.turn(minutes=1)
        assert "done" == await newer.result(10)
        assert ["work-1"] == await steps_of(newer, "step_completed")


# ---- user code that gets in the way --------------------------------------------------------------


async def test_a_step_within_a_step_does_not_keep_a_pause_off(open_well: Open) -> None:
    """A step that is called within one still in flight runs although a pause is coming."""
    began, may_go = asyncio.Event(), asyncio.Event()

    async def run(event: Any, step: Any) -> Any:
        async def outer() -> Any:
            began.set()
            await may_go.wait()
            return await step.do("inner", lambda: "inner")

        return await step.do("outer", outer)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await began.wait()
        await instance.pause()
        may_go.set()
        await before_ten(until(instance, "workflow_paused"))
        await instance.resume()

        assert "inner" == await instance.result(10)
        assert ["inner-1", "outer-1"] == await steps_of(instance, "step_completed")


async def test_code_that_catches_everything_does_not_block_the_loop(open_well: Open) -> None:
    """A paused run goes on calling steps whatever is raised: the others go on as well."""
    gate, is_over = Gate(), asyncio.Event()

    async def run(event: Any, step: Any) -> Any:
        if event.payload == "probe":
            return await step.do("probe", lambda: "probed")
        while True:
            try:
                return await step.do("poll", gate)
            except BaseException:
                if is_over.is_set():  # else the end of the loop would be swallowed too
                    raise

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await gate.began.wait()
        await instance.pause()
        gate.may_end.set()
        await until(instance, "workflow_paused")
        try:
            probes = [await well.workflow("Flow").create(params="probe") for _ in range(3)]

            assert ["probed"] * 3 == [await probe.result(10) for probe in probes]
            assert "paused" == (await instance.status()).status
        finally:
            is_over.set()
