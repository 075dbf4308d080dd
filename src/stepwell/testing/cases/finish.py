"""The end of an instance, and how long it is kept afterwards."""

from __future__ import annotations

from dataclasses import replace

from stepwell.model.command import Finish, PutChunk, SendEvent, Terminate
from stepwell.model.instance import InstanceStatus, Ref
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    ERROR_MS,
    REF,
    STEP,
    SUCCESS_MS,
    T0,
    WORKER,
    applied,
    create,
    creation,
    facts,
    finished,
    held,
    memory,
    row,
    same,
    take,
)

_ENDS = (InstanceStatus.COMPLETE, InstanceStatus.ERRORED, InstanceStatus.TERMINATED)


async def finished_instance_has_ended(store: Store) -> None:
    """Finish: terminal status, lease given back, ended now, facts stored, never ready again."""
    for status in _ENDS:
        ref = Ref("orders", status.value)
        lease = await held(store, ref)
        before = await row(store, ref)
        said = (Fact(FactKind.COMPLETED, T0 + 8, payload='"done"'),)
        await applied(store, Finish(lease=lease, status=status, facts=said), T0 + 8)

        after = await row(store, ref)
        expected = replace(
            before, status=status, owner=None, ended_ms=T0 + 8, modified_ms=after.modified_ms
        )
        same(expected, after)
        same(list(said), (await facts(store, ref))[1:])
    same(None, await store.next_ready_ms(["orders"]))
    same([], await store.signals(WORKER))


async def finish_deletes_pending_events(store: Store) -> None:
    """Events that no wait consumed go with the end; those of others stay."""
    lease = await held(store)
    await create(store, Ref("orders", "b"))
    for ref in (REF, REF, Ref("orders", "b")):
        await applied(store, SendEvent(ref=ref, type="go", payload="1"))
    await applied(store, Finish(lease=lease, status=InstanceStatus.COMPLETE, facts=()))

    same([], (await memory(store)).events)
    same(1, len((await memory(store, Ref("orders", "b"))).events))


async def rolled_back_instance_may_end_errored(store: Store) -> None:
    """A claimed rollingBack instance may end errored."""
    await create(store)
    await applied(store, Terminate(ref=REF, rollback=True))
    lease = await take(store)
    await applied(store, Finish(lease=lease, status=InstanceStatus.ERRORED, facts=()))

    same(InstanceStatus.ERRORED, (await row(store)).status)


async def retention_is_by_class_of_end(store: Store) -> None:
    """complete is kept for the success retention, errored and terminated for the error one."""
    for status in _ENDS:
        await finished(store, Ref("orders", status.value), status)

    same(0, await store.purge(now_ms=T0 + SUCCESS_MS - 1, limit=9))
    same(1, await store.purge(now_ms=T0 + SUCCESS_MS, limit=9))
    same(None, await store.find(Ref("orders", "complete")))
    same(0, await store.purge(now_ms=T0 + ERROR_MS - 1, limit=9))
    same(2, await store.purge(now_ms=T0 + ERROR_MS, limit=9))
    same(
        {}, {key: value for key, value in (await store.count_by_status("orders")).items() if value}
    )


async def purge_keeps_its_limit(store: Store) -> None:
    """At most `limit` instances are purged at a time."""
    for number in range(5):
        await finished(store, Ref("orders", str(number)))
    late = T0 + 10 * ERROR_MS

    same(
        [0, 2, 2, 1, 0], [await store.purge(now_ms=late, limit=limit) for limit in (0, 2, 2, 2, 2)]
    )


async def purge_removes_everything(store: Store) -> None:
    """A purged instance is gone with facts and chunks, and its id is free again."""
    lease = await held(store)
    put = PutChunk(lease=lease, step=STEP, ordinal=1, attempt=1, index=0, data=b"x")
    await applied(store, put)
    await applied(store, Finish(lease=lease, status=InstanceStatus.COMPLETE, facts=()))
    same(1, await store.purge(now_ms=T0 + SUCCESS_MS, limit=9))

    same({}, await store.load([lease.key]))
    same([], await store.read_facts(lease.key, after_id=0, limit=9))
    same(None, await store.read_chunk(lease.key, STEP, 1, 0))
    await applied(store, creation())
    same(True, (await row(store)).key > lease.key)


async def purge_leaves_the_living(store: Store) -> None:
    """An instance that has not ended is never purged."""
    await create(store, Ref("orders", "queued"))
    await held(store, Ref("refunds", "held"))

    same(0, await store.purge(now_ms=2**52, limit=9))


async def no_retention_is_at_once(store: Store) -> None:
    """A retention of 0 ends with the instance."""
    command = creation()
    retention = replace(command.retention, success_ms=0)
    await applied(store, replace(command, retention=retention))
    lease = await take(store)
    await applied(store, Finish(lease=lease, status=InstanceStatus.COMPLETE, facts=()))

    same(1, await store.purge(now_ms=T0, limit=9))
