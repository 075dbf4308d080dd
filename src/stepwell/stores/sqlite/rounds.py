"""Cut a batch into rounds, within which commands of one kind may be done together.

Doing all commands of a kind at once changes their order, which matters only where two of them are
about the same instance. So a command goes into a later round than an earlier one about the same
instance; but what a run only adds (facts, pieces of a stream) comes first in each round, and
so shares it with the run's commands after it. Creations stay in order, since keys tell which
instance is older. Nearly every batch is one round.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from stepwell.model.command import CLIENT_COMMANDS, Append, Command, Create, PutChunk
from stepwell.model.instance import Ref

ADDING: frozenset[type] = frozenset({Append, PutChunk})


def cut(commands: Sequence[Command], keys: Mapping[Ref, int]) -> list[list[int]]:
    """Cut a batch; gives the positions of each round's commands, in order.

    Args:
        commands: the batch.
        keys: of the instances that exist before it, at least of those that client commands other
            than Create are about: a run's command knows its instance only by key.
    """
    rounds: list[list[int]] = [[]]
    last: dict[Hashable, tuple[int, bool]] = {}
    last_creation = 0
    command: Any
    for index, command in enumerate(commands):
        kind = type(command)
        is_clients = kind in CLIENT_COMMANDS
        about = keys.get(command.ref, command.ref) if is_clients else command.lease.key
        number, is_adding = last.get(about, (-1, False))
        if number < 0 or is_clients or not is_adding:
            number += 1
        if kind is Create:
            number = last_creation = max(number, last_creation)
        last[about] = (number, kind in ADDING)
        while number >= len(rounds):
            rounds.append([])
        rounds[number].append(index)
    return rounds
