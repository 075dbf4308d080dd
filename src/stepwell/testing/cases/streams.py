"""The pieces of byte streams that steps return."""

from __future__ import annotations

from stepwell.model.command import Delete, DropChunks, Finish, PutChunk
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.model.step import StepKey, StepKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    HOSTILE,
    MIB,
    REF,
    STEP,
    T0,
    applied,
    held,
    named,
    same,
)


def _put(lease: Lease, index: int, data: bytes, step: StepKey = STEP, attempt: int = 1) -> PutChunk:
    return PutChunk(lease=lease, step=step, ordinal=1, attempt=attempt, index=index, data=data)


async def piece_comes_back(store: Store) -> None:
    """A piece comes back byte for byte, empty ones and NUL bytes too; what is not there is None."""
    lease = await held(store)
    pieces = [b"", b"\x00\xff'\"\\", bytes(range(256)) * 4]
    for index, data in enumerate(pieces):
        await applied(store, _put(lease, index, data))

    found = [await store.read_chunk(lease.key, STEP, 1, index) for index in range(4)]
    same([*pieces, None], found)


async def pieces_are_kept_apart(store: Store) -> None:
    """Pieces are found by instance, kind, name, count, attempt and index."""
    lease = await held(store)
    other = await held(store, Ref("orders", "b"))
    steps = [
        STEP,
        STEP._replace(count=2),
        STEP._replace(name="Charge"),
        STEP._replace(kind=StepKind.ROLLBACK),
    ]
    places = [
        (who, step, attempt) for who in (lease, other) for step in steps for attempt in (1, 2)
    ]
    for number, (who, step, attempt) in enumerate(places):
        await applied(store, _put(who, 0, str(number).encode(), step, attempt))

    found = [await store.read_chunk(who.key, step, attempt, 0) for who, step, attempt in places]
    same([str(number).encode() for number in range(len(places))], found)


async def second_delivery_replaces(store: Store) -> None:
    """A piece that is delivered twice is stored once, as delivered last."""
    lease = await held(store)
    await applied(store, _put(lease, 0, b"old"))
    await applied(store, _put(lease, 0, b"new"))

    same(b"new", await store.read_chunk(lease.key, STEP, 1, 0))


async def dropped_pieces_are_gone(store: Store) -> None:
    """DropChunks removes a step's pieces of all attempts, and those of no other step."""
    lease = await held(store)
    other = await held(store, Ref("orders", "b"))
    for attempt in (1, 2):
        await applied(store, _put(lease, 0, b"x", attempt=attempt))
    await applied(store, _put(lease, 0, b"kept", named("other")))
    await applied(store, _put(lease, 0, b"kept", STEP._replace(count=2)))
    await applied(store, _put(other, 0, b"kept"))
    await applied(store, DropChunks(lease=lease, step=STEP))

    gone = [await store.read_chunk(lease.key, STEP, attempt, 0) for attempt in (1, 2)]
    same([None, None], gone)
    same(b"kept", await store.read_chunk(lease.key, named("other"), 1, 0))
    same(b"kept", await store.read_chunk(lease.key, STEP._replace(count=2), 1, 0))
    same(b"kept", await store.read_chunk(other.key, STEP, 1, 0))


async def pieces_outlive_the_run(store: Store) -> None:
    """A finished instance keeps its pieces; a deleted one does not."""
    lease = await held(store)
    await applied(store, _put(lease, 0, b"x"))
    await applied(store, Finish(lease=lease, status=InstanceStatus.COMPLETE, facts=()))
    same(b"x", await store.read_chunk(lease.key, STEP, 1, 0))
    await applied(store, Delete(ref=REF))

    same(None, await store.read_chunk(lease.key, STEP, 1, 0))


async def large_piece_comes_back(store: Store) -> None:
    """A piece of 1 MiB comes back byte for byte, for a step of any name."""
    lease = await held(store)
    data = bytes(range(256)) * (MIB // 256)
    for name in HOSTILE:
        step = named(name)
        await store.apply([_put(lease, 0, data, step), _put(lease, 1, b"end", step)], T0)

        same(True, data == await store.read_chunk(lease.key, step, 1, 0))
        same(b"end", await store.read_chunk(lease.key, step, 1, 1))
