"""Random programs end as a small independent model says."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import InstanceErrored, NonRetryableError, WorkflowEntrypoint, WorkflowInstance
from stepwell.errors import WorkflowError
from stepwell.model.limits import Limits
from tests.random_programs.model import Node, Prediction, generate, must_precede, predict

_PROGRAMS = 150
_MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "hibernates": {"linger_seconds": 0, "max_warm": 0},
    "stays": {"linger_seconds": None},
}


class Interpreter(WorkflowEntrypoint[Any, Any]):
    """Runs the program that it gets as params."""

    async def run(self, event: Any, step: Any) -> Any:
        self.calls, self.undone = self.env[event.instance_id]
        return await self.walk(event.payload, step)

    async def walk(self, node: Node, step: Any) -> Any:
        match node["op"]:
            case "seq":
                return [await self.walk(child, step) for child in node["body"]]
            case "par":
                work = (self.walk(child, step) for child in node["body"])
                ends = await asyncio.gather(*work, return_exceptions=True)
                failures = [end for end in ends if isinstance(end, BaseException)]
                if failures:
                    raise failures[0]
                return ends
            case "sleep":
                await step.sleep(node["name"], node["ms"])
                return "slept"
        return await self.leaf(node, step)

    async def leaf(self, node: Node, step: Any) -> Any:
        name = node["name"]
        try:
            if node["op"] == "do":
                return await self.perform(node, step)
            await step.wait_for_event(name, type=name, timeout="1 h" if node["comes"] else 3)
        except (ValueError, NonRetryableError, stepwell.WorkflowTimeoutError) as error:
            problem = "failed" if node["op"] == "do" else "timeout"
            if node["caught"]:
                return [problem, name]
            raise ValueError(f"{name} {problem}") from error
        return name

    async def perform(self, node: Node, step: Any) -> Any:
        name, calls, undone = node["name"], self.calls, self.undone

        def work(ctx: Any) -> str:
            calls[name] += 1
            if ctx.attempt <= node["fails"]:
                raise (NonRetryableError if node["fatal"] else ValueError)("on purpose")
            return str(name)

        async def work_async(ctx: Any) -> str:
            return work(ctx)

        async def undo(seen: Any) -> None:
            undone.append(name)

        options = {"rollback": undo} if node["rollback"] else {}
        retries = {"limit": node["limit"], "delay": node["delay"], "backoff": "linear"}
        callback = work if node["sync"] else work_async
        return await step.do(name, {"retries": retries}, callback, **options)


def _events(node: Node) -> list[str]:
    if node["op"] == "wait" and node["comes"]:
        return [node["name"]]
    return [name for child in node.get("body", ()) for name in _events(child)]


async def _play(well: Any, env: Any, seed: int) -> None:
    program = generate(seed)
    calls: dict[str, int] = defaultdict(int)
    undone: list[str] = []
    env[str(seed)] = (calls, undone)
    instance = await well.workflow(Interpreter).create(id=str(seed), params=program)
    for name in _events(program):
        await asyncio.sleep(0.002 * (seed % 3))
        try:
            await instance.send_event(type=name, payload=name)
        except WorkflowError:  # it has failed before it came to this wait
            break
    try:
        await _check(instance, predict(program), calls, undone)
    except BaseException as error:
        error.add_note(f"seed {seed}: {json.dumps(program)}")
        raise


async def _check(
    instance: WorkflowInstance, expected: Prediction, calls: dict[str, int], undone: list[str]
) -> None:
    output, error = None, None
    try:
        output = await instance.result(20)
    except InstanceErrored as errored:
        error = str(errored.__cause__)
    assert (expected.output, expected.error) == (output, error)
    state = await instance.status()
    assert ("errored" if expected.error else "complete") == state.status
    assert expected.attempts == calls
    paths = expected.undone if expected.error else {}
    assert sorted(paths) == sorted(undone)
    assert ({"outcome": "complete", "error": None} if paths else None) == state.rollback
    for place, name in enumerate(undone):
        late = [x for x in undone[place + 1 :] if must_precede(paths[name], paths[x])]
        assert [] == late, f"{name} was undone before steps that started after it"


@pytest.mark.parametrize("mode", list(_MODES))
@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_programs_end_as_the_model_says(store: str, mode: str, tmp_path: Path) -> None:
    """Output, error, attempts, status and order of rollbacks are those of the model."""
    url = "sqlite://:memory:" if store == "memory" else f"sqlite:///{tmp_path}/well.db"
    env: dict[str, tuple[dict[str, int], list[str]]] = {}
    async with stepwell.open(
        url, workflows=[Interpreter], env=env, maxima=Limits(wait_ms_min=1), **_MODES[mode]
    ) as well:
        first = list(_MODES).index(mode) * _PROGRAMS
        plays = (_play(well, env, seed) for seed in range(first, first + _PROGRAMS))
        problems = await asyncio.gather(*plays, return_exceptions=True)

    failed = [problem for problem in problems if problem is not None]
    if failed:
        raise failed[0]
    assert _PROGRAMS == len(env)
