"""A small model of random programs, independent of the engine: how each must end.

    seq     one child after the other
    par     all children go to their end; then the first failure counts
    race    `asyncio.gather`: the first failure in time counts, the others go on beside it
    group   `asyncio.TaskGroup`: the first failure in time counts, the others are cancelled

Whether a race fails is certain; which of its failures is first, and how far the others have come,
is not. So the model says what must have happened, and what may have.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

Node = dict[str, Any]
Path = tuple[tuple[str, int], ...]
LIMIT_MAX = 3
UNDO_LIMIT = 1


class Failed(Exception):
    """The program fails here, with one of these errors."""

    def __init__(self, *errors: str) -> None:
        self.errors = frozenset(errors)


@dataclass
class Prediction:
    """What must become of a program.

    Attributes:
        output: of the program, if it does not fail.
        errors: those that it may fail with; none if it does not.
        attempts: attempts of each step; at most so many if it is in `loose`.
        loose: steps that may have been cut off, or may never have been reached.
        undone: steps with a rollback, and their paths in the program.
        undo_fails: how often the handler of such a step fails.
    """

    output: Any = None
    errors: frozenset[str] = frozenset()
    attempts: dict[str, int] = field(default_factory=dict)
    loose: set[str] = field(default_factory=set)
    undone: dict[str, Path] = field(default_factory=dict)
    undo_fails: dict[str, int] = field(default_factory=dict)


def generate(seed: int) -> Node:
    """Make the program of a seed."""
    chance, count = random.Random(seed), iter(range(1000))
    return {"op": "seq", "body": [_node(chance, count, 3) for _ in range(chance.randint(1, 4))]}


def _node(chance: random.Random, count: Any, depth: int) -> Node:
    op = chance.choice(["do"] * 5 + ["sleep", "wait", "seq", "par", "race", "group"])
    if op in {"seq", "par", "race", "group"} and depth:
        size = chance.randint(1, 4)
        return {"op": op, "body": [_node(chance, count, depth - 1) for _ in range(size)]}
    name = f"n{next(count)}"
    if op == "sleep":
        return {"op": op, "name": name, "ms": chance.randint(0, 5)}
    if op == "wait":
        comes = chance.random() < 0.6
        return {"op": op, "name": name, "comes": comes, "caught": chance.random() < 0.8}
    return {
        "op": "do", "name": name, "limit": chance.randint(0, LIMIT_MAX),
        "fails": chance.choice([0, 0, 0, 0, 1, 2, 99]), "fatal": chance.random() < 0.2,
        "caught": chance.random() < 0.7, "sync": chance.random() < 0.2,
        "rollback": chance.random() < 0.5, "delay": chance.randint(0, 3),
        "undo_fails": chance.choice([0, 0, 0, 0, 0, 1, 1, 99]),
    }  # fmt: skip


def predict(program: Node) -> Prediction:
    """Say how a program must end."""
    prediction = Prediction()
    try:
        prediction.output = _walk(program, prediction, ())
    except Failed as failed:
        prediction.errors = failed.errors
    return prediction


def _walk(node: Node, seen: Prediction, path: Path) -> Any:
    match node["op"]:
        case "seq":
            return [_walk(x, seen, (*path, ("seq", n))) for n, x in enumerate(node["body"])]
        case "par" | "race" | "group":
            return _walk_parallel(node, seen, path)
        case "sleep":
            return "slept"
        case "wait":
            return _end(node, None if node["comes"] else "timeout")
    fails = node["fails"]
    tries = 1 if fails and node["fatal"] else min(fails, node["limit"]) + 1
    seen.attempts[node["name"]] = tries
    if node["rollback"]:
        seen.undone[node["name"]] = path
        seen.undo_fails[node["name"]] = node["undo_fails"]
    return _end(node, "failed" if fails >= tries else None)


def _walk_parallel(node: Node, seen: Prediction, path: Path) -> Any:
    """Walk all branches to their end; what that says is loose if the first failure ends a race."""
    values: list[Any] = []
    failures: list[Failed] = []
    before = set(seen.attempts)
    for number, child in enumerate(node["body"]):
        try:
            values.append(_walk(child, seen, (*path, ("par", number))))
        except Failed as failed:
            failures.append(failed)
    if not failures:
        return values
    if node["op"] == "par":
        raise failures[0]
    seen.loose |= set(seen.attempts) - before
    raise Failed(*(error for failed in failures for error in failed.errors))


def _end(node: Node, problem: str | None) -> Any:
    if problem is None:
        return node["name"]
    if node["caught"]:
        return [problem, node["name"]]
    raise Failed(f"{node['name']} {problem}")


def must_precede(one: Path, two: Path) -> bool:
    """Claim that the step at path `one` ends before the step at path `two` starts."""
    for (kind, here), (_, there) in zip(one, two, strict=False):
        if here != there:
            return kind == "seq" and here < there
    return False


@dataclass
class Seen:
    """What became of a program, outside of the store.

    Attributes:
        calls: how often each step's callable was called.
        undo_calls: how often each handler was called.
        undone: steps that were undone, in that order; the one whose handler gave up is not.
    """

    calls: dict[str, int] = field(default_factory=dict)
    undo_calls: dict[str, int] = field(default_factory=dict)
    undone: list[str] = field(default_factory=list)


def check_attempts(expected: Prediction, seen: Seen) -> None:
    """Compare the calls of the steps."""
    firm = {name for name in expected.attempts if name not in expected.loose}
    must = {name: expected.attempts[name] for name in firm}
    did = {name: calls for name, calls in seen.calls.items() if name not in expected.loose}
    assert must == did, f"{must} != {did}"
    for name in set(seen.calls) & expected.loose:
        assert seen.calls[name] <= expected.attempts[name], name


def check_rollback(expected: Prediction, seen: Seen) -> dict[str, Any] | None:
    """Compare what was undone, and in which order; give the status of the rollback."""
    paths = expected.undone if expected.errors else {}
    gave_up = [name for name in seen.undo_calls if expected.undo_fails.get(name, 0) > UNDO_LIMIT]
    assert set(seen.undo_calls) <= set(paths)
    assert len(gave_up) <= 1, "it went on behind a handler that failed"
    order = [*seen.undone, *gave_up]
    assert set(order) == set(seen.undo_calls)
    for name, calls in seen.undo_calls.items():
        assert calls == min(expected.undo_fails[name], UNDO_LIMIT) + 1, name
    for place, name in enumerate(order):
        late = [x for x in order[place + 1 :] if must_precede(paths[name], paths[x])]
        assert [] == late, f"{name} was undone before steps that started after it"
    missing = set(paths) - expected.loose - set(order)
    if gave_up:
        skipped = [x for x in missing if must_precede(paths[gave_up[0]], paths[x])]
        assert [] == skipped, f"they started after {gave_up[0]}, and were not undone before it"
        error = {"name": "OSError", "message": f"undo of {gave_up[0]}"}
        return {"outcome": "failed", "error": error}
    assert set() == missing
    return {"outcome": "complete", "error": None} if order else None
