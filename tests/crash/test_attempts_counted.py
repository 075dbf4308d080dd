"""Never more than limit + 1 attempts of a step start, whatever dies in the middle of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import InstanceErrored, WorkflowEntrypoint
from stepwell.core.events import LogEvent
from stepwell.errors import InstanceNotFound, StoreError
from stepwell.model.instance import Ref
from stepwell.ports.store import Store
from stepwell.testing.faults import FaultyStore
from tests.crash.dying_worker import Dying
from tests.engine.processes import let_lease_lapse, stores_of
from tests.engine.support import error_of, fast

_SCRIPT = Path(__file__).with_name("dying_worker.py")
_LIVES_MAX = 8
_LIMITS = pytest.mark.parametrize("limit", [0, 1, 2])


@dataclass
class World:
    """What outlives a process, and the store of the one that lives."""

    starts: list[tuple[str, int]] = field(default_factory=list)
    lives: int = 0
    store: FaultyStore | None = None

    async def die(self, label: str, attempt: int) -> None:
        """Start an attempt, and let the process die in its first turn."""
        self.starts.append((label, attempt))
        self.kill()
        await asyncio.Event().wait()

    def kill(self) -> None:
        """Let the process die here and now."""
        assert self.store is not None
        self.store.bury()

    def count(self, label: str) -> int:
        """Tell how many attempts of this step have started."""
        return Counter(name for name, _ in self.starts)[label]


@dataclass
class End:
    """How the instance ended, and its log."""

    error: str | None
    output: Any
    events: list[LogEvent]

    def failed(self) -> list[str]:
        """Give the messages of the attempts that failed."""
        failed = [event for event in self.events if event.type == "attempt_errored"]
        return [str(event.details["error"]["message"]) for event in failed]


Run = Callable[[World, Any], Awaitable[Any]]


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Give what makes the store of each process."""
    in_memory = request.param == "memory"
    return stores_of("sqlite://:memory:" if in_memory else f"sqlite:///{tmp_path}/well.db")


async def live(store: FaultyStore, world: World, run: Run) -> End | None:
    """Be a process until the instance has ended, or until this one dies; it gives None then."""

    class Flow(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: Any, step: Any) -> Any:
            return await run(self.env, step)

    with suppress(StoreError):
        async with stepwell.open(
            "memory://", store=store, workflows=[Flow], env=world, grace_seconds=0
        ) as well:
            try:
                instance = await well.workflow(Flow).get("a")
            except InstanceNotFound:
                instance = await well.workflow(Flow).create(id="a")
            result = asyncio.ensure_future(instance.result(10))
            dying = asyncio.ensure_future(store.killed.wait())
            await asyncio.wait({result, dying}, return_when=asyncio.FIRST_COMPLETED)
            dying.cancel()
            if store.killed.is_set():
                result.cancel()
                return None
            try:
                return End(None, await result, await instance.events())
            except InstanceErrored as error:
                return End(str(error.__cause__), None, await instance.events())
    return None


async def live_on(make_store: Callable[[], Store], run: Run) -> tuple[World, End]:
    """Let one process after the other work on the instance, until it has ended."""
    world = World()
    while world.lives < _LIVES_MAX:
        world.lives += 1
        world.store = FaultyStore(make_store())
        end = await live(world.store, world, run)
        if end is not None:
            return world, end
        await let_lease_lapse(make_store())
    raise AssertionError(f"not at its end after {_LIVES_MAX} lives: {world.starts}")


@_LIMITS
async def test_first_turn_that_kills_its_worker(
    make_store: Callable[[], Store], limit: int
) -> None:
    """A step whose first turn ends its process starts at most limit + 1 times, then fails."""

    async def run(world: World, step: Any) -> None:
        async def ready() -> int:
            return 1

        async def kill(ctx: Any) -> None:
            await world.die("kill", ctx.attempt)

        await step.do("ready", ready)
        await step.do("kill", fast(limit), kill)

    world, end = await live_on(make_store, run)

    assert 1 <= world.count("kill") <= limit + 1
    assert end.error is not None
    assert "interrupted" in end.error


@_LIMITS
async def test_parallel_first_turn_that_kills_its_worker(
    make_store: Callable[[], Store], limit: int
) -> None:
    """The same beside another step in flight, which is the first to be reached again."""

    async def run(world: World, step: Any) -> None:
        async def slow(ctx: Any) -> None:
            world.starts.append(("slow", ctx.attempt))
            await asyncio.Event().wait()

        async def kill(ctx: Any) -> None:
            await world.die("kill", ctx.attempt)

        async def branch() -> None:
            await asyncio.sleep(0)  # outside of any step; no start is stored yet
            await step.do("kill", fast(limit), kill)

        await asyncio.gather(step.do("slow", fast(limit), slow), branch())

    world, end = await live_on(make_store, run)

    assert 1 <= world.count("kill") <= limit + 1
    assert world.count("slow") <= limit + 1
    assert end.error is not None


async def test_step_behind_an_interrupted_one_keeps_its_attempts(
    make_store: Callable[[], Store],
) -> None:
    """What follows a step that a crash has ended for good cannot have started before."""

    async def run(world: World, step: Any) -> int:
        async def kill(ctx: Any) -> None:
            await world.die("kill", ctx.attempt)

        async def after(ctx: Any) -> int:
            return int(ctx.attempt)

        with suppress(Exception):
            await step.do("kill", fast(0), kill)
        return int(await step.do("after", fast(1), after))

    _, end = await live_on(make_store, run)

    assert 1 == end.output


async def test_attempt_that_may_have_been_hidden_is_in_the_log(
    make_store: Callable[[], Store],
) -> None:
    """An attempt that a crash may have hidden is logged as failed, and says why; then one more."""

    async def run(world: World, step: Any) -> Any:
        async def once(ctx: Any) -> int:
            if world.lives == 1:
                await world.die("once", ctx.attempt)
            world.starts.append(("once", ctx.attempt))
            return int(ctx.attempt)

        return await step.do("once", fast(1), once)

    world, end = await live_on(make_store, run)

    assert [("once", 1), ("once", 2)] == world.starts
    assert 2 == end.output
    assert ["step_started", "attempt_started", "attempt_errored"] == [
        event.type for event in end.events if event.step == "once-1"
    ][:3]
    [message] = end.failed()
    assert "attempt 1 of step once-1 may have been interrupted" in message


async def test_sleep_until_whose_time_passes_while_nobody_lives(
    make_store: Callable[[], Store],
) -> None:
    """A time that was to come when `sleep_until` was first called is no mistake after a crash."""

    async def run(world: World, step: Any) -> str:
        async def ready() -> int:
            return 1

        await step.do("ready", ready)
        when = datetime.now(UTC) + timedelta(hours=1 if world.lives == 1 else -1)
        if world.lives == 1:
            asyncio.get_running_loop().call_soon(world.kill)
        await step.sleep_until("until", when)
        return "slept"

    world, end = await live_on(make_store, run)

    assert ("slept", 2) == (end.output, world.lives)


@_LIMITS
async def test_killed_process(tmp_path: Path, limit: int) -> None:
    """A real process dies in the first turn: what goes on counts that start."""
    database = tmp_path / "well.db"
    died = await asyncio.create_subprocess_exec(
        sys.executable, str(_SCRIPT), str(database), str(limit),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert 9 == await died.wait()
    url = f"sqlite:///{database}"
    await let_lease_lapse(stores_of(url)(), Ref("Dying", "a"))
    env = {"starts": f"{database}.starts", "dies": False}
    async with stepwell.open(url, workflows=[Dying], env=env) as well:
        await error_of(await well.workflow(Dying).get("a"))

    starts = Path(env["starts"]).read_text().splitlines()
    assert limit + 1 == len(starts)
