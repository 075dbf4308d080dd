"""`Stepwell`: what `stepwell.open` gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell.client.desk import Desk
from stepwell.client.handles import Workflow
from stepwell.client.registry import WorkflowClass, name_of
from stepwell.core.names import check_workflow_name
from stepwell.errors import WorkflowNotFound
from stepwell.model.instance import InstanceStatus


class Stepwell:
    """An open database of workflows; use it as `async with stepwell.open(…) as well`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def __repr__(self) -> str:
        names = ", ".join(sorted(self._desk.definitions))
        return f"<Stepwell of {names}>" if names else "<Stepwell without workflows>"

    def workflow(self, workflow: str | WorkflowClass) -> Workflow:
        """Give the handle of a workflow, by its class or its name.

        Raises:
            WorkflowNotFound: it is not among the workflows given to `open`. (With none given,
                any name is good: the workers that know it are elsewhere.)
            StepwellError: it is closed.
        """
        self._desk.check_open()
        given = self._name(workflow) if isinstance(workflow, type) else workflow
        name = check_workflow_name(given)
        if self._desk.definitions and name not in self._desk.definitions:
            known = ", ".join(sorted(self._desk.definitions))
            raise WorkflowNotFound(
                f"there is no workflow {name!r} here; there are: {known}. "
                "Give its class to stepwell.open(workflows=[…])"
            )
        return Workflow(self._desk, name)

    def _name(self, entrypoint: WorkflowClass) -> str:
        for name, definition in self._desk.definitions.items():
            if definition.entrypoint is entrypoint:
                return name
        return name_of(entrypoint)

    @property
    def workflows(self) -> Mapping[str, Any]:
        """The workflows given to `open`: name → class."""
        return {name: found.entrypoint for name, found in self._desk.definitions.items()}

    async def count_by_status(self, workflow: str) -> dict[InstanceStatus, int]:
        """Count a workflow's instances by status."""
        return await self._desk.store.count_by_status(workflow)
