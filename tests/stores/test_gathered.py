"""Reads that share: each caller gets his own answer, from a read that began after he asked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from stepwell.errors import StoreBusy
from stepwell.stores.gathered import GatheredReads


class Shelf:
    """Reads that wait until they are let go."""

    def __init__(self) -> None:
        self.things: dict[str, int] = {}
        self.reads: list[list[str]] = []
        self.may_read = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, keys: Sequence[str]) -> Mapping[str, int]:
        self.reads.append(list(keys))
        found = {key: self.things[key] for key in keys if key in self.things}
        await self.may_read.wait()
        if self.error is not None:
            raise self.error
        return found


async def until_reads(shelf: Shelf, count: int) -> None:
    while len(shelf.reads) < count:  # noqa: ASYNC110  (a turn of the loop is all it takes)
        await asyncio.sleep(0)


async def test_callers_share_the_next_read() -> None:
    """Whoever asks while a read is under way shares the next one, each key read once."""
    shelf = Shelf()
    shelf.things = {"a": 1, "b": 2}
    reads = GatheredReads(shelf.read)
    first = reads.ask("a")
    await until_reads(shelf, 1)
    others = [reads.ask(key) for key in ("b", "a", "missing", "b")]
    shelf.may_read.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2, 1, None, 2]
    assert shelf.reads == [["a"], ["b", "a", "missing"]]


async def test_nobody_is_answered_from_before_he_asked() -> None:
    """A read that began earlier does not answer: it may have missed what came since."""
    shelf = Shelf()
    reads = GatheredReads(shelf.read)
    early = reads.ask("a")
    await until_reads(shelf, 1)
    shelf.things["a"] = 1
    late = reads.ask("a")
    shelf.may_read.set()
    assert await early is None
    assert await late == 1


async def test_failure_reaches_those_who_asked_and_nobody_else() -> None:
    """A failed read is told to all of its callers, and the next read is tried."""
    shelf = Shelf()
    shelf.error = StoreBusy("locked")
    shelf.may_read.set()
    reads = GatheredReads(shelf.read)
    for answer in (reads.ask("a"), reads.ask("b")):
        with pytest.raises(StoreBusy):
            await answer
    shelf.error = None
    shelf.things["a"] = 1
    assert await reads.ask("a") == 1


async def test_cancelled_caller_harms_nobody() -> None:
    """A caller that is cancelled takes no answer from others."""
    shelf = Shelf()
    shelf.things["a"] = 1
    reads = GatheredReads(shelf.read)
    gone, stays = reads.ask("a"), reads.ask("a")
    await until_reads(shelf, 1)
    gone.cancel()
    shelf.may_read.set()
    assert await stays == 1


def test_works_in_the_next_loop_too() -> None:
    """A loop that ended in the middle of a read leaves nothing that blocks the next."""

    async def ask_and_leave() -> None:
        reads.ask("a")
        await asyncio.sleep(0)

    async def ask_again() -> int | None:
        shelf.may_read.set()
        return await reads.ask("a")

    shelf = Shelf()
    shelf.things["a"] = 1
    reads = GatheredReads(shelf.read)
    asyncio.run(ask_and_leave())
    assert asyncio.run(ask_again()) == 1
