"""Retention: how long an ended instance is kept, by how it ended and by who said so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepwell import InstanceNotFound
from stepwell.errors import InvalidRequest
from stepwell.model.limits import DAY_MS
from stepwell.ports.clock import TimerHandle
from stepwell.stores.memory import MemoryStore
from stepwell.stores.sqlite.store import SQLiteStore
from tests.engine.support import Open, error_of, flow, until

T0 = 1_800_000_000_000


class StillClock:
    """A clock that moves only when it is told to; timers take the time that they would take."""

    def __init__(self) -> None:
        self.ms = T0

    def now_ms(self) -> int:
        """Give the time."""
        return self.ms

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> TimerHandle:
        """Call back after what is left until then."""
        seconds = max(when_ms - self.ms, 0) / 1000
        return asyncio.get_running_loop().call_later(seconds, callback)


class _TellsOfPurges:
    """A store that says when a worker has purged it."""

    has_purged: asyncio.Event

    async def purge(self, *, now_ms: int, limit: int) -> int:
        """Purge, and say so."""
        count: int = await super().purge(now_ms=now_ms, limit=limit)  # type: ignore[misc]
        self.has_purged.set()
        return count


class _Memory(_TellsOfPurges, MemoryStore):
    pass


class _SQLite(_TellsOfPurges, SQLiteStore):
    pass


class Shelf:
    """One database, its clock, and the wells opened on it one after the other."""

    def __init__(self, open_well: Open, url: str) -> None:
        self._open_well = open_well
        self._url = url
        self._memory = _Memory()
        self.clock = StillClock()

    def open(self, workflow: Any, **options: Any) -> Any:
        """Open a well on it, with a store that nobody has purged yet."""
        path = Path(self._url.removeprefix("sqlite:///"))
        self.store = self._memory if ":memory:" in self._url else _SQLite(path)
        self.store.has_purged = asyncio.Event()
        fixed = {"store": self.store, "clock": self.clock, "lease_seconds": 0.1}
        return self._open_well([workflow], **{**fixed, **options})

    async def kept(self, workflow: Any, after_ms: int) -> list[str]:
        """Tell what is there at this time after T0, once a worker has purged."""
        self.clock.ms = T0 + after_ms
        async with self.open(workflow) as well:
            await self.store.has_purged.wait()
            return sorted(instance.id for instance in await well.workflow("Flow").list())


@pytest.fixture
def shelf(open_well: Open, url: str) -> Shelf:
    """Give a database whose time stands still."""
    return Shelf(open_well, url)


async def work(event: Any, step: Any) -> Any:
    """End as the params say."""
    match event.payload:
        case "complete":
            return await step.do("work", lambda: "done")
        case "error":
            raise ValueError("broken")
        case _:
            return (await step.wait_for_event("wait", type="go", timeout="365 days")).payload


async def create_each(well: Any, **options: Any) -> None:
    """Create one instance that completes, one that fails, one terminated, and one that waits."""
    workflow = well.workflow("Flow")
    await (await workflow.create(id="complete", params="complete", **options)).result(10)
    await error_of(await workflow.create(id="errored", params="error", **options))
    ended = await workflow.create(id="terminated", params="wait", **options)
    await until(ended, "wait_started")
    await ended.terminate()
    await until(await workflow.create(id="waiting", params="wait", **options), "wait_started")


DAYS = {"success_retention": "1 day", "error_retention": "3 days"}
ALL = ["complete", "errored", "terminated", "waiting"]


async def test_b7_success_and_error_are_kept_for_their_own_time(shelf: Shelf) -> None:
    """A complete instance goes first, errored and terminated ones later, a living one never."""
    async with shelf.open(flow(work)) as well:
        await create_each(well, retention=DAYS)

    assert ALL == await shelf.kept(flow(work), DAY_MS - 1)
    assert ALL[1:] == await shelf.kept(flow(work), DAY_MS)
    assert ALL[1:] == await shelf.kept(flow(work), 3 * DAY_MS - 1)
    assert ["waiting"] == await shelf.kept(flow(work), 3 * DAY_MS)
    assert ["waiting"] == await shelf.kept(flow(work), 300 * DAY_MS)


async def test_success_may_be_kept_longer_than_errors(shelf: Shelf) -> None:
    """The two times do not depend on each other."""
    async with shelf.open(flow(work)) as well:
        await create_each(well, retention={"successRetention": "3 days", "errorRetention": 1000})

    assert ["complete", "waiting"] == await shelf.kept(flow(work), 1000)
    assert ["waiting"] == await shelf.kept(flow(work), 3 * DAY_MS)


async def test_what_nobody_says_is_30_days(shelf: Shelf) -> None:
    """Without any retention of its own an instance is kept for 30 days, however it ended."""
    async with shelf.open(flow(work)) as well:
        await create_each(well)

    assert ALL == await shelf.kept(flow(work), 30 * DAY_MS - 1)
    assert ["waiting"] == await shelf.kept(flow(work), 30 * DAY_MS)


async def test_create_wins_over_open_and_open_over_the_class(shelf: Shelf) -> None:
    """Each says what it says: what `create` leaves out is taken from `open`, then the class."""
    declared = flow(work, retention={"success_retention": "2 days", "error_retention": "4 days"})
    given = {"Flow": {"success_retention": "1 day"}}
    async with shelf.open(declared) as well:
        for id_, params in (("class-ok", "complete"), ("class-error", "error")):
            await until_ended(await well.workflow("Flow").create(id=id_, params=params))
    async with shelf.open(declared, retention=given) as well:
        workflow = well.workflow("Flow")
        for id_, params in (("open-ok", "complete"), ("open-error", "error")):
            await until_ended(await workflow.create(id=id_, params=params))
        own = {"success_retention": "3 days"}
        items = [
            {"id": "own-ok", "params": "complete", "retention": own},
            {"id": "own-error", "params": "error", "retention": own},
        ]
        for instance in await workflow.create_batch(items):
            await until_ended(instance)

    errors = ["class-error", "open-error", "own-error"]
    assert sorted([*errors, "class-ok", "own-ok"]) == await shelf.kept(declared, DAY_MS)
    assert sorted([*errors, "own-ok"]) == await shelf.kept(declared, 2 * DAY_MS)
    assert errors == await shelf.kept(declared, 3 * DAY_MS)
    assert [] == await shelf.kept(declared, 4 * DAY_MS)


async def until_ended(instance: Any) -> None:
    """Wait until the instance has ended, in whichever way."""
    async for _ in instance.subscribe(types=[]):
        raise AssertionError


async def test_b4_an_id_is_free_again_after_its_retention(shelf: Shelf) -> None:
    """What is purged is gone whole: it is not found, and its id makes a new instance."""
    async with shelf.open(flow(work)) as well:
        await create_each(well, retention=DAYS)
    shelf.clock.ms = T0 + DAY_MS
    async with shelf.open(flow(work)) as well:
        await shelf.store.has_purged.wait()
        workflow = well.workflow("Flow")
        with pytest.raises(InstanceNotFound):
            await workflow.get("complete")
        again = await workflow.create(id="complete", params="complete")

        assert "done" == await again.result(10)
        types = [event.type for event in await again.events()]
        assert 1 == types.count("workflow_queued")
        assert 1 == types.count("step_completed")


async def test_restart_begins_the_retention_anew(shelf: Shelf) -> None:
    """An instance that was restarted lives, and is kept for its own time after its new end."""
    async with shelf.open(flow(work)) as well:
        instance = await well.workflow("Flow").create(id="a", params="wait", retention=DAYS)
        await instance.send_event("go", "first")
        assert "first" == await instance.result(10)
        await instance.restart()
        await until(instance, "wait_started")

    assert ["a"] == await shelf.kept(flow(work), 2 * DAY_MS)
    async with shelf.open(flow(work)) as well:
        instance = await well.workflow("Flow").get("a")
        await instance.send_event("go", "second")
        assert "second" == await instance.result(10)
    assert ["a"] == await shelf.kept(flow(work), 3 * DAY_MS - 1)
    assert [] == await shelf.kept(flow(work), 3 * DAY_MS)


@pytest.mark.parametrize(
    ("retention", "word"),
    [
        ({"success_retention": "366 days"}, "maximum"),
        ({"error_retention": -1}, "negative"),
        ({"error_retention": "for ever"}, "no duration"),
        ({"retention": "1 day"}, "error_retention"),
    ],
)
async def test_retention_that_breaks_a_rule(open_well: Open, retention: Any, word: str) -> None:
    """It is refused by `create`, which then stores nothing, by `open`, and of a class."""
    async with open_well([flow(work)]) as well:
        with pytest.raises(InvalidRequest, match=word):
            await well.workflow("Flow").create(id="a", retention=retention)
        assert [] == await well.workflow("Flow").list()
    with pytest.raises(InvalidRequest, match=word):
        async with open_well([flow(work)], retention={"Flow": retention}):
            pass
    with pytest.raises(InvalidRequest, match=word):
        async with open_well([flow(work, retention=retention)]):
            pass
