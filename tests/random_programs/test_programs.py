"""Random programs end as a small independent model says."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import InstanceErrored, NonRetryableError, WorkflowEntrypoint, WorkflowInstance
from stepwell.errors import WorkflowError
from stepwell.model.limits import Limits
from tests.engine.support import fast
from tests.random_programs.model import (
    UNDO_LIMIT,
    Node,
    Prediction,
    Seen,
    check_attempts,
    check_rollback,
    generate,
    predict,
)

_PROGRAMS = 150
_MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "hibernates": {"linger_seconds": 0, "max_warm": 0},
    "stays": {"linger_seconds": None},
}


class Interpreter(WorkflowEntrypoint[Any, Any]):
    """Runs the program that it gets as params."""

    async def run(self, event: Any, step: Any) -> Any:
        self.seen: Seen = self.env[event.instance_id]
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
            case "race":
                return await asyncio.gather(*(self.walk(child, step) for child in node["body"]))
            case "group":
                return await self.walk_group(node, step)
            case "sleep":
                await step.sleep(node["name"], node["ms"])
                return "slept"
        return await self.leaf(node, step)

    async def walk_group(self, node: Node, step: Any) -> Any:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self.walk(child, step)) for child in node["body"]]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return [task.result() for task in tasks]

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
        name, seen = node["name"], self.seen

        def work(ctx: Any) -> str:
            seen.calls[name] = seen.calls.get(name, 0) + 1
            if ctx.attempt <= node["fails"]:
                raise (NonRetryableError if node["fatal"] else ValueError)("on purpose")
            return str(name)

        async def work_async(ctx: Any) -> str:
            return work(ctx)

        async def undo() -> None:
            seen.undo_calls[name] = seen.undo_calls.get(name, 0) + 1
            if seen.undo_calls[name] <= node["undo_fails"]:
                raise OSError(f"undo of {name}")
            seen.undone.append(name)

        options: dict[str, Any] = {}
        if node["rollback"]:
            options = {"rollback": undo, "rollback_config": fast(UNDO_LIMIT)}
        retries = {"limit": node["limit"], "delay": node["delay"], "backoff": "linear"}
        callback = work if node["sync"] else work_async
        return await step.do(name, {"retries": retries}, callback, **options)


class StrictInterpreter(Interpreter):
    """The same in strict mode, which must find no difference where the code is the same."""

    name = "Interpreter"
    strict = True


def _events(node: Node) -> list[str]:
    if node["op"] == "wait" and node["comes"]:
        return [node["name"]]
    return [name for child in node.get("body", ()) for name in _events(child)]


async def _interrupt(instance: WorkflowInstance, seed: int) -> None:
    """Pause and resume it at moments that depend on the seed; nothing may come of it."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        await asyncio.sleep(chance.choice([0, 0.001, 0.004, 0.012]))
        await instance.pause()
        await asyncio.sleep(chance.choice([0, 0, 0.002, 0.008]))
        await instance.resume()


async def _play(well: Any, env: Any, seed: int, *, is_interrupted: bool = False) -> None:
    program = generate(seed)
    seen = env[str(seed)] = Seen()
    instance = await well.workflow("Interpreter").create(id=str(seed), params=program)
    if is_interrupted:
        await _interrupt(instance, seed)
    for name in _events(program):
        await asyncio.sleep(0.002 * (seed % 3))
        try:
            await instance.send_event(type=name, payload=name)
        except WorkflowError:  # it has failed before it came to this wait
            break
    try:
        await _check(instance, predict(program), seen)
    except BaseException as error:
        error.add_note(f"seed {seed}: {json.dumps(program)}")
        raise


async def _check(instance: WorkflowInstance, expected: Prediction, seen: Seen) -> None:
    output, error = None, None
    try:
        output = await instance.result(20)
    except InstanceErrored as errored:
        error = str(errored.__cause__)
    assert expected.output == output
    assert error in expected.errors if expected.errors else error is None
    state = await instance.status()
    assert ("errored" if expected.errors else "complete") == state.status
    check_attempts(expected, seen)
    assert check_rollback(expected, seen) == state.rollback


@pytest.mark.parametrize("is_interrupted", [False, True], ids=["undisturbed", "paused"])
@pytest.mark.parametrize("mode", list(_MODES))
@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_programs_end_as_the_model_says(
    store: str, mode: str, is_interrupted: bool, tmp_path: Path
) -> None:
    """Output, error, attempts, status and order of rollbacks are those of the model.

    So they are where each instance is paused and resumed at random moments.
    """
    url = "sqlite://:memory:" if store == "memory" else f"sqlite:///{tmp_path}/well.db"
    env: dict[str, Seen] = {}
    async with stepwell.open(
        url, workflows=[Interpreter], env=env, maxima=Limits(wait_ms_min=1), **_MODES[mode]
    ) as well:
        first = list(_MODES).index(mode) * _PROGRAMS
        played = await _play_all(well, env, first, is_interrupted=is_interrupted)

    assert _PROGRAMS == played


@pytest.mark.parametrize("store", ["memory", "sqlite"])
async def test_strict_mode_finds_no_difference_in_the_same_code(store: str, tmp_path: Path) -> None:
    """A program that is replayed at every park is never paused, in whatever order branches come."""
    url = "sqlite://:memory:" if store == "memory" else f"sqlite:///{tmp_path}/well.db"
    env: dict[str, Seen] = {}
    async with stepwell.open(
        url,
        workflows=[StrictInterpreter],
        env=env,
        maxima=Limits(wait_ms_min=1),
        **_MODES["hibernates"],
    ) as well:
        played = await _play_all(well, env, len(_MODES) * _PROGRAMS, is_interrupted=False)

    assert _PROGRAMS == played


async def _play_all(well: Any, env: dict[str, Seen], first: int, *, is_interrupted: bool) -> int:
    seeds = range(first, first + _PROGRAMS)
    plays = (_play(well, env, seed, is_interrupted=is_interrupted) for seed in seeds)
    problems = await asyncio.gather(*plays, return_exceptions=True)
    failed = [problem for problem in problems if problem is not None]
    if failed:
        raise failed[0]
    return len(env)
