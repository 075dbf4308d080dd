"""The decorated form of a step, and how it finds the results that it depends on."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.engine.support import Open, fast, flow, steps_of, types_of


async def outcome(open_well: Open, run: Any, **options: Any) -> Any:
    """Run one instance to its end; give its output."""
    async with open_well([flow(run)], **options) as well:
        return await (await well.workflow("Flow").create()).result(10)


async def test_s352_ctx_is_found_by_name_at_any_position(open_well: Open) -> None:
    """`ctx` is optional, and may stand anywhere among the dependencies."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def first() -> int:
            return 1

        @step.do()
        async def second() -> int:
            return 2

        @step.do()
        async def middle(first: int, ctx: Any, second: int) -> Any:
            return [first, ctx.step.name, second]

        @step.do()
        async def last(second: int, ctx: Any) -> Any:
            return [second, ctx.step.name]

        return [await middle(), await last()]

    assert [[1, "middle", 2], [2, "last"]] == await outcome(open_well, run)


async def test_s353_a_default_on_a_dependency_is_harmless(open_well: Open) -> None:
    """A parameter named like a registered step gets its result, default value or not."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        def number() -> int:
            return 7

        @step.do()
        def user(number: int = 99) -> int:
            return number

        return await user()

    assert 7 == await outcome(open_well, run)


async def test_s354_a_step_error_is_catchable_as_type_error(open_well: Open) -> None:
    """A TypeError of a step is caught as TypeError."""

    async def run(event: Any, step: Any) -> Any:
        @step.do("work", fast(0))
        async def work() -> None:
            raise TypeError("wrong kind")

        try:
            await work()
        except TypeError as error:
            return str(error)

    assert "wrong kind" == await outcome(open_well, run)


async def test_s355_resolved_steps_are_not_run_again(open_well: Open) -> None:
    """A step that has run is not run again as a dependency of others."""
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def base() -> int:
            calls.append("base")
            return 3

        @step.do()
        async def double(base: int) -> int:
            return base * 2

        @step.do()
        async def triple(base: int) -> int:
            return base * 3

        await base()
        return [await double(), await triple()]

    assert [6, 9] == await outcome(open_well, run)
    assert ["base"] == calls


async def test_s356_depends_maps_by_position(open_well: Open) -> None:
    """`depends` maps onto parameters by position, with ctx taken or not."""

    async def run(event: Any, step: Any) -> Any:
        @step.do("with space")
        async def one() -> int:
            return 1

        @step.do("other-name")
        async def two() -> int:
            return 2

        @step.do("plain", depends=[two, one])
        async def plain(a: int, b: int) -> Any:
            return [a, b]

        @step.do("with ctx", depends=[one, two])
        async def with_ctx(a: int, ctx: Any, b: int) -> Any:
            return [a, ctx.step.name, b]

        return [await plain(), await with_ctx()]

    assert [[2, 1], [1, "with ctx", 2]] == await outcome(open_well, run)


async def test_s361_implicit_dependency(open_well: Open) -> None:
    """A dependency gives 10, the dependent adds 5: 15; each is a step of its own."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def ten() -> int:
            return 10

        @step.do()
        async def total(ten: int) -> int:
            return ten + 5

        return await total()

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert 15 == await instance.result(10)
        assert ["ten-1", "total-1"] == await steps_of(instance, "step_completed")


async def test_s362_concurrent_dependencies(open_well: Open) -> None:
    """With concurrent=True the dependencies run side by side: two times three."""
    both = asyncio.Barrier(2)

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def two() -> int:
            await both.wait()
            return 2

        @step.do()
        async def three() -> int:
            await both.wait()
            return 3

        @step.do(concurrent=True)
        async def product(two: int, three: int) -> int:
            return two * three

        return await product()

    assert 6 == await outcome(open_well, run)


async def test_s364_context_of_a_decorated_step(open_well: Open) -> None:
    """The context has the step's name, count, attempt and config."""

    async def run(event: Any, step: Any) -> Any:
        @step.do("named", fast(2))
        async def named(ctx: Any) -> Any:
            return [ctx.step.name, ctx.step.count, ctx.attempt, ctx.config["retries"]["limit"]]

        return [await named(), await named()]

    assert [["named", 1, 1, 2], ["named", 2, 1, 2]] == await outcome(open_well, run)


async def test_s370_steps_named_alike_do_not_share_results(open_well: Open) -> None:
    """Two steps of one name run side by side; a dependency means the one registered last."""

    async def run(event: Any, step: Any) -> Any:
        async def first() -> str:
            return "first"

        async def second() -> str:
            return "second"

        one, two = step.do("same")(first), step.do("same")(second)

        @step.do()
        async def user(same: str) -> str:
            return same

        return [await asyncio.gather(one(), two()), await user()]

    assert [["first", "second"], "second"] == await outcome(open_well, run)


async def test_a52_decorating_runs_nothing(open_well: Open) -> None:
    """A decorated function that nobody calls does not run."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def unused() -> None:
            raise AssertionError

        return "done"

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "done" == await instance.result(10)
        assert "step_started" not in await types_of(instance)


async def test_a53_unknown_parameter_is_a_type_error(open_well: Open) -> None:
    """A parameter that names no step is refused by name, and nothing runs."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def work(unknown: int = 1) -> int:
            return unknown

        try:
            await work()
        except TypeError as error:
            return str(error)

    message = await outcome(open_well, run)
    assert "'unknown'" in message
    assert "depends" in message


async def test_a56_depends_of_the_wrong_length_or_kind(open_well: Open) -> None:
    """`depends` must name one decorated step for each parameter."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def one() -> int:
            return 1

        caught = []
        for depends in ([], [one, one], ["one"]):
            work = step.do("work", depends=depends)(lambda a: a)
            try:
                await work()
            except TypeError as error:
                caught.append("'work'" in str(error))
        return caught

    assert [True, True, True] == await outcome(open_well, run)


async def test_a58_a_failing_dependency_keeps_the_dependent_from_starting(open_well: Open) -> None:
    """The dependency's error comes out of the dependent's call, which never starts."""

    async def run(event: Any, step: Any) -> Any:
        @step.do("bad", fast(0))
        async def bad() -> None:
            raise ValueError("broken")

        @step.do()
        async def user(bad: Any) -> None:
            raise AssertionError

        try:
            await user()
        except ValueError as error:
            return str(error)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "broken" == await instance.result(10)
        assert ["bad-1"] == await steps_of(instance, "step_started")


async def test_a59_calling_a_step_twice_runs_two_steps(open_well: Open) -> None:
    """What is remembered serves dependencies only: two calls are two steps."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def count(ctx: Any) -> int:
            return int(ctx.step.count)

        return [await count(), await count()]

    assert [1, 2] == await outcome(open_well, run)


async def test_a60_a_deep_diamond_runs_each_step_once(open_well: Open) -> None:
    """In a concurrent diamond the shared dependency runs once."""
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def root() -> int:
            calls.append("root")
            return 1

        @step.do()
        async def base(root: int) -> int:
            calls.append("base")
            return root

        @step.do()
        async def left(base: int) -> int:
            return base + 1

        @step.do()
        async def right(base: int) -> int:
            return base + 2

        @step.do(concurrent=True)
        async def top(left: int, right: int) -> int:
            return left + right

        return await top()

    assert 5 == await outcome(open_well, run)
    assert ["root", "base"] == calls
