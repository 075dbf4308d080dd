"""What every run of one process shares: the journal, time, threads, limits, definitions."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stepwell.authoring.workflow import WorkflowEntrypoint
from stepwell.engine.journal import Journal
from stepwell.engine.threads import ThreadPool
from stepwell.model.instance import Retention
from stepwell.model.limits import Limits
from stepwell.ports.clock import Clock
from stepwell.ports.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workflow as this process knows it.

    Attributes:
        name: under which instances are stored.
        entrypoint: the author's class.
        steps_max: the most `do` steps of one instance.
        retention: of finished instances.
        is_strict: an instance pauses whose recorded steps the code does not reach.
        validate: turns stored or given params into the declared type; raises InvalidRequest.
    """

    name: str
    entrypoint: type[WorkflowEntrypoint[Any, Any]]
    steps_max: int
    retention: Retention
    validate: Callable[[Any], Any]
    is_strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a run needs of its process.

    Attributes:
        linger_ms: a park that ends within this time stays claimed; a longer one hibernates.
            -1: every park hibernates. None: none does.
        chance: gives random numbers in [0, 1) for the jitter of retries.
    """

    store: Store
    journal: Journal
    clock: Clock
    limits: Limits
    threads: ThreadPool
    env: Any
    linger_ms: int | None = 1000
    chance: Callable[[], float] = field(default=random.random)
