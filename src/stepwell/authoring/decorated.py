"""The decorator form of `step.do`: steps that take the results of other steps.

Two ways to say on what a step depends, both from Cloudflare's Python Workers. Implicit: a
parameter named like a registered step gets that step's result. Explicit: `depends=[a, b]` maps by
position onto the parameters. `ctx` is the step context wherever it stands.

A dependency is its own step, resolved before the dependent starts. Results are remembered per run
for dependency resolution only: a dependency that is done is reused, one in flight is shared, a
failed one is not remembered. Calling a step yourself twice runs two steps; a dependent that comes
while your call is in flight shares it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from stepwell.authoring.call import DoCall
from stepwell.errors import WorkflowFatalError


class StepRegistry:
    """The decorated steps of one run by name; the last one registered under a name counts."""

    __slots__ = ("_by_name",)

    def __init__(self) -> None:
        self._by_name: dict[str, DecoratedStep] = {}

    def register(self, name: str, step: DecoratedStep) -> None:
        """Make a step findable as a dependency."""
        self._by_name[name] = step

    def find(self, name: str) -> DecoratedStep | None:
        """Give the step registered under this name."""
        return self._by_name.get(name)


class DecoratedStep:
    """A function that became a step; awaiting a call of it runs the step."""

    def __init__(
        self,
        call: DoCall,
        run: Callable[[DoCall], Coroutine[Any, Any, Any]],
        registry: StepRegistry,
        *,
        depends: list[Any] | None,
        is_concurrent: bool,
    ) -> None:
        self._call = call
        self._run = run
        self._registry = registry
        self._depends = depends
        self._is_concurrent = is_concurrent
        self._shared: _Shared | None = None
        self.__name__ = getattr(call.callback, "__name__", call.name)
        self.__doc__ = call.callback.__doc__
        self.__wrapped__ = call.callback

    def __repr__(self) -> str:
        return f"<step {self._call.name!r}>"

    def __await__(self) -> Any:
        """Refuse: the function was awaited, and not a call of it."""
        raise WorkflowFatalError(
            f"step {self._call.name!r} is a decorated function; await a call of it, as in "
            f"await {self.__name__}(), or give name and callable: await step.do(name, callable)"
        )

    async def __call__(self, *given: Any, **named: Any) -> Any:
        """Resolve the dependencies, then run the step."""
        if given or named:
            raise TypeError(
                f"step {self._call.name!r} was called with arguments, and takes none: its "
                "parameters are filled with the results of the steps that it depends on; "
                "use a variable of the function around it, or step.do(name, callable)"
            )
        return await self._start(is_latest=True).result()

    async def as_dependency(self) -> Any:
        """Give the result for a dependent: remembered, shared while in flight, or run now."""
        return await (self._shared or self._start(is_latest=False)).result()

    def _start(self, *, is_latest: bool) -> _Shared:
        """Run the step in a task of its own, for as many as will wait for it."""
        shared = _Shared(self._run_once())
        if self._shared is None:
            self._shared = shared

        def ended(done: asyncio.Future[Any]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._shared = shared if is_latest else self._shared or shared
            elif self._shared is shared:
                self._shared = None

        shared.task.add_done_callback(ended)
        return shared

    async def _run_once(self) -> Any:
        slots = self._slots()
        steps = [slot for slot in slots if slot is not None]
        if self._is_concurrent:
            values = iter(await asyncio.gather(*(step.as_dependency() for step in steps)))
        else:
            values = iter([await step.as_dependency() for step in steps])
        arguments = tuple(next(values) for slot in slots if slot is not None)
        index = slots.index(None) if None in slots else -1
        return await self._run(replace(self._call, arguments=arguments, context_index=index))

    def _slots(self) -> list[DecoratedStep | None]:
        """For each parameter the step it depends on; None for the context."""
        parameters = list(inspect.signature(self._call.callback).parameters)
        if self._depends is None:
            return [self._implicit(name) for name in parameters]
        wanted = [name for name in parameters if name != "ctx"]
        if len(wanted) != len(self._depends):
            raise TypeError(
                f"step {self._call.name!r} has {len(wanted)} parameters besides ctx "
                f"but depends on {len(self._depends)} steps; give one step for each"
            )
        for step in self._depends:
            if not isinstance(step, DecoratedStep):
                raise TypeError(
                    f"step {self._call.name!r} depends on {step!r}, which is no function "
                    "decorated with @step.do"
                )
        given = iter(self._depends)
        return [None if name == "ctx" else next(given) for name in parameters]

    def _implicit(self, name: str) -> DecoratedStep | None:
        found = self._registry.find(name)
        if found is not None or name == "ctx":
            return found
        raise TypeError(
            f"parameter {name!r} of step {self._call.name!r} is neither ctx nor the name of a step "
            "decorated before; rename it, or pass depends=[…]"
        )


class _Shared:
    """One run of a step, for whoever waits for it; once nobody does, it is cancelled."""

    __slots__ = ("_waiting", "task")

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self.task = asyncio.get_running_loop().create_task(work)
        self._waiting = 0

    async def result(self) -> Any:
        """Wait for it; one who is cancelled meanwhile does not cancel it for the others."""
        self._waiting += 1
        try:
            # Not asyncio.shield, which hides from the engine that its run waits for the task only.
            await asyncio.wait([self.task])
        except asyncio.CancelledError:
            if self._waiting == 1:
                self.task.cancel()
                await asyncio.wait([self.task])
            raise
        finally:
            self._waiting -= 1
        return self.task.result()
