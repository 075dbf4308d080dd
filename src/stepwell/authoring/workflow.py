"""The class that an author writes, and the event that starts it.

    class Onboarding(WorkflowEntrypoint[Env, Signup]):
        async def run(self, event: WorkflowEvent[Signup], step: WorkflowStep) -> dict:
            return await step.do("welcome", send_mail)

What must survive a crash is done in a step; the rest of `run` is done again at each replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic

from typing_extensions import TypeVar

from stepwell.authoring.step import WorkflowStep

Env = TypeVar("Env", default=Any)
Params = TypeVar("Params", default=Any)
Payload = TypeVar("Payload", covariant=True, default=Any)

# Cloudflare's spelling of the same fields, for code that moves between the two.
_CAMEL = {"instanceId": "instance_id", "workflowName": "workflow_name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowEvent(Generic[Payload]):
    """What started the instance; the same at every replay and after a restart.

    Attributes:
        payload: the params given at creation, validated to the declared type.
        timestamp: when the instance was created (UTC).
        instance_id: id of the instance.
        workflow_name: name under which the workflow is registered.
        schedule: always None: there are no cron schedules yet. Cloudflare's events have it.
    """

    payload: Payload
    timestamp: datetime
    instance_id: str
    workflow_name: str
    schedule: None = None

    def __getattr__(self, name: str) -> Any:
        """Answer Cloudflare's camelCase names too."""
        if name in _CAMEL:
            return getattr(self, _CAMEL[name])
        raise AttributeError(f"WorkflowEvent has no attribute {name!r}")

    def __getitem__(self, name: str) -> Any:
        """Answer item access, as Cloudflare's Python events do."""
        try:
            return getattr(self, name)
        except AttributeError:
            raise KeyError(name) from None


class WorkflowEntrypoint(Generic[Env, Params]):
    """Base class of every workflow: override `run`, whose return value is the output.

    Class attributes, each optional; the project file overrides them:
        name: the workflow's name (default: the class's name).
        limits: `{"steps": n}`, the most `do` steps of one instance.
        retention: `{"success_retention": …, "error_retention": …}`, durations.
        strict: True: an instance whose recorded steps the code no longer reaches is paused, and
            says which; nothing new of it runs. False: they are named in its last event.

    Attributes:
        env: bindings, variables and secrets of the project (or what `open(env=…)` was given).
        ctx: reserved; None outside a project.
    """

    name: ClassVar[str]
    limits: ClassVar[Mapping[str, int]] = {}
    retention: ClassVar[Mapping[str, Any]] = {}
    strict: ClassVar[bool] = False

    def __init__(self, ctx: Any, env: Env) -> None:
        self.ctx = ctx
        self.env = env

    async def run(self, event: WorkflowEvent[Params], step: WorkflowStep) -> Any:
        """Do the work, in steps. Must be overridden."""
        raise NotImplementedError(f"{type(self).__name__} has no run() of its own")
