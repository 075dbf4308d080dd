"""Claiming: which instances, in which order, and never one twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from stepwell.model.command import Create, Delete, Hibernate, Pause, Release, Terminate
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.ports.store import Claim, Store
from stepwell.testing.cases.bench import (
    OTHER_WORKER,
    REF,
    T0,
    WORKER,
    applied,
    create,
    creation,
    finished,
    held,
    row,
    same,
    take,
)


async def claimed_instance_runs(store: Store) -> None:
    """A claim gives owner, the next epoch, status running and started_ms; nothing is ready then."""
    made = await create(store)
    claims = await store.claim(worker=WORKER, workflows=["orders"], limit=1, now_ms=T0 + 7)

    taken = replace(
        made,
        status=InstanceStatus.RUNNING,
        owner=WORKER,
        epoch=1,
        ready_ms=None,
        started_ms=T0 + 7,
        modified_ms=T0 + 7,
    )
    same([Claim(instance=taken, lease=Lease(made.key, WORKER, 1))], claims)
    same(taken, await row(store))


async def started_is_kept(store: Store) -> None:
    """A later claim raises the epoch again and keeps the first started_ms."""
    lease = await held(store, now_ms=T0)
    await applied(store, Release(lease=lease), T0 + 1)
    again = await take(store, now_ms=T0 + 2)

    same(lease.epoch + 1, again.epoch)
    same(T0, (await row(store)).started_ms)


async def only_what_is_ready_is_claimed(store: Store) -> None:
    """An instance is claimed from its ready_ms on, and not before."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 100))

    early = await store.claim(worker=WORKER, workflows=["orders"], limit=9, now_ms=T0 + 99)
    due = await store.claim(worker=WORKER, workflows=["orders"], limit=9, now_ms=T0 + 100)
    same([], early)
    same([lease.key], [claim.lease.key for claim in due])


async def oldest_is_claimed_first(store: Store) -> None:
    """Claims come in order of ready_ms, over all workflows asked for."""
    order = [("orders", 30), ("refunds", 10), ("orders", 20), ("refunds", 40), ("orders", 5)]
    for workflow, ready in order:
        await create(store, Ref(workflow, str(ready)), T0 + ready)
    claims = await store.claim(
        worker=WORKER, workflows=["orders", "refunds"], limit=9, now_ms=T0 + 35
    )

    same(["5", "10", "20", "30"], [claim.instance.id for claim in claims])


async def waking_comes_before_new(store: Store) -> None:
    """What has begun, and wakes or was handed back, is claimed before what is new, however late."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 9))
    await create(store, Ref("orders", "new"), T0 + 1)
    claims = await store.claim(worker=WORKER, workflows=["orders"], limit=1, now_ms=T0 + 9)
    same([lease.key], [claim.lease.key for claim in claims])

    claims = await store.claim(worker=WORKER, workflows=["orders"], limit=9, now_ms=T0 + 9)
    same(["new"], [claim.instance.id for claim in claims])


async def limit_is_kept(store: Store) -> None:
    """At most `limit` are claimed, the oldest; the rest stays for the next claim."""
    for number in (3, 1, 2):
        await create(store, Ref("orders", str(number)), T0 + number)
    claims = [
        await store.claim(worker=WORKER, workflows=["orders"], limit=limit, now_ms=T0 + 9)
        for limit in (0, 2, 2, 2)
    ]

    same([[], ["1", "2"], ["3"], []], [[one.instance.id for one in some] for some in claims])


async def limit_below_one_is_none(store: Store) -> None:
    """A limit below 1 gives, frees and deletes nothing; it does not mean "all"."""
    lease = await held(store, Ref("orders", "held"))
    await create(store)
    made = await finished(store, Ref("refunds", "ended"))
    late = made.modified_ms + 10**9
    for limit in (0, -1):
        same([], await store.claim(worker=WORKER, workflows=["orders"], limit=limit, now_ms=T0))
        same(0, await store.reap(now_ms=T0, limit=limit))
        same(0, await store.purge(now_ms=late, limit=limit))
        same([], await store.read_facts(lease.key, after_id=0, limit=limit))
        rows = await store.list_instances("orders", status=None, before_key=None, limit=limit)
        same([], rows)


async def workflow_may_be_named_twice(store: Store) -> None:
    """A workflow that is named twice is looked at once: as many are claimed, each one once."""
    for number in range(5):
        await create(store, Ref("orders", str(number)), T0 + number)
    claims = await store.claim(
        worker=WORKER, workflows=["orders", "orders", "refunds"], limit=4, now_ms=T0 + 9
    )

    same(["0", "1", "2", "3"], [claim.instance.id for claim in claims])
    same(T0 + 4, await store.next_ready_ms(["orders", "orders"]))


async def only_named_workflows_are_claimed(store: Store) -> None:
    """Only instances of the workflows asked for are claimed; of none, none."""
    await create(store, Ref("orders", "a"))
    await create(store, Ref("Orders", "a"))

    same([], await store.claim(worker=WORKER, workflows=[], limit=9, now_ms=T0))
    same([], await store.claim(worker=WORKER, workflows=["order"], limit=9, now_ms=T0))
    claims = await store.claim(worker=WORKER, workflows=["orders"], limit=9, now_ms=T0)
    same([Ref("orders", "a")], [claim.instance.ref for claim in claims])


async def nothing_is_claimed_twice(store: Store) -> None:
    """What is held is not claimed, also where many workers claim at once."""
    ids = [f"{number:02}" for number in range(40)]
    await store.apply([creation(Ref("orders", id_)) for id_ in ids], T0)
    claims = await asyncio.gather(
        *(
            store.claim(worker=f"w{number}", workflows=["orders"], limit=7, now_ms=T0)
            for number in range(8)
        )
    )

    same(ids, sorted(one.instance.id for some in claims for one in some))
    for number, some in enumerate(claims):
        same({f"w{number}"} if some else set(), {claim.lease.owner for claim in some})


async def what_cannot_run_is_not_claimed(store: Store) -> None:
    """Paused and finished instances are never claimed."""
    await finished(store, Ref("orders", "complete"))
    await create(store, Ref("orders", "terminated"))
    await applied(store, Terminate(ref=Ref("orders", "terminated")))
    lease = await held(store, Ref("orders", "paused"))
    await applied(store, Release(lease=lease))
    await applied(store, Pause(ref=Ref("orders", "paused")))

    later = T0 + 10**9
    same([], await store.claim(worker=WORKER, workflows=["orders"], limit=9, now_ms=later))
    same(None, await store.next_ready_ms(["orders"]))


async def rolling_back_keeps_its_status(store: Store) -> None:
    """A claim of a rollingBack instance leaves its status."""
    await create(store)
    await applied(store, Terminate(ref=REF, rollback=True))
    await take(store)

    same(InstanceStatus.ROLLING_BACK, (await row(store)).status)


async def next_ready_is_the_earliest(store: Store) -> None:
    """next_ready_ms is the smallest ready_ms of unheld instances of the workflows asked for."""
    same(None, await store.next_ready_ms(["orders"]))
    await create(store, Ref("orders", "late"), T0 + 50)
    await create(store, Ref("refunds", "early"), T0 + 10)

    same(T0 + 50, await store.next_ready_ms(["orders"]))
    same(T0 + 10, await store.next_ready_ms(["orders", "refunds"]))
    same(None, await store.next_ready_ms([]))
    await take(store, Ref("refunds", "early"), now_ms=T0 + 10)
    same(T0 + 50, await store.next_ready_ms(["orders", "refunds"]))
    await applied(store, Delete(ref=Ref("orders", "late")))
    same(None, await store.next_ready_ms(["orders", "refunds"]))


async def waiting_without_end_is_not_ready(store: Store) -> None:
    """A wake_ms of None makes an instance ready at no time."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=None, event_types=("go",)))

    same(None, await store.next_ready_ms(["orders"]))
    same([], await store.claim(worker=WORKER, workflows=["orders"], limit=9, now_ms=2**52))


async def wake_time_is_next_ready(store: Store) -> None:
    """A hibernating instance counts for next_ready_ms with its wake_ms."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 77))

    same(T0 + 77, await store.next_ready_ms(["orders"]))


async def claims_may_go_on_in_parallel_with_creation(store: Store) -> None:
    """Instances created while workers claim are claimed once each, sooner or later."""
    batches: list[list[Create]] = [
        [creation(Ref("orders", f"{batch}-{number}")) for number in range(5)] for batch in range(6)
    ]
    work = [store.apply(batch, T0) for batch in batches]
    claiming = [
        store.claim(worker=OTHER_WORKER, workflows=["orders"], limit=4, now_ms=T0) for _ in batches
    ]
    taken = (await asyncio.gather(asyncio.gather(*work), asyncio.gather(*claiming)))[1]
    rest = await store.claim(worker=WORKER, workflows=["orders"], limit=99, now_ms=T0)

    ids = [claim.instance.id for some in (*taken, rest) for claim in some]
    same(sorted(one.ref.id for batch in batches for one in batch), sorted(ids))
