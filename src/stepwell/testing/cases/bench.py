"""What cases are written with: short ways to bring a store into a state, and to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stepwell.model.command import (
    Append,
    Command,
    Create,
    DropChunks,
    EnterPause,
    Finish,
    Hibernate,
    Outcome,
    PutChunk,
    Release,
    RunCommand,
    SetStatus,
)
from stepwell.model.instance import Instance, InstanceStatus, Lease, Ref, Retention, TriggerSource
from stepwell.model.step import Fact, FactKind, StepKey, StepKind
from stepwell.ports.store import Memory, Store

T0 = 1_700_000_000_000
SUCCESS_MS = 5_000
ERROR_MS = 9_000
WORKER = "worker-1"
OTHER_WORKER = "worker-2"
REF = Ref("orders", "a")
STEP = StepKey(StepKind.DO, "charge", 1)
HOSTILE = (
    'it\'s "quoted" `twice` -- ; DROP TABLE instances; /* */',
    "back\\slash \\\\ \\n \\u0000 \\x00 %s {} :now ? $1 @p",
    "line\nbreak\r\n tab\t bell\x07 del\x7f \u2028 \u2029 \ufeff \u00a0",
    "żółć Ωmega 漢字 עברית 🧗🏽‍♀️ e\u0301 \U0010ffff",
    "null",
    "123",
    '{"a": [1, "\\u0000", "\\ud83d\\ude00"]}',
    " ",
)
MIB = 1024 * 1024


def same(expected: object, actual: object) -> None:
    """Claim that two values are equal, in a way that `python -O` does not take away."""
    if expected != actual:
        raise AssertionError(f"expected {_short(expected)}, got {_short(actual)}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 2_000 else f"{text[:2_000]}… ({len(text)} characters)"


def creation(ref: Ref = REF, params: str = "{}", detail: str | None = None) -> Create:
    """Give the command that creates an instance."""
    return Create(
        ref=ref,
        params=params,
        detail=detail,
        trigger=TriggerSource.API,
        retention=Retention(success_ms=SUCCESS_MS, error_ms=ERROR_MS),
    )


async def do(store: Store, command: Command, now_ms: int = T0) -> Outcome:
    """Apply one command; gives its outcome."""
    (outcome,) = await store.apply([command], now_ms)
    return outcome


async def applied(store: Store, command: Command, now_ms: int = T0) -> None:
    """Apply one command, which must be allowed."""
    same(Outcome.APPLIED, await do(store, command, now_ms))


async def create(store: Store, ref: Ref = REF, now_ms: int = T0) -> Instance:
    """Create an instance; gives its row."""
    await applied(store, creation(ref), now_ms)
    return await row(store, ref)


async def take(store: Store, ref: Ref = REF, *, worker: str = WORKER, now_ms: int = T0) -> Lease:
    """Claim whatever is ready in the instance's workflow; gives the lease of this instance."""
    claims = await store.claim(worker=worker, workflows=[ref.workflow], limit=1_000, now_ms=now_ms)
    leases = [claim.lease for claim in claims if claim.instance.ref == ref]
    same(1, len(leases))
    return leases[0]


async def held(store: Store, ref: Ref = REF, *, worker: str = WORKER, now_ms: int = T0) -> Lease:
    """Create an instance and claim it; gives the lease."""
    await create(store, ref, now_ms)
    return await take(store, ref, worker=worker, now_ms=now_ms)


async def finished(
    store: Store,
    ref: Ref = REF,
    status: InstanceStatus = InstanceStatus.COMPLETE,
    now_ms: int = T0,
) -> Instance:
    """Create an instance, claim it, and end it; gives its row."""
    lease = await held(store, ref, now_ms=now_ms)
    end = Fact(FactKind.COMPLETED, now_ms, payload="1")
    await applied(store, Finish(lease=lease, status=status, facts=(end,)), now_ms)
    return await row(store, ref)


async def row(store: Store, ref: Ref = REF) -> Instance:
    """Read an instance that exists."""
    instance = await store.find(ref)
    if instance is None:
        raise AssertionError(f"{ref} is missing")
    return instance


async def memory(store: Store, ref: Ref = REF) -> Memory:
    """Read the memory of an instance that exists."""
    key = (await row(store, ref)).key
    return (await store.load([key]))[key]


async def facts(store: Store, ref: Ref = REF) -> list[Fact]:
    """Read an instance's history, with every id set to 0."""
    return without_ids((await memory(store, ref)).facts)


async def kinds(store: Store, ref: Ref = REF) -> list[FactKind]:
    """Read of which kinds the facts of an instance are."""
    return [fact.kind for fact in await facts(store, ref)]


async def picture(store: Store, key: int) -> object:
    """Read all that a store tells of an instance, to see that it stayed as it was."""
    loaded = await store.load([key])
    chunks = [await store.read_chunk(key, STEP, 1, index) for index in range(3)]
    # Each case has few instances: a row is found among those of the workflow that cases use.
    rows = await store.list_instances(REF.workflow, status=None, before_key=None, limit=100)
    return [one for one in rows if one.key == key], loaded, chunks


def without_ids(found: Sequence[Fact]) -> list[Fact]:
    """Copy facts with every id set to 0."""
    return [replace(fact, id=0) for fact in found]


def step_fact(
    kind: FactKind, ordinal: int, step: StepKey = STEP, payload: str | None = None
) -> Fact:
    """Give a fact of a step."""
    return Fact(kind, T0, step=step, ordinal=ordinal, payload=payload)


def named(name: str) -> StepKey:
    """Give the key of the first `do` step of a name."""
    return StepKey(StepKind.DO, name, 1)


def run_commands(lease: Lease) -> list[RunCommand]:
    """Give one of each command that a run may send."""
    said = (step_fact(FactKind.STEP_RAN, 1, payload='"stale"'),)
    return [
        Append(lease=lease, facts=said),
        Hibernate(lease=lease, facts=said, wake_ms=T0 + 1),
        SetStatus(lease=lease, status=InstanceStatus.ROLLING_BACK, facts=said),
        EnterPause(lease=lease, facts=said),
        Finish(lease=lease, status=InstanceStatus.ERRORED, facts=said),
        Release(lease=lease, facts=said),
        PutChunk(lease=lease, step=STEP, ordinal=1, attempt=1, index=0, data=b"stale"),
        DropChunks(lease=lease, step=STEP),
    ]
