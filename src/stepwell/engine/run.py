"""One run: the stages from claim to end, over the `Hold` that it has on its instance.

    start      decode params, make the workflow object, call its `run`
    steps      `engine.steps` answers each call from history or performs it
    end        complete, or roll back and fail; one write each

An instance that is rolling back when it is claimed is replayed in stub mode: nothing is executed,
the code only registers its rollback handlers again.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from datetime import UTC, datetime
from typing import Any

from stepwell.authoring.step import WorkflowStep
from stepwell.authoring.workflow import WorkflowEvent
from stepwell.core import payload
from stepwell.core.events import detail_text
from stepwell.core.replay import fold
from stepwell.core.shown import shown
from stepwell.engine.facts import error_detail, is_failure
from stepwell.engine.hold import Hold
from stepwell.engine.logs import log_instance
from stepwell.engine.parties import Keeper
from stepwell.engine.rollback import RollbackPhase
from stepwell.engine.services import Definition, Services
from stepwell.engine.states import RunState
from stepwell.engine.steps import Steps
from stepwell.engine.streams import stored_bytes
from stepwell.errors import RunDropped, WorkflowInternalError
from stepwell.model.instance import InstanceStatus
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Claim, Memory

_LOG = logging.getLogger("stepwell.engine")


class Run:
    """An instance that this process runs."""

    def __init__(
        self,
        claim: Claim,
        memory: Memory,
        *,
        definition: Definition,
        services: Services,
        keeper: Keeper,
    ) -> None:
        self.hold = Hold(
            claim,
            definition=definition,
            services=services,
            keeper=keeper,
        )
        self.hold.waits.store_mail(memory.events)
        self.history = fold(memory.facts)
        self.steps = Steps(self.hold, self.history, was_crashed=claim.instance.crashes > 0)
        self.hold.stored_bytes = stored_bytes(memory.facts)

    def start(self) -> asyncio.Task[None]:
        """Begin to run; the task ends when the run does."""
        loop = asyncio.get_running_loop()
        workflow, id_ = self.hold.instance.ref
        task = self.hold.task = loop.create_task(self._main(), name=f"stepwell {workflow}/{id_}")
        kind = FactKind.RUNNING if self.history.is_started else FactKind.STARTED
        log_instance(self.hold.instance.ref, "goes on" if self.history.is_started else "starts")
        self.hold.add_lazy(kind, Fact(kind, self.hold.now_ms()))
        return task

    async def _main(self) -> None:
        try:
            if self.hold.instance.crashes >= self.hold.services.limits.crashes_max:
                await self._give_up()
            elif self.hold.instance.status is InstanceStatus.ROLLING_BACK:
                await self._resume_rollback()
            else:
                await self._live()
        except (RunDropped, asyncio.CancelledError):
            self.hold.drop()
        except BaseException:
            was_over = self.hold.state is RunState.OVER
            self.hold.drop()
            if not was_over:  # else we cancelled it, and what user code makes of that is its own
                raise

    async def _give_up(self) -> None:
        """End an instance that kills its workers; nothing of it runs again, not even a rollback."""
        error = WorkflowInternalError(
            f"the worker died {self.hold.instance.crashes} times in a row while it ran this "
            "instance, without any progress; find what ends the process, then restart the instance"
        )
        fact = Fact(FactKind.ERRORED, self.hold.now_ms(), detail=error_detail(error))
        await self.hold.finish(InstanceStatus.ERRORED, fact)

    async def _live(self) -> None:
        try:
            output = await self._call_run()
            text = payload.encode(
                output,
                bytes_max=self.hold.services.limits.result_bytes_max,
                what=f"the output of workflow {self.hold.definition.name!r}",
            )
        except asyncio.CancelledError:
            if self._is_ended_from_outside():
                raise
            await self._fail(WorkflowInternalError("run() was cancelled from inside"))
        except BaseException as error:
            if not is_failure(error):
                raise
            await self._fail(error)
        else:
            await self._complete(text)

    async def _complete(self, text: str) -> None:
        if self.steps.strict is not None:
            await self.steps.strict.check_end()
        unreached = [key.label for key in self.steps.recorded.unreached()]
        detail = detail_text(unreached=unreached or None)
        fact = Fact(FactKind.COMPLETED, self.hold.now_ms(), payload=text, detail=detail)
        await self.hold.finish(InstanceStatus.COMPLETE, fact)
        what = "complete"
        if unreached:
            what += f", without steps that had run before the code was changed: {unreached}"
        log_instance(self.hold.instance.ref, what)

    def _is_ended_from_outside(self) -> bool:
        """Claim that somebody ends this task, e.g. asyncio.run at its end: it is only dropped."""
        task = asyncio.current_task()
        is_cancelled = task is not None and task.cancelling() > 0
        return self.hold.state is not RunState.LIVE or (is_cancelled and self.hold.keeper.is_ending)

    async def _call_run(self) -> Any:
        params = payload.decode(self.history.params)
        if not self.history.has_valid_params:
            params = self.hold.definition.validate(params)
        event: WorkflowEvent[Any] = WorkflowEvent(
            payload=params,
            timestamp=datetime.fromtimestamp(self.hold.instance.created_ms / 1000, UTC),
            instance_id=self.hold.instance.id,
            workflow_name=self.hold.definition.name,
        )
        workflow = self.hold.definition.entrypoint(None, self.hold.services.env)
        output: Any = workflow.run(event, WorkflowStep(self.steps))
        return await output if inspect.isawaitable(output) else output

    async def _fail(self, error: BaseException) -> None:
        await self.hold.waits.settle()
        if self.steps.strict is not None:
            await self.steps.strict.check_end()
        log_instance(self.hold.instance.ref, "failed", error=error)
        await RollbackPhase(self.hold, self.steps).after_failure(error)

    async def _resume_rollback(self) -> None:
        """Replay without executing anything, only to learn the handlers; then roll back."""
        self.steps.is_stub = True
        try:
            await self._call_run()
        except asyncio.CancelledError:
            if self._is_ended_from_outside():
                raise
        except BaseException as error:
            if not is_failure(error):
                raise
            ref = self.hold.instance.ref
            _LOG.debug("replay of %s/%s for its rollback ended with %s", *ref, shown(error))
        await RollbackPhase(self.hold, self.steps).resume()
