"""A store that fails once, at the worst moment: nothing stays held without a run of it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import stepwell
from stepwell import WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from stepwell.engine.system_clock import SystemClock
from stepwell.errors import StoreError
from stepwell.model.command import Append, Finish, Hibernate
from stepwell.stores.memory import MemoryStore
from stepwell.testing.faults import check_nothing_stranded
from tests.engine.support import error_of, until


class FailsOnce(MemoryStore):
    """A memory store of which one method fails at its first call."""

    def __init__(self, method: str, error: BaseException, command: type | None = None) -> None:
        super().__init__()
        self.method = method
        self.error = error
        self.command = command
        self.has_failed = False

    def _fail(self, method: str) -> None:
        if method == self.method and not self.has_failed:
            self.has_failed = True
            raise self.error

    async def load(self, keys: Any) -> Any:
        self._fail("load")
        return await super().load(keys)

    async def signals(self, worker: str) -> Any:
        self._fail("signals")
        return await super().signals(worker)

    async def pending_events(self, key: int, after_id: int) -> Any:
        self._fail("pending_events")
        return await super().pending_events(key, after_id)

    async def claim(self, **options: Any) -> Any:
        self._fail("claim")
        return await super().claim(**options)

    async def apply(self, commands: Any, now_ms: int) -> Any:
        if self.command is not None and any(isinstance(c, self.command) for c in commands):
            self._fail("apply")
        return await super().apply(commands, now_ms)


class Waits(WorkflowEntrypoint[Any, Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
        async def work() -> int:
            return 1

        await step.do("work", work)
        return (await step.wait_for_event("wait", type="go", timeout="1 hour")).payload


@pytest.mark.parametrize("error", [StoreError("the disk hiccups"), KeyError("a defect")])
@pytest.mark.parametrize(
    ("method", "command"),
    [
        ("load", None),
        ("signals", None),
        ("pending_events", None),
        ("claim", None),
        ("apply", Append),
        ("apply", Hibernate),
    ],
)
async def test_one_failure_strands_nothing(
    method: str, command: type | None, error: Exception
) -> None:
    """Whatever the store fails at, once, the instance goes on in the same process."""
    store = FailsOnce(method, error, command)
    async with stepwell.open("memory://", store=store, workflows=[Waits]) as well:
        instance = await well.workflow(Waits).create(id="a")
        await until(instance, "wait_started")
        await instance.send_event(type="go", payload="on")

        assert "on" == await instance.result(10)
        assert store.has_failed


async def test_a_handler_that_gave_up_is_not_called_again() -> None:
    """If the end of a failed rollback is lost, it is written later, without another attempt."""
    calls: list[int] = []

    class Undoes(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            def undo() -> None:
                calls.append(1)
                raise OSError("stuck")

            once = {"retries": {"limit": 0, "delay": 1}}
            await step.do("work", lambda: 1, rollback=undo, rollback_config=once)
            raise ValueError("trigger")

    store = FailsOnce("apply", KeyError("a defect"), Finish)
    async with stepwell.open("memory://", store=store, workflows=[Undoes]) as well:
        instance = await well.workflow(Undoes).create(id="a")
        error = await error_of(instance)

        assert store.has_failed
        assert [1] == calls
        assert {"name": "ValueError", "message": "trigger"} == error
        failed = {"outcome": "failed", "error": {"name": "OSError", "message": "stuck"}}
        assert failed == (await instance.status()).rollback


class Unreadable(MemoryStore):
    """A memory store in which the history of the first instance cannot be read."""

    async def load(self, keys: Any) -> Any:
        if 0 in keys or 1 in keys:
            raise ValueError("a damaged row")
        return await super().load(keys)


async def test_a_history_that_cannot_be_read_harms_nobody_else() -> None:
    """An instance whose stored history is damaged ends errored; the others run."""

    class Quick(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            return "done"

    store = Unreadable()
    async with stepwell.open("memory://", store=store, worker=False) as well:
        items = [{"id": f"i{n}"} for n in range(4)]
        await well.workflow("Quick").create_batch(items)
    async with stepwell.open("memory://", store=store, workflows=[Quick]) as well:
        for n in range(1, 4):
            instance = await well.workflow(Quick).get(f"i{n}")
            assert n == 1 or await instance.result(10) == "done"
        first = await well.workflow(Quick).get("i0")
        with pytest.raises(stepwell.InstanceErrored) as caught:
            await first.result(10)

        assert "cannot be read" in str(caught.value.__cause__)


async def test_a_callable_that_cannot_be_called_fails_its_attempts() -> None:
    """An async callable that says wrongly what it takes fails as an attempt does, on record."""

    class Wrong(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            async def work(*, keyword: int) -> int:
                return keyword

            work.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
            try:
                await step.do("work", {"retries": {"limit": 1, "delay": 1}}, work)
            except TypeError:
                return "caught"

    async with stepwell.open("memory://", workflows=[Wrong]) as well:
        instance = await well.workflow(Wrong).create()

        assert "caught" == await instance.result(10)
        types = [event.type for event in await instance.events()]
        assert 2 == types.count("attempt_errored")
        assert 1 == types.count("step_errored")


async def test_closing_leaves_no_run_behind() -> None:
    """Whatever the moment, closing hands everything back and no step starts after it."""
    started: list[str] = []

    class Long(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            for n in range(1000):
                await step.do(f"s{n}", lambda n=n: started.append(f"{event.instance_id} {n}"))

    store = MemoryStore()
    async with stepwell.open("memory://", store=store, workflows=[Long]) as well:
        for n in range(20):
            await well.workflow(Long).create(id=f"i{n}")
    before = len(started)
    rows = await store.list_instances("Long", status=None, before_key=None, limit=100)

    assert [None] * 20 == [row.owner for row in rows]
    now_ms = SystemClock().now_ms()
    await check_nothing_stranded(store, ["Long"], now_ms=now_ms, running=())
    assert before == len(started)


class _Stop(BaseException):
    """What a signal handler may raise, in the midst of a write."""


async def test_who_waits_for_an_interrupted_write_is_told() -> None:
    """A signal that strikes in a write leaves no run waiting for it: the instance goes on."""
    store = FailsOnce("apply", _Stop(), Append)
    async with stepwell.open("memory://", store=store, workflows=[Waits]) as well:
        instance = await well.workflow("Waits").create()
        await instance.send_event("go", "gone on")

        assert "gone on" == await instance.result(10)
        assert store.has_failed
