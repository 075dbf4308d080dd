"""The conformance kit of stores: every promise of `ports.store` and `model.command` as a case.

`exercise_store` runs them all, each on a fresh store. A test suite that wants one test for each
case takes them from `STORE_CASES`, which groups them by noun:

    @pytest.mark.parametrize("case", [one for group in STORE_CASES.values() for one in group])
    async def test_store(case: StoreCase) -> None:
        await run_store_case(case, MyStore)

A case raises AssertionError where the store breaks the promise that its docstring states.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import getdoc, iscoroutinefunction
from types import ModuleType

from stepwell.ports.store import Store
from stepwell.testing.cases import (
    batches,
    claim,
    create,
    events,
    fencing,
    finish,
    hibernate,
    leases,
    pause,
    reading,
    restart,
    streams,
    terminate,
)

StoreCase = Callable[[Store], Awaitable[None]]


def _cases_of(module: ModuleType) -> tuple[StoreCase, ...]:
    return tuple(
        value
        for name, value in vars(module).items()
        if iscoroutinefunction(value)
        and value.__module__ == module.__name__
        and not name.startswith("_")
    )


STORE_CASES: Mapping[str, tuple[StoreCase, ...]] = {
    "create": _cases_of(create),
    "claim": _cases_of(claim),
    "fencing": _cases_of(fencing),
    "events": _cases_of(events),
    "pause": _cases_of(pause),
    "terminate": _cases_of(terminate),
    "restart": _cases_of(restart),
    "hibernate": _cases_of(hibernate),
    "finish": _cases_of(finish),
    "leases": _cases_of(leases),
    "streams": _cases_of(streams),
    "reading": _cases_of(reading),
    "batches": _cases_of(batches),
}


async def exercise_store(make_store: Callable[[], Store]) -> None:
    """Hold a store to its contract.

    Args:
        make_store: gives a new and empty store, not yet opened, at each call.

    Raises:
        AssertionError: the store breaks a promise; a note names the case and the promise.
    """
    for group in STORE_CASES.values():
        for case in group:
            await run_store_case(case, make_store)


async def run_store_case(case: StoreCase, make_store: Callable[[], Store]) -> None:
    """Run one case on a fresh store, which is opened before and closed after.

    Raises:
        AssertionError: as `exercise_store`.
    """
    store = make_store()
    await store.open()
    try:
        await case(store)
    except AssertionError as error:
        name = f"{case.__module__.rpartition('.')[2]}.{getattr(case, '__name__', '?')}"
        error.add_note(f"case {name}: {getdoc(case)}")
        raise
    finally:
        await store.close()
