"""A workflow on `env`: may be handed out before Stepwell is open, and speaks both dialects.

    await env.ONBOARDING.create(id="a", params={"plan": "pro"})          # Stepwell's form
    await env.ONBOARDING.create({"id": "a", "params": {"plan": "pro"}})  # Cloudflare's form

Both do the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from stepwell.client.client import Stepwell
from stepwell.client.handles import InstancePage, Workflow
from stepwell.errors import InvalidRequest, StepwellError
from stepwell.runtime.bound_instance import BoundInstance

_LOG = logging.getLogger("stepwell.runtime")
_OPTIONS = ("id", "params", "retention")
# Cloudflare's option for choosing a region; there is one place here.
_IGNORED_OPTIONS = ("locationHint",)


class WellSlot:
    """Where bindings find the open Stepwell."""

    def __init__(self) -> None:
        self._well: Stepwell | None = None
        self._settled: asyncio.Event | None = None

    @asynccontextmanager
    async def hold(self, opening: AbstractAsyncContextManager[Stepwell]) -> AsyncIterator[Stepwell]:
        """Open Stepwell for as long as the context lasts.

        Its worker runs instances before opening has ended; what they ask of a binding waits.
        """
        self._settled = asyncio.Event()
        try:
            async with opening as self._well:
                self._settled.set()
                yield self._well
        finally:
            self._well = None
            self._settled.set()

    async def workflow(self, name: str) -> Workflow:
        """Give a workflow of the open Stepwell.

        Raises:
            StepwellError: it is not open.
        """
        if self._settled is not None:
            await self._settled.wait()
        if self._well is None:
            raise StepwellError(
                f"workflow {name!r} cannot be used now: Stepwell is not open. Use env inside of "
                "requests, workflows and the app's lifespan, not while the module is imported"
            )
        return self._well.workflow(name)


class BoundWorkflow:
    """The binding of one workflow."""

    def __init__(self, name: str, slot: WellSlot) -> None:
        self.name = name
        self._slot = slot

    def __repr__(self) -> str:
        return f"<BoundWorkflow {self.name!r}>"

    async def create(
        self,
        id: str | Mapping[str, Any] | None = None,
        params: Any = None,
        retention: Mapping[str, Any] | None = None,
    ) -> BoundInstance:
        """Create an instance; see `Workflow.create`. Options may come as one mapping instead.

        Raises:
            InstanceAlreadyExists: the id is taken.
            InvalidRequest: id, params or retention break a rule; nothing was stored.
        """
        options: dict[str, Any] = {"id": id, "params": params, "retention": retention}
        if isinstance(id, Mapping):
            if params is not None or retention is not None:
                raise InvalidRequest(
                    "create() takes either one mapping of options or keywords, not both"
                )
            options = _read_options(id, "create()")
        instance = await (await self._slot.workflow(self.name)).create(**options)
        _LOG.info("%s/%s created", self.name, instance.id)
        return BoundInstance(instance)

    async def create_batch(self, items: Sequence[Mapping[str, Any]]) -> list[BoundInstance]:
        """Create up to 100 instances and give those created; see `Workflow.create_batch`."""
        created = await (await self._slot.workflow(self.name)).create_batch(_read_batch(items))
        for instance in created:
            _LOG.info("%s/%s created", self.name, instance.id)
        return [BoundInstance(instance) for instance in created]

    async def get(self, id: str) -> BoundInstance:
        """Find an instance; see `Workflow.get`."""
        return BoundInstance(await (await self._slot.workflow(self.name)).get(id))

    async def delete_batch(self, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Delete up to 100 instances; see `Workflow.delete_batch`."""
        return await (await self._slot.workflow(self.name)).delete_batch(ids)

    async def list(
        self, status: str | None = None, limit: int = 25, cursor: str | None = None
    ) -> InstancePage:
        """List instances, newest first; see `Workflow.list`."""
        page = await (await self._slot.workflow(self.name)).list(status, limit, cursor)
        items: Any = [BoundInstance(instance) for instance in page]
        return InstancePage(items, page.cursor)

    createBatch = create_batch  # noqa: N815  (Cloudflare's spelling)
    deleteBatch = delete_batch  # noqa: N815  (Cloudflare's spelling)


def _read_batch(given: Any) -> Any:
    """Read the options of each item; what is no list of mappings, the client refuses."""
    if not isinstance(given, (list, tuple)):
        return given
    return [
        _read_options(item, f"item {index} of the batch") if isinstance(item, Mapping) else item
        for index, item in enumerate(given)
    ]


def _read_options(given: Mapping[str, Any], what: str) -> dict[str, Any]:
    unknown = sorted(set(given) - set(_OPTIONS) - set(_IGNORED_OPTIONS))
    if unknown:
        hint = "; did you mean params?" if "payload" in unknown else ""
        raise InvalidRequest(
            f"{what} has unknown options {', '.join(map(repr, unknown))}; "
            f"there are {', '.join(_OPTIONS)}{hint}"
        )
    return {name: given[name] for name in _OPTIONS if name in given}
