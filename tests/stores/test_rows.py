"""Rows whose words a newer version has written."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepwell.errors import HistoryTooNew
from stepwell.model.command import Pause
from stepwell.model.instance import Ref
from stepwell.stores.rows import read_facts, read_instance, read_status
from stepwell.testing.cases.bench import applied, create, held
from tests.stores.sqlite.support import REF, bare, opened

_FACT = [1, 7, 20, 0, "do", "work", 1, 1, 1, 0, None, "1", None]
_INSTANCE = [1, "orders", "a", "queued", "api", None, 0, 0, None, 0, 0, 0, None, None]


def _changed(row: list[object], place: int, value: object) -> list[object]:
    return [*row[:place], value, *row[place + 1 :]]


def test_words_that_are_known_are_read() -> None:
    """The samples that the other tests change are good."""
    assert read_facts([_FACT])[0].id == 7
    assert read_instance(_INSTANCE).ref == REF


@pytest.mark.parametrize(("place", "word"), [(2, 60), (4, "dream")])
def test_unknown_kinds_are_too_new(place: int, word: object) -> None:
    """A fact or a step of an unknown kind is a HistoryTooNew that names the kind."""
    with pytest.raises(HistoryTooNew, match=f"{word!r}.*upgrade"):
        read_facts([_FACT, _changed(_FACT, place, word)])


@pytest.mark.parametrize("place", [3, 4])
def test_unknown_statuses_and_triggers_are_too_new(place: int) -> None:
    """So is an instance of an unknown status or trigger."""
    with pytest.raises(HistoryTooNew, match=r"'dreaming'.*upgrade"):
        read_instance(_changed(_INSTANCE, place, "dreaming"))
    with pytest.raises(HistoryTooNew, match=r"'dreaming'.*upgrade"):
        read_status("dreaming")


async def test_a_store_tells_a_newer_history(tmp_path: Path) -> None:
    """Reading an instance that a newer version wrote to says so, and other instances are read."""
    path = tmp_path / "well.db"
    async with opened(path) as store:
        lease = await held(store)
        other = await create(store, Ref("orders", "other"))
        with bare(path) as connection:
            connection.execute(
                "INSERT INTO facts (key, kind, at_ms) VALUES (?, 60, 1)", [lease.key]
            )
        with pytest.raises(HistoryTooNew):
            await store.load([lease.key])
        with pytest.raises(HistoryTooNew):
            await store.last_fact(lease.key)

        assert [other.key] == list(await store.load([other.key]))


async def test_a_store_refuses_commands_to_a_newer_status(tmp_path: Path) -> None:
    """A command to an instance of an unknown status changes nothing and says so."""
    path = tmp_path / "well.db"
    async with opened(path) as store:
        await create(store)
        with bare(path) as connection:
            connection.execute("UPDATE instances SET status = 'dreaming'")
        for work in (applied(store, Pause(ref=REF)), store.count_by_status("orders")):
            with pytest.raises(HistoryTooNew):
                await work
