"""The decorator form of `step.do`: steps that take the results of other steps.

Two ways to say on what a step depends, both from Cloudflare's Python Workers. Implicit: a
parameter named like a registered step gets that step's result. Explicit: `depends=[a, b]` maps by
position onto the parameters. `ctx` is the step context wherever it stands.

A dependency is its own step, resolved before the dependent starts. Results are remembered per run
for dependency resolution only: a dependency that is done is reused, one in flight is shared, a
failed one is not remembered. Calling a step yourself twice runs two steps.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from stepwell.authoring.call import DoCall


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
        self._resolved: asyncio.Future[Any] | None = None
        self.__name__ = getattr(call.callback, "__name__", call.name)
        self.__doc__ = call.callback.__doc__
        self.__wrapped__ = call.callback

    def __repr__(self) -> str:
        return f"<step {self._call.name!r}>"

    async def __call__(self) -> Any:
        """Resolve the dependencies, then run the step."""
        slots = self._slots()
        steps = [slot for slot in slots if slot is not None]
        if self._is_concurrent:
            values = iter(await asyncio.gather(*(step.as_dependency() for step in steps)))
        else:
            values = iter([await step.as_dependency() for step in steps])
        arguments = tuple(next(values) for slot in slots if slot is not None)
        index = slots.index(None) if None in slots else -1
        result = await self._run(replace(self._call, arguments=arguments, context_index=index))
        if self._resolved is None or self._resolved.done():
            self._resolved = asyncio.get_running_loop().create_future()
            self._resolved.set_result(result)
        return result

    async def as_dependency(self) -> Any:
        """Give the result for a dependent: remembered, shared while in flight, or run now."""
        if self._resolved is None:
            # A task of its own, so that one impatient dependent does not cancel it for the others.
            self._resolved = asyncio.ensure_future(self())
            self._resolved.add_done_callback(self._forget_failure)
        return await asyncio.shield(self._resolved)

    def _forget_failure(self, done: asyncio.Future[Any]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._resolved = None

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
