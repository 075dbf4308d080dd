"""The client without `await`."""

from __future__ import annotations

from typing import Any

import pytest

import stepwell.blocking
from stepwell import InstanceErrored
from stepwell.errors import InvalidRequest, WorkflowNotFound
from tests.engine.support import flow


async def nothing(event: Any, step: Any) -> str:
    """Do nothing."""
    return "done"


def test_blocking_handles_show_what_they_are(url: str) -> None:
    """The repr of a handle names its workflow and id; that of the client, its workflows."""
    opened = stepwell.blocking.open(url, workflows=[flow(nothing), flow(nothing, "Other")])
    assert "<BlockingStepwell, not open>" == repr(opened)
    with opened as well:
        flows = well.workflow("Flow")

        assert "<BlockingStepwell of Flow, Other>" == repr(well)
        assert "<BlockingWorkflow 'Flow'>" == repr(flows)
        assert "<BlockingInstance Flow/a>" == repr(flows.create("a"))
        assert "<BlockingInstance Flow/a>" == repr(flows.get("a"))
        assert "Flow" == flows.get("a").workflow_name


class _Bad(Exception):
    """Its repr needs what is lost on the way through the store, and here already."""

    def __repr__(self) -> str:
        return f"Bad({self.code})"  # type: ignore[attr-defined]


def test_an_error_without_a_repr_is_given_as_the_others(url: str) -> None:
    """An error whose repr raises is the cause of InstanceErrored all the same."""

    async def run(event: Any, step: Any) -> None:
        raise _Bad("x")

    with stepwell.blocking.open(url, workflows=[flow(run)]) as well:
        instance = well.workflow("Flow").create("a")
        with pytest.raises(InstanceErrored, match=r"Flow/a ended with .*Bad") as caught:
            instance.result(10)

        assert "x" == str(caught.value.__cause__)
        assert {"name": "_Bad", "message": "x"} == instance.status().error


def test_a_misspelt_workflow_is_refused_at_once(url: str) -> None:
    """With workflows given, a name that none of them has is refused before anything is created."""
    with stepwell.blocking.open(url, workflows=[flow(nothing)]) as well:
        with pytest.raises(WorkflowNotFound, match="there are: Flow"):
            well.workflow("Flaw")
        with pytest.raises(InvalidRequest, match="Workflow name int"):
            well.workflow(5)  # type: ignore[arg-type]
