"""Bad input through the public API: refused with what to do; nothing is half-written."""

from __future__ import annotations

from typing import Any

import pytest

import stepwell
from stepwell import (
    InstanceAlreadyExists,
    InstanceNotFound,
    Limits,
    NotSerializableError,
    WorkflowEntrypoint,
    WorkflowError,
)
from stepwell.errors import InvalidRequest, PayloadTooLargeError, WorkflowNotFound
from tests.engine.support import Open, error_of, flow


async def nothing(event: Any, step: Any) -> str:
    """Do nothing."""
    return "done"


@pytest.mark.parametrize(
    "id", ["", "#invalid!", "-dash", " a", "\na", "a" * 101, "a.b", 5, "cf_" + "0" * 64]
)
async def test_s084_and_s113_bad_ids_create_nothing(open_well: Open, id: Any) -> None:
    """An id that breaks the rules is refused, and no instance exists."""
    async with open_well([flow(nothing)]) as well:
        with pytest.raises(InvalidRequest, match="Choose another id") as caught:
            await well.workflow("Flow").create(id=id)

        assert "instance.invalid_id" == caught.value.code
        assert [] == await well.workflow("Flow").list()


@pytest.mark.parametrize("params", [{"f": [lambda: 1]}, {"f": [object()]}])
async def test_params_that_cannot_be_stored(open_well: Open, params: Any) -> None:
    """Params that cannot be stored are refused by path, and no instance exists."""
    async with open_well([flow(nothing)]) as well:
        with pytest.raises(NotSerializableError) as caught:
            await well.workflow("Flow").create(id="a", params=params)

        assert "f" in caught.value.path
        assert "0" in caught.value.path
        assert [] == await well.workflow("Flow").list()


async def test_b2_too_large_params_create_nothing(open_well: Open) -> None:
    """Params above the maximum are refused, and no instance exists."""
    async with open_well([flow(nothing)], maxima=Limits(params_bytes_max=100)) as well:
        with pytest.raises(PayloadTooLargeError, match="Flow/a"):
            await well.workflow("Flow").create(id="a", params="x" * 200)

        assert [] == await well.workflow("Flow").list()


async def test_b4_duplicate_id(open_well: Open) -> None:
    """A second instance of one id is refused; the first goes on."""
    async with open_well([flow(nothing)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        with pytest.raises(InstanceAlreadyExists, match="'a'"):
            await well.workflow("Flow").create(id="a")

        assert "done" == await instance.result(10)


async def test_s096_to_s097_batches(open_well: Open) -> None:
    """A batch gives its instances in order and skips taken ids; a bad item stores none."""
    async with open_well([flow(nothing)]) as well:
        flows = well.workflow("Flow")
        made = await flows.create_batch([{"id": id_} for id_ in ("c", "a", "b")])
        assert ["c", "a", "b"] == [instance.id for instance in made]
        assert [] == await flows.create_batch([{"id": "a"}])
        for batch in ([], [{"id": "x"}, {"id": "#"}], [{"id": "x"}, {"idd": "y"}], "abc"):
            with pytest.raises(InvalidRequest):
                await flows.create_batch(batch)  # type: ignore[arg-type]
        with pytest.raises(InstanceNotFound, match="'x'"):
            await flows.get("x")


async def test_s091_to_s095_delete_batch(open_well: Open) -> None:
    """DeleteBatch tells what it deleted and what was missing, each position for itself."""
    async with open_well([flow(nothing)]) as well:
        flows = well.workflow("Flow")
        await flows.create(id="a")
        answer = await flows.delete_batch(["none", "a", "none"])

        assert [{"id": "a"}] == answer["deleted"]
        assert [10400, 10400] == [error["code"] for error in answer["errors"]]
        for ids in ([], ["a"] * 101, ["a", "!"]):
            with pytest.raises(WorkflowError):
                await flows.delete_batch(ids)


@pytest.mark.parametrize("type_", ["", "a.b", "a b", "x" * 101, 5])
async def test_a_bad_event_type_is_refused(open_well: Open, type_: Any) -> None:
    """An event type that breaks the rules is refused on both sides."""

    async def run(event: Any, step: Any) -> None:
        await step.wait_for_event("wait", type_)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        with pytest.raises(InvalidRequest, match="Choose another type"):
            await instance.send_event(type_)
        assert "workflow.invalid_event_type" in (await error_of(instance))["message"]


@pytest.mark.parametrize("name", ["a\0b", "a\nb", "x" * 257, 5, None])
async def test_s117_bad_step_names(open_well: Open, name: Any) -> None:
    """A step name that breaks the rules fails the call, naming the fault."""

    async def run(event: Any, step: Any) -> None:
        await step.sleep(name, 1)

    async with open_well([flow(run)]) as well:
        error = await error_of(await well.workflow("Flow").create())

        assert "WorkflowFatalError" == error["name"]
        assert "Step name" in error["message"]


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"retries": {"limit": 1}}, "delay"), ({"retries": {"delay": 1}}, "limit"),
        ({"retries": {"limit": 1, "delay": 1, "bakoff": 1}}, "backoff"),
        ({"retires": {}}, "retries"),
        ({"retries": {"limit": 1, "delay": "5 fortnights"}}, "units"), ({"timeout": 0}, "timeout"),
        ({"timeout": "0"}, "timeout"), ({"sensitive": "all"}, "output"),
        ({"sensitive": True}, "output"), ({"retries": {"limit": -1, "delay": 1}}, "limit"),
        ({"retries": {"limit": 1, "delay": -1}}, "negative"),
    ],
)  # fmt: skip
async def test_s119_bad_configs(open_well: Open, config: Any, word: str) -> None:
    """A config that breaks the rules fails the call before anything runs, and names the key."""

    async def run(event: Any, step: Any) -> None:
        await step.do("work", config, lambda: 1)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        error = await error_of(instance)

        assert "WorkflowFatalError" == error["name"]
        assert word in error["message"]
        assert [] == await instance.steps()


@pytest.mark.parametrize("when", [float("inf"), float("nan"), "soon", None, 1e300])
async def test_a12_bad_times_to_sleep_until(open_well: Open, when: Any) -> None:
    """What is no time, or lies more than 365 days ahead, is refused with the step's name."""

    async def run(event: Any, step: Any) -> None:
        await step.sleep_until("morning", when)

    async with open_well([flow(run)]) as well:
        error = await error_of(await well.workflow("Flow").create())

        assert "WorkflowFatalError" == error["name"]
        assert "'morning'" in error["message"]


async def test_results_that_cannot_be_stored_name_the_path(open_well: Open) -> None:
    """Such a result fails its only attempt, catchable, with step, path and type."""
    calls: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        def work() -> Any:
            calls.append(1)
            return {"rows": [1, object()]}

        try:
            await step.do("work", work)
        except NotSerializableError as error:
            return [error.path, error.type_name, "work-1" in str(error)]

    async with open_well([flow(run)]) as well:
        path, type_name, has_step = await (await well.workflow("Flow").create()).result(10)

        assert "rows" in path
        assert ["object", True, [1]] == [type_name, has_step, calls]


async def test_unknown_workflow_and_instance(open_well: Open) -> None:
    """An unknown workflow's message lists the known ones; an unknown instance's names it."""
    async with open_well([flow(nothing)]) as well:
        with pytest.raises(WorkflowNotFound, match="there are: Flow"):
            well.workflow("Flaw")
        with pytest.raises(InstanceNotFound, match="'nobody'"):
            await well.workflow("Flow").get("nobody")


async def test_bad_workflow_classes(open_well: Open) -> None:
    """No run, two of one name, no workflow class, a bad name: each is refused at open."""

    class NoRun(WorkflowEntrypoint[Any, Any]):
        pass

    cases: list[tuple[Any, str]] = [
        ([NoRun], "NoRun"), ([flow(nothing), flow(nothing)], "another name"), ([int], "int"),
        ({"-bad": flow(nothing)}, "Choose another name"), ({"x" * 65: flow(nothing)}, "name"),
    ]  # fmt: skip
    for workflows, word in cases:
        with pytest.raises(InvalidRequest, match=word):
            async with open_well(workflows):
                pass


async def test_unknown_options_and_urls() -> None:
    """An unknown option or URL is refused at open, with those that exist."""
    with pytest.raises(InvalidRequest, match="max_running"):
        async with stepwell.open("sqlite://:memory:", max_runing=1):
            pass
    with pytest.raises(InvalidRequest, match="sqlite:///"):
        async with stepwell.open("mysql://here"):
            pass


async def test_a6_and_a18_step_without_callable_or_rollback(open_well: Open) -> None:
    """A step without a callable, and a rollback_config without a rollback, say what is missing."""

    async def run(event: Any, step: Any) -> list[str]:
        found = []
        for call in (
            lambda: step.do("bare"),
            lambda: step.do("half", lambda: 1, rollback_config={"timeout": 1}),
        ):
            try:
                await call()
            except stepwell.WorkflowFatalError as error:
                found.append(str(error))
        return found

    async with open_well([flow(run)]) as well:
        bare, half = await (await well.workflow("Flow").create()).result(10)

        assert "step.do('bare') has no callable" in bare
        assert "half-1 has a rollback_config but no rollback" in half


@pytest.mark.parametrize("limit", [0, 101, "5", True, 1.5])
async def test_a_bad_page_size_is_refused(open_well: Open, limit: Any) -> None:
    """The size of a page is a whole number in its range."""
    async with open_well([flow(nothing)]) as well:
        with pytest.raises(InvalidRequest, match="whole number"):
            await well.workflow("Flow").list(limit=limit)


async def test_a_workflow_is_named_by_text_or_class(open_well: Open) -> None:
    """Anything else than a name or a class is refused as a name."""
    async with open_well([flow(nothing)]) as well:
        with pytest.raises(InvalidRequest, match="Workflow name int is not allowed"):
            well.workflow(5)
