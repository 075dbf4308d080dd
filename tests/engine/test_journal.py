"""The journal: who hears of a command, and when."""

from __future__ import annotations

from typing import Any

from stepwell.engine.journal import Journal
from stepwell.engine.local_wakeups import LocalWakeups
from stepwell.engine.system_clock import SystemClock
from stepwell.model.command import Outcome, Restart
from stepwell.stores.memory import MemoryStore
from stepwell.testing.cases.bench import REF, creation


async def test_workers_hear_of_a_command_before_its_caller_does() -> None:
    """A worker that hears late could take a run that it has claimed since for the one shut out."""
    heard: list[str] = []
    pokes = LocalWakeups()

    def on_poke(command: Any, _end: Any) -> None:
        heard.append(type(command).__name__)

    pokes.listen(None, on_poke)
    store = MemoryStore()
    journal = Journal(store, SystemClock(), changes=LocalWakeups(), pokes=pokes)
    for command in (creation(REF), Restart(ref=REF)):
        written = journal.submit(command)
        written.add_done_callback(lambda _: heard.append("its caller"))
        assert Outcome.APPLIED is await written
    refused = await journal.submit(creation(REF))
    await journal.close()

    assert ["Create", "its caller", "Restart", "its caller"] == heard
    assert Outcome.EXISTS is refused
