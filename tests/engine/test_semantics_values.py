"""Results: which come back as they were, how large they may be, and which are hidden."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from stepwell.errors import PayloadTooLargeError
from tests.engine.support import Open, error_of, events_of, fast, flow, steps_of

DATA = bytes(range(256)) * 800


async def returned(open_well: Open, make: Any) -> Any:
    """Give what a step made, as `run` has it after a sleep: in one mode, after a replay."""

    async def run(event: Any, step: Any) -> Any:
        got = await step.do("make", make)
        await step.sleep("nap", 1)
        return got

    async with open_well([flow(run)]) as well:
        return await (await well.workflow("Flow").create()).result(10)


async def test_s011_a_large_byte_string(open_well: Open) -> None:
    """200 KB of bytes are a fine result, come back equal, and are stored in little more."""

    async def run(event: Any, step: Any) -> Any:
        got = await step.do("make", lambda: DATA)
        await step.sleep("nap", 1)
        return [type(got).__name__, got == DATA, len(got)]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert ["bytes", True, 204_800] == await instance.result(10)
        (shown,) = [event.output for event in await events_of(instance, "step_completed")]
        assert len(shown) < len(DATA) * 1.4


async def test_s012_a_large_byte_string_inside_an_object(open_well: Open) -> None:
    """200 KB of bytes inside a result are the same as at its top, type and order of keys too."""
    value = {"name": "a", "file": bytearray(DATA), "parts": [DATA[:9], (1, None)], "last": 1}

    got = await returned(open_well, lambda: value)

    assert value == got
    assert list(value) == list(got)
    assert bytearray is type(got["file"])
    assert [bytes, tuple] == [type(part) for part in got["parts"]]


async def test_s071_a_tight_array_of_200_kb(open_well: Open) -> None:
    """An array of numbers of 200 KB comes back as that array."""
    numbers = array("i", range(50_000))

    got = await returned(open_well, lambda: numbers)

    assert numbers == got
    assert array is type(got)


async def test_s072_only_the_bytes_of_a_view_count(open_well: Open) -> None:
    """A view of 200 KB on a buffer that is itself too large is a fine result."""
    buffer = bytearray(DATA * 8)

    async def run(event: Any, step: Any) -> Any:
        try:
            await step.do("whole", lambda: buffer)
        except PayloadTooLargeError:
            got = await step.do("view", lambda: memoryview(buffer)[: len(DATA)])
            return bytes(got) == DATA

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert True is await instance.result(10)
        assert ["view-1"] == await steps_of(instance, "step_completed")


async def test_s073_bytes_keep_their_type(open_well: Open) -> None:
    """Bytes, also none and zeros, are bytes for the next step."""

    async def run(event: Any, step: Any) -> Any:
        kinds = []
        for data in (b"", b"\x00\xff", bytearray(b"\x01")):
            got = await step.do("make", lambda data=data: data)
            kinds.append(await step.do("use", lambda got=got: [type(got).__name__, list(got)]))
        return kinds

    async with open_well([flow(run)]) as well:
        expected = [["bytes", []], ["bytes", [0, 255]], ["bytearray", [1]]]
        assert expected == await (await well.workflow("Flow").create()).result(10)


@pytest.mark.parametrize("kind", ["b", "B", "h", "H", "i", "q", "f", "d"])
async def test_s074_an_array_keeps_its_type(open_well: Open, kind: str) -> None:
    """An array of any kind of number comes back with that kind and those numbers."""
    numbers = array(kind, [1, 2, 100])

    got = await returned(open_well, lambda: numbers)

    assert numbers == got
    assert kind == got.typecode


async def test_s075_to_s076_views_inside_objects_and_arrays(open_well: Open) -> None:
    """Views inside objects, inside lists, at any depth, count with their own bytes only."""
    buffer = memoryview(bytearray(DATA * 8))
    value = {"view": buffer[5:9], "rows": [{"part": buffer[250:258]}, [{"deep": (buffer[:2],)}]]}

    got = await returned(open_well, lambda: value)

    assert DATA[5:9] == got["view"]
    assert DATA[250:258] == got["rows"][0]["part"]
    assert DATA[:2] == got["rows"][1][0]["deep"][0]


@pytest.mark.parametrize("size", ["too large", "fits"])
async def test_e26_the_size_of_a_result_is_bounded(open_well: Open, size: str) -> None:
    """A result above 1 MiB fails its only attempt, and says by how much; run can catch it."""
    calls: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        def make() -> str:
            calls.append(1)
            # Two quotation marks belong to the text.
            return "x" * (1024 * 1024 - (2 if size == "fits" else 1))

        try:
            return len(await step.do("make", fast(3), make))
        except PayloadTooLargeError as error:
            return str(error)

    async with open_well([flow(run)]) as well:
        result = await (await well.workflow("Flow").create()).result(10)

        assert [1] == calls
        if size == "fits":
            assert 1024 * 1024 - 2 == result
        else:
            assert "make-1" in result
            assert "1,048,577 bytes" in result


def sync_secret() -> str:
    """Run in a thread."""
    return "secret"


async def prompt_secret() -> str:
    """End in its first turn."""
    return "secret"


def flaky_secret(ctx: Any) -> str:
    """Succeed at the second attempt."""
    if ctx.attempt == 1:
        raise ValueError("not yet")
    return "secret"


@pytest.mark.parametrize("make", [sync_secret, prompt_secret, flaky_secret])
@pytest.mark.parametrize("rollback", [None, lambda: None])
async def test_s077_to_s078_sensitive_output_is_redacted(
    open_well: Open, make: Any, rollback: Any
) -> None:
    """The log, the steps and what is subscribed to hide it; the next step gets the real value."""

    async def run(event: Any, step: Any) -> Any:
        got = await step.do("make", fast(1, sensitive="output"), make, rollback=rollback)
        await step.sleep("nap", 1)
        return await step.do("use", lambda: len(got))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert len("secret") == await instance.result(10)
        first, _nap, last = await instance.steps()
        assert ["[REDACTED]", 6] == [first.output, last.output]
        log = [event.to_dict() async for event in instance.subscribe()]
        outputs = [event["output"] for event in log if event["type"] == "step_completed"]
        assert ["[REDACTED]", 6] == outputs
        assert "secret" not in str(log) + str(await instance.events())


async def test_s079_errors_of_a_sensitive_step_are_shown(open_well: Open) -> None:
    """The error of a sensitive step is in the log as it is, of the attempt and of the step."""

    async def run(event: Any, step: Any) -> Any:
        def fail() -> None:
            raise ValueError("wrong key")

        await step.do("make", fast(1), fail, sensitive="output")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        expected = {"name": "ValueError", "message": "wrong key"}

        assert expected == await error_of(instance)
        failed = await events_of(instance, "attempt_errored", "step_errored")
        assert [expected] * 3 == [event.error for event in failed]
        assert [expected] == [view.error for view in await instance.steps()]


async def test_sensitive_output_reaches_a_rollback_handler(open_well: Open) -> None:
    """What undoes a sensitive step gets its real output."""
    seen: list[Any] = []

    async def run(event: Any, step: Any) -> None:
        await step.do("make", sync_secret, sensitive="output", rollback=seen.append)
        raise ValueError("trigger")

    async with open_well([flow(run)]) as well:
        await error_of(await well.workflow("Flow").create())

        assert ["secret"] == [given.output for given in seen]
