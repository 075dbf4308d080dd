"""Byte streams that steps return: stored in pieces, given again at replay, refused when wrong."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stepwell import Limits
from stepwell.model.instance import Ref
from stepwell.model.limits import STREAM_PIECE_BYTES
from stepwell.model.step import StepKey, StepKind
from stepwell.ports.store import Store
from tests.engine.support import Open, error_of, events_of, fast, flow, on_disk, store_of

PIECE = b"\x07" * STREAM_PIECE_BYTES


async def joined(stream: AsyncIterator[bytes]) -> bytes:
    """Give all of a stream."""
    return b"".join([chunk async for chunk in stream])


async def pieces_of(store: Store, step: str = "work") -> list[bytes]:
    """Give every stored piece of a step of the instance Flow/a, of whichever attempt."""
    row = await store.find(Ref("Flow", "a"))
    assert row is not None
    key = StepKey(StepKind.DO, step, 1)
    places = [(attempt, index) for attempt in range(1, 4) for index in range(8)]
    found = [await store.read_chunk(row.key, key, *place) for place in places]
    return [piece for piece in found if piece is not None]


def streaming(*chunks: Any) -> Any:
    """Make a callable that returns a stream of these chunks."""

    async def work() -> AsyncIterator[Any]:
        for chunk in chunks:
            yield chunk

    return work


async def caught_from(step: Any, work: Any, **options: Any) -> list[str]:
    """Run a step that must fail; give the class and the message of what came out of it."""
    try:
        await step.do("work", work, **options)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["no error"]


async def test_s057_a_stream_is_stored_once_and_replayed(open_well: Open, store: Store) -> None:
    """A stream can be read, is stored whole with its size, and its callable runs once."""
    chunks, calls = [b"a" * 200_000, b"b" * 100_000, b"c"], []

    async def run(event: Any, step: Any) -> Any:
        async def work() -> AsyncIterator[bytes]:
            calls.append(1)
            for chunk in chunks:
                yield chunk

        stream = await step.do("work", work)
        await step.sleep("nap", 1)
        return await joined(stream) == b"".join(chunks)

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert True is await instance.result(10)
        assert [1] == calls
        sizes = [event.stream for event in await events_of(instance, "step_completed")]
        assert [{"bytes": 300_001, "chunks": 2}] == sizes
        assert b"".join(chunks) == b"".join(await pieces_of(store))


async def test_a36_a_step_may_return_an_iterator_that_it_made(open_well: Open) -> None:
    """An async callable, and a sync one, may return a stream as they return any other value."""

    async def run(event: Any, step: Any) -> Any:
        async def work() -> Any:
            return streaming(b"async")()

        first = await step.do("async", work)
        made = streaming(b"sync")()
        second = await step.do("sync", lambda: made)
        return [await joined(first), await joined(second)]

    async with open_well([flow(run)]) as well:
        assert [b"async", b"sync"] == await (await well.workflow("Flow").create()).result(10)


async def test_s058_an_empty_stream_is_valid(open_well: Open) -> None:
    """A stream without any chunk has no bytes and no pieces, and can be read."""

    async def run(event: Any, step: Any) -> Any:
        return await joined(await step.do("work", streaming()))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert b"" == await instance.result(10)
        sizes = [event.stream for event in await events_of(instance, "step_completed")]
        assert [{"bytes": 0, "chunks": 0}] == sizes


async def test_s059_a_stream_in_use_or_used_up_is_refused(open_well: Open) -> None:
    """A stream that somebody else reads, or has read, fails its only attempt; `run` catches it."""

    async def run(event: Any, step: Any) -> Any:
        async def endless() -> AsyncIterator[bytes]:
            await asyncio.Event().wait()
            yield b""

        used_up, in_use = streaming(b"x")(), endless()
        await joined(used_up)
        reader = asyncio.ensure_future(anext(in_use))
        await asyncio.sleep(0)
        found = [
            await caught_from(step, lambda stream=stream: stream) for stream in (used_up, in_use)
        ]
        reader.cancel()
        return [[name, message.split()[1]] for name, message in found]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        expected = [["InvalidStepStreamError", f"work-{count}"] for count in (1, 2)]
        assert expected == await instance.result(10)
        assert 2 == len(await events_of(instance, "attempt_started"))


async def test_s060_a_text_chunk_is_refused(open_well: Open, store: Store) -> None:
    """A chunk of text fails the only attempt, names its type, and leaves no piece behind."""

    async def run(event: Any, step: Any) -> Any:
        return await caught_from(step, streaming(PIECE, "text"))

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        name, message = await instance.result(10)

        assert "UnsupportedStreamChunkError" == name
        assert "work-1 gave str" in message
        assert 1 == len(await events_of(instance, "attempt_errored"))
        assert [] == await pieces_of(store)


async def test_s061_a_chunk_of_17_mib_is_refused(open_well: Open, store: Store) -> None:
    """A chunk above 16 MiB fails the only attempt, tells both sizes, and leaves no piece."""

    async def run(event: Any, step: Any) -> Any:
        return await caught_from(step, streaming(PIECE, bytes(17 * 1024 * 1024)))

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        name, message = await instance.result(10)

        assert "OversizedStreamChunkError" == name
        assert str(17 * 1024 * 1024) in message
        assert str(16 * 1024 * 1024) in message
        assert 1 == len(await events_of(instance, "attempt_errored"))
        assert [] == await pieces_of(store)


async def test_a37_streams_share_what_an_instance_may_store(open_well: Open, store: Store) -> None:
    """What earlier steps have stored counts, also after a replay; then the stream is refused."""

    async def run(event: Any, step: Any) -> Any:
        await step.do("first", streaming(bytes(70)))
        await step.sleep("nap", 1)
        return await caught_from(step, streaming(bytes(70)))

    async with open_well([flow(run)], store=store, maxima=Limits(instance_bytes_max=100)) as well:
        instance = await well.workflow("Flow").create(id="a")
        name, message = await instance.result(10)

        assert "StreamOutputStorageLimitError" == name
        assert "100 bytes in all" in message
        assert [70, 0] == [len(b"".join(await pieces_of(store, s))) for s in ("first", "work")]


async def test_a37_an_uncaught_stream_error_fails_the_instance(open_well: Open) -> None:
    """Uncaught, such an error is the instance's; steps with a rollback are undone before."""
    undone: list[str] = []

    async def run(event: Any, step: Any) -> None:
        await step.do("a", lambda: 1, rollback=lambda seen: undone.append(seen.step_name))
        await step.do("work", streaming(5))

    async with open_well([flow(run)]) as well:
        error = await error_of(await well.workflow("Flow").create())

        assert "UnsupportedStreamChunkError" == error["name"]
        assert ["a-1"] == undone


async def test_s062_restart_removes_the_pieces_of_earlier_runs(
    open_well: Open, store: Store
) -> None:
    """After a restart no piece of the run before is left, where the step gives no stream now."""
    runs: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        async def work() -> Any:
            runs.append(1)
            return streaming(PIECE, b"end")() if len(runs) == 1 else "plain"

        result = await step.do("work", work)
        return result if isinstance(result, str) else "stream"

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        assert "stream" == await instance.result(10)
        assert [PIECE, b"end"] == await pieces_of(store)
        await instance.restart()

        assert "plain" == await instance.result(10)
        assert [] == await pieces_of(store)


async def test_e57_restart_from_a_step_keeps_earlier_streams(open_well: Open, store: Store) -> None:
    """A restart from a step keeps the stream of the step before it, and makes the others anew."""
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        async def work(ctx: Any) -> AsyncIterator[bytes]:
            calls.append(ctx.step.name)
            yield str(len(calls)).encode()

        return [await joined(await step.do(name, work)) for name in ("early", "late")]

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        assert [b"1", b"2"] == await instance.result(10)
        await instance.restart("late")

        assert [b"1", b"3"] == await instance.result(10)
        assert ["early", "late", "late"] == calls
        assert [[b"1"], [b"3"]] == [await pieces_of(store, s) for s in ("early", "late")]


async def test_s064_arrays_and_views_come_back_as_raw_bytes(open_well: Open) -> None:
    """Chunks that are arrays or views of numbers come back as their bytes, in order."""
    numbers = array("h", [1, -2, 300])

    async def run(event: Any, step: Any) -> Any:
        stream = await step.do("work", streaming(numbers, memoryview(numbers)[1:], bytearray(b"!")))
        chunks = [chunk async for chunk in stream]
        return [{type(chunk).__name__ for chunk in chunks}, b"".join(chunks)]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        expected = numbers.tobytes() + numbers[1:].tobytes() + b"!"
        assert [{"bytes"}, expected] == await instance.result(10)


@pytest.mark.parametrize(
    ("chunks", "shown"),
    [
        ([b"hel", b"lo"], "hello"),
        (["grün".encode()[:3], "grün".encode()[3:]], "grün"),
        ([b"\xff" * 300], "[300 bytes of binary data]"),
        ([b"ends in half a character \xc3"], "[26 bytes of binary data]"),
    ],
)
async def test_s067_and_s069_preview_of_a_stream(
    open_well: Open, chunks: list[bytes], shown: str
) -> None:
    """The log shows a short text as it is, and of a stream that is no UTF-8 only the size."""

    async def run(event: Any, step: Any) -> None:
        await step.do("work", streaming(*chunks))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)

        assert [shown] == [event.output for event in await events_of(instance, "step_completed")]
        assert [shown] == [view.output for view in await instance.steps()]


@pytest.mark.parametrize("character", ["x", "ü", "€", "🎈"])
async def test_s068_a_long_preview_is_cut(open_well: Open, character: str) -> None:
    """Of 2,048 characters the log shows the first 1,024, and says that there are more."""

    async def run(event: Any, step: Any) -> None:
        await step.do("work", streaming((character * 2048).encode()))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        (view,) = await instance.steps()

        assert view.output.startswith(character * 1024)
        note = view.output.removeprefix(character * 1024)
        assert "truncated" in note
        assert not note.startswith(character)
        assert str(len((character * 2048).encode())) in note


async def test_s070_a_stream_that_outlives_the_timeout(open_well: Open, store: Store) -> None:
    """Reading a stream belongs to its attempt: it times out, and leaves no piece behind."""

    async def run(event: Any, step: Any) -> Any:
        async def work() -> AsyncIterator[bytes]:
            yield PIECE
            await asyncio.Event().wait()

        return await caught_from(step, work, **fast(0, timeout=100))

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        name, message = await instance.result(10)

        assert "WorkflowTimeoutError" == name
        assert "100 ms" in message
        assert [] == await pieces_of(store)


async def test_a32_callable_and_stream_share_one_timeout(open_well: Open) -> None:
    """The timeout covers making the stream and reading it, both together."""

    async def run(event: Any, step: Any) -> Any:
        async def slow() -> AsyncIterator[bytes]:
            await asyncio.sleep(0.12)
            yield b"late"

        async def work() -> Any:
            await asyncio.sleep(0.12)
            return slow()

        return await caught_from(step, work, **fast(0, timeout=200))

    async with open_well([flow(run)]) as well:
        name, *_ = await (await well.workflow("Flow").create()).result(10)

        assert "WorkflowTimeoutError" == name


async def test_a32_thread_and_awaitable_share_one_timeout(open_well: Open) -> None:
    """A sync callable that gives something to await has one timeout for both parts."""

    async def run(event: Any, step: Any) -> Any:
        def work() -> Any:
            time.sleep(0.12)
            return asyncio.sleep(0.12)

        return await caught_from(step, work, **fast(0, timeout=200))

    async with open_well([flow(run)]) as well:
        name, *_ = await (await well.workflow("Flow").create()).result(10)

        assert "WorkflowTimeoutError" == name


async def test_a_stream_that_raises_half_way_is_retried(open_well: Open, store: Store) -> None:
    """What a failing stream had stored is gone before the next attempt, which gives the result."""
    left: list[list[bytes]] = []

    async def run(event: Any, step: Any) -> Any:
        async def work(ctx: Any) -> AsyncIterator[bytes]:
            left.append(await pieces_of(store))
            yield PIECE
            if ctx.attempt == 1:
                left.append(await pieces_of(store))
                raise ValueError("the line is cut")
            yield b"end"

        return await joined(await step.do("work", work, **fast(1))) == PIECE + b"end"

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert True is await instance.result(10)
        assert [[], [PIECE], []] == left
        assert [PIECE, b"end"] == await pieces_of(store)
        errors = [event.error["message"] for event in await events_of(instance, "attempt_errored")]
        assert ["the line is cut"] == errors


async def test_a_refused_stream_is_closed(open_well: Open) -> None:
    """What the author's stream does at its end is done before its step has failed."""
    done: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        async def work() -> AsyncIterator[Any]:
            try:
                yield "text"
            finally:
                await asyncio.sleep(0)
                done.append("closed")

        made = work()  # held here, so that nothing but the step closes it
        name, _ = await caught_from(step, lambda: made)
        return [name, *done]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert ["UnsupportedStreamChunkError", "closed"] == await instance.result(10)


async def test_a_stream_that_always_raises_leaves_nothing(open_well: Open, store: Store) -> None:
    """A stream that fails at its last attempt too leaves no piece; its error reaches `run`."""

    async def run(event: Any, step: Any) -> Any:
        async def work() -> AsyncIterator[bytes]:
            yield PIECE
            raise ValueError("the line is cut")

        return await caught_from(step, work, **fast(1))

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert ["ValueError", "the line is cut"] == await instance.result(10)
        assert 2 == len(await events_of(instance, "attempt_errored"))
        assert [] == await pieces_of(store)


@on_disk
@pytest.mark.parametrize("is_stream_still", [True, False])
async def test_a38_what_an_interrupted_stream_left_is_removed(
    open_well: Open, url: str, is_stream_still: bool
) -> None:
    """Pieces of an attempt that the process did not survive are gone once the next one ends."""
    began = asyncio.Event()

    async def run(event: Any, step: Any) -> Any:
        async def first() -> AsyncIterator[bytes]:
            yield PIECE
            began.set()
            await asyncio.Event().wait()

        async def second() -> Any:
            return streaming(b"new")() if is_stream_still else b"new"

        result = await step.do("work", second if began.is_set() else first, **fast(2))
        return await joined(result) if is_stream_still else result

    async with open_well([flow(run)], store=store_of(url), grace_seconds=0) as well:
        await well.workflow("Flow").create(id="a")
        await began.wait()
    store = store_of(url)
    async with open_well([flow(run)], store=store) as well:
        assert b"new" == await (await well.workflow("Flow").get("a")).result(10)
        assert ([b"new"] if is_stream_still else []) == await pieces_of(store)


@pytest.mark.parametrize("sensitive", ["output", None])
async def test_s080_a_sensitive_stream_is_redacted(open_well: Open, sensitive: str | None) -> None:
    """The log hides what a sensitive stream holds; `run` reads it."""

    async def run(event: Any, step: Any) -> Any:
        return await joined(await step.do("work", streaming(b"secret"), sensitive=sensitive)) == (
            b"secret"
        )

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert True is await instance.result(10)
        shown = "[REDACTED]" if sensitive else "secret"
        assert [shown] == [event.output for event in await events_of(instance, "step_completed")]
        assert [shown] == [view.output for view in await instance.steps()]
