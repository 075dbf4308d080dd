"""What callers of the handles may ask for, and how anything else is refused."""

from __future__ import annotations

from typing import Any

import pytest

import stepwell
from stepwell import WorkflowInstance
from stepwell.errors import InvalidRequest
from tests.engine.support import flow

# A number that has no text.
_ENDLESS = pytest.param(10**9999, id="endless")


async def nothing(event: Any, step: Any) -> str:
    """Do nothing."""
    return "done"


@pytest.mark.parametrize("retention", ["abc", 5, [], "", 0, True, [("success_retention", 1)]])
async def test_retention_is_a_mapping(url: str, retention: Any) -> None:
    """Retention that is no mapping is refused by its keys; no instance exists, batch or not."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        flows = well.workflow("Flow")
        with pytest.raises(InvalidRequest, match=r"retention is .*success_retention"):
            await flows.create(retention=retention)
        with pytest.raises(InvalidRequest, match="retention of item 1 of the batch is"):
            await flows.create_batch([{}, {"retention": retention}])

        assert [] == await flows.list()


async def test_unknown_keys_of_a_batch_item_of_any_type(url: str) -> None:
    """Keys that cannot be compared with each other are listed like any others."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        with pytest.raises(InvalidRequest, match=r"item 0 .*\['1', 'zz'\]"):
            await well.workflow("Flow").create_batch([{"id": "a", 1: 2, "zz": 3}])  # type: ignore[dict-item]

        assert [] == await well.workflow("Flow").list()


LISTS: list[Any] = [5, "", "9" * 30, str(2**63), "²", "٣", "-1", "1\n", b"1", [], "9" * 5000]


@pytest.mark.parametrize("cursor", LISTS)
async def test_a_cursor_of_a_list_is_what_a_page_gave(url: str, cursor: Any) -> None:
    """What no page gave is refused, and the message says where cursors come from."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        with pytest.raises(InvalidRequest, match="the `cursor` of the page before") as caught:
            await well.workflow("Flow").list(cursor=cursor)

        assert len(str(caught.value)) < 200


async def _subscribed(instance: WorkflowInstance, **options: Any) -> list[str]:
    return [event.type async for event in instance.subscribe(**options)]


@pytest.mark.parametrize("cursor", ["a", "1", 1.5, True, 2**80, _ENDLESS, float("nan"), []])
async def test_a_cursor_of_a_subscription_is_an_event_id(url: str, cursor: Any) -> None:
    """What is no event's id is refused."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        instance = await well.workflow("Flow").create()
        with pytest.raises(InvalidRequest, match="give the `id` of an event"):
            await _subscribed(instance, cursor=cursor)


@pytest.mark.parametrize("types", ["step_started", b"step_started", 5, {"step_started": True}])
async def test_types_of_a_subscription_are_a_list(url: str, types: Any) -> None:
    """A text by itself would be a list of letters, and hide every event."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        instance = await well.workflow("Flow").create()
        with pytest.raises(InvalidRequest, match="give a list of types"):
            await _subscribed(instance, types=types)


@pytest.mark.parametrize("unknown", ["nope", 5, None, ["step_started"]])
async def test_e080_unknown_types_of_a_subscription(url: str, unknown: Any) -> None:
    """A type that no event has is refused with the list of those that there are."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        instance = await well.workflow("Flow").create()
        with pytest.raises(InvalidRequest, match=r"workflow_queued, .*rollback_errored"):
            await _subscribed(instance, types=["step_started", unknown])
        await instance.result(10)

        assert ["workflow_completed"] == await _subscribed(instance, types=["workflow_completed"])


FROM: list[Any] = [
    "\ud800", "a\0", {"name": "a", "count": 2**70}, {"name": "a", "type": []},
    {"name": "a", "type": None}, {"name": "\ud800", "type": "sleep"}, {1: 2, "x": 3},
    {"name": "a", "count": 10**9999},
]  # fmt: skip


@pytest.mark.parametrize("from_step", FROM)
async def test_steps_that_cannot_be(url: str, from_step: Any) -> None:
    """A restart from what is no step is refused, and the instance stays as it was."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        with pytest.raises(InvalidRequest, match="from_step"):
            await instance.restart(from_step)

        assert "complete" == (await instance.status()).status


@pytest.mark.parametrize("timeout", ["x", "5", float("nan"), True, [], 10**400, _ENDLESS])
async def test_a_timeout_is_a_number_of_seconds(url: str, timeout: Any) -> None:
    """A timeout that is no number is refused by its unit."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        instance = await well.workflow("Flow").create()
        with pytest.raises(InvalidRequest, match="number of seconds"):
            await instance.result(timeout)

        assert "done" == await instance.result(timeout=10.0)
