"""A small model of random programs, independent of the engine: how each must end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

Node = dict[str, Any]
LIMIT_MAX = 3


class Failed(Exception):
    """The program fails here."""


@dataclass
class Prediction:
    """What must become of a program.

    Attributes:
        attempts: attempts of each step.
        undone: steps with a rollback, and their paths in the program.
    """

    output: Any = None
    error: str | None = None
    attempts: dict[str, int] = field(default_factory=dict)
    undone: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)


def generate(seed: int) -> Node:
    """Make the program of a seed."""
    chance, count = random.Random(seed), iter(range(1000))
    return {"op": "seq", "body": [_node(chance, count, 3) for _ in range(chance.randint(1, 4))]}


def _node(chance: random.Random, count: Any, depth: int) -> Node:
    op = chance.choice(["do", "do", "do", "sleep", "wait", "seq", "par"])
    if op in {"seq", "par"} and depth:
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
    }  # fmt: skip


def predict(program: Node) -> Prediction:
    """Say how a program must end."""
    prediction = Prediction()
    try:
        prediction.output = _walk(program, prediction, ())
    except Failed as failed:
        prediction.error = str(failed)
    return prediction


def _walk(node: Node, seen: Prediction, path: tuple[tuple[str, int], ...]) -> Any:
    match node["op"]:
        case "seq":
            return [_walk(x, seen, (*path, ("seq", n))) for n, x in enumerate(node["body"])]
        case "par":
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
    return _end(node, "failed" if fails >= tries else None)


def _walk_parallel(node: Node, seen: Prediction, path: tuple[tuple[str, int], ...]) -> Any:
    """All branches go to their end; then the first failure counts."""
    values, failures = [], []
    for number, child in enumerate(node["body"]):
        try:
            values.append(_walk(child, seen, (*path, ("par", number))))
        except Failed as failed:
            failures.append(failed)
    if failures:
        raise failures[0]
    return values


def _end(node: Node, problem: str | None) -> Any:
    if problem is None:
        return node["name"]
    if node["caught"]:
        return [problem, node["name"]]
    raise Failed(f"{node['name']} {problem}")


def must_precede(one: tuple[tuple[str, int], ...], two: tuple[tuple[str, int], ...]) -> bool:
    """Claim that the step at path `one` ends before the step at path `two` starts."""
    for (kind, here), (_, there) in zip(one, two, strict=False):
        if here != there:
            return kind == "seq" and here < there
    return False
