"""The same verbs without `await`, for scripts: an event loop in a thread does the work."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, TypeVar

from stepwell.client.client import Stepwell
from stepwell.client.desk import closed
from stepwell.client.handles import Workflow, WorkflowInstance
from stepwell.client.registry import WorkflowClass
from stepwell.client.views import InstanceState, StepView
from stepwell.core.events import LogEvent
from stepwell.errors import StepwellError

T = TypeVar("T")


class Portal:
    """A thread with an event loop, into which other threads hand coroutines."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stepwell-blocking")
        self._thread.start()
        # Between the question whether it is closed and the hand-over nothing may close it.
        self._lock = threading.Lock()
        self._is_closed = False

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the loop and give its result; an interrupt of the caller cancels it.

        Raises:
            StepwellError: the portal is closed, or was closed before there was a result.
        """
        with self._lock:
            if self._is_closed:
                work.close()  # else Python warns that nobody awaited it
                raise closed()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException as error:  # KeyboardInterrupt too: the work must not go on unseen
            future.cancel()
            if isinstance(error, CancelledError) and self._is_closed:
                raise closed() from None
            raise

    def iterate(self, source: AsyncIterator[T]) -> Iterator[T]:
        """Give what an async iterator gives."""
        while True:
            try:
                yield self.call(_next(source))
            except StopAsyncIteration:
                return

    def close(self) -> None:
        """End what still runs in the loop, the loop and its thread."""
        with self._lock:
            self._is_closed = True
        try:
            asyncio.run_coroutine_threadsafe(_end_tasks(), self._loop).result()
        finally:  # an interrupt of somebody who has no patience left
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


async def _end_tasks() -> None:
    """Cancel every task of the loop, as asyncio.run does: some thread may wait for it."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


async def _next(source: AsyncIterator[T]) -> T:
    return await anext(source)


class BlockingInstance:
    """`WorkflowInstance` without `await`."""

    def __init__(self, portal: Portal, inner: WorkflowInstance) -> None:
        self._portal = portal
        self._inner = inner

    def __repr__(self) -> str:
        return f"<BlockingInstance {self.workflow_name}/{self.id}>"

    @property
    def id(self) -> str:
        """Id of the instance."""
        return self._inner.id

    @property
    def workflow_name(self) -> str:
        """Name of its workflow."""
        return self._inner.workflow_name

    def status(self) -> InstanceState:
        """Tell how the instance is; see `WorkflowInstance.status`."""
        return self._portal.call(self._inner.status())

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end and give the output; see `WorkflowInstance.result`."""
        return self._portal.call(self._inner.result(timeout))

    def pause(self) -> None:
        """Ask for a pause; see `WorkflowInstance.pause`."""
        self._portal.call(self._inner.pause())

    def resume(self) -> None:
        """Go on after a pause; see `WorkflowInstance.resume`."""
        self._portal.call(self._inner.resume())

    def restart(self, from_step: str | Mapping[str, Any] | None = None) -> None:
        """Run again, from the top or from a step; see `WorkflowInstance.restart`."""
        self._portal.call(self._inner.restart(from_step))

    def terminate(self, *, rollback: bool = False) -> None:
        """End the instance; see `WorkflowInstance.terminate`."""
        self._portal.call(self._inner.terminate(rollback=rollback))

    def delete(self) -> None:
        """Remove the instance; see `WorkflowInstance.delete`."""
        self._portal.call(self._inner.delete())

    def send_event(self, type: str | Mapping[str, Any], payload: Any = None) -> None:
        """Send an event; see `WorkflowInstance.send_event`."""
        self._portal.call(self._inner.send_event(type, payload))

    def steps(self) -> list[StepView]:
        """Describe its steps; see `WorkflowInstance.steps`."""
        return self._portal.call(self._inner.steps())

    def events(self) -> list[LogEvent]:
        """Give the event log; see `WorkflowInstance.events`."""
        return self._portal.call(self._inner.events())

    def subscribe(
        self, cursor: int | None = None, types: Sequence[str] | None = None
    ) -> Iterator[LogEvent]:
        """Give the event log and then what happens, until the instance ends.

        See `WorkflowInstance.subscribe`.
        """
        return self._portal.iterate(self._inner.subscribe(cursor, types))


class BlockingWorkflow:
    """`Workflow` without `await`."""

    def __init__(self, portal: Portal, inner: Workflow) -> None:
        self._portal = portal
        self._inner = inner
        self.name = inner.name

    def __repr__(self) -> str:
        return f"<BlockingWorkflow {self.name!r}>"

    def create(
        self,
        id: str | None = None,
        params: Any = None,
        retention: Mapping[str, Any] | None = None,
    ) -> BlockingInstance:
        """Create an instance; see `Workflow.create`."""
        return self._wrap(self._portal.call(self._inner.create(id, params, retention)))

    def create_batch(self, items: Sequence[Mapping[str, Any]]) -> list[BlockingInstance]:
        """Create several instances; see `Workflow.create_batch`."""
        return [self._wrap(one) for one in self._portal.call(self._inner.create_batch(items))]

    def get(self, id: str) -> BlockingInstance:
        """Find an instance; see `Workflow.get`."""
        return self._wrap(self._portal.call(self._inner.get(id)))

    def delete_batch(self, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Delete several instances; see `Workflow.delete_batch`."""
        return self._portal.call(self._inner.delete_batch(ids))

    def list(
        self, status: str | None = None, limit: int = 25, cursor: str | None = None
    ) -> BlockingPage:
        """List instances, newest first; see `Workflow.list`."""
        page = self._portal.call(self._inner.list(status, limit, cursor))
        return BlockingPage([self._wrap(one) for one in page], page.cursor)

    def _wrap(self, inner: WorkflowInstance) -> BlockingInstance:
        return BlockingInstance(self._portal, inner)


class BlockingPage(list[BlockingInstance]):
    """One page of instances; `cursor` is None on the last one."""

    def __init__(self, items: Sequence[BlockingInstance], cursor: str | None) -> None:
        super().__init__(items)
        self.cursor = cursor


class BlockingStepwell:
    """`Stepwell` without `await`: `with stepwell.blocking.open(…) as well`."""

    def __init__(self, opened: AbstractAsyncContextManager[Stepwell]) -> None:
        self._opened = opened
        self._portal: Portal | None = None
        self._inner: Stepwell | None = None

    def __repr__(self) -> str:
        if self._inner is None:
            return "<BlockingStepwell, not open>"
        return f"<Blocking{repr(self._inner)[1:]}"

    def __enter__(self) -> Self:
        if self._portal is not None:
            raise StepwellError(
                "this client was entered before; call stepwell.blocking.open(…) for another"
            )
        self._portal = Portal()
        try:
            self._inner = self._portal.call(self._opened.__aenter__())
        except BaseException:  # whatever it was, the thread must not stay behind
            self._portal.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._portal is not None:
            try:
                self._portal.call(_leave(self._opened))
            finally:
                self._portal.close()

    def workflow(self, workflow: str | WorkflowClass) -> BlockingWorkflow:
        """Give the handle of a workflow, by its class or its name."""
        if self._portal is None or self._inner is None:
            raise StepwellError("it is not open: use `with stepwell.blocking.open(…) as well`")
        return BlockingWorkflow(self._portal, self._inner.workflow(workflow))


async def _leave(opened: AbstractAsyncContextManager[Stepwell]) -> None:
    await opened.__aexit__(None, None, None)
