"""The benchmarks, at their tiniest: that each row is there, never how fast."""

from pathlib import Path

import pytest

from benchmarks.bare import commits_per_second
from benchmarks.one import WORKLOADS
from benchmarks.sizes import TINY
from benchmarks.table import ROWS, number, render

# What may be nothing at all, and is the better for it.
MAY_BE_ZERO = {"memory_bytes_each", "committed_run_again", "calls_per_second", "looks_per_second"}


@pytest.mark.parametrize("name", WORKLOADS)
async def test_each_workload_gives_its_numbers(name: str, tmp_path: Path) -> None:
    """Every row of the table is measured, with positive numbers, and printed."""
    found = await WORKLOADS[name](tmp_path, TINY) | {"bare_per_second": 100.0}

    rows = [row for row in ROWS if row.workload == name and not row.key.startswith("ms_at_")]
    assert rows
    assert set() == {row.key for row in rows} - set(found)
    assert [] == [key for key, value in found.items() if value <= 0 and key not in MAY_BE_ZERO]
    table = render({name: found}, {}, {})
    assert [] == [row.title for row in rows if f"| {row.title} " not in table]


def test_history_is_measured_at_each_mark() -> None:
    """The rows of the long history are those of the full sizes."""
    wanted = {row.key for row in ROWS if row.key.startswith("ms_at_")}

    assert {"ms_at_100", "ms_at_1000", "ms_at_10000"} == wanted


def test_bare_commits_have_a_rate(tmp_path: Path) -> None:
    """The bare rate is a positive number, and its file is gone afterwards."""
    assert commits_per_second(tmp_path, 5) > 0
    assert [] == list(tmp_path.iterdir())


def test_a_missed_reach_says_so() -> None:
    """A row that does not reach its number is marked, and so is one that does."""
    slow = {"p50_ms": 30.0, "p95_ms": 40.0, "bare_per_second": 100.0}
    fast = slow | {"p50_ms": 3.0}

    assert "MISSED" in render({"parallel": slow}, {}, {})
    assert "yes" in render({"parallel": fast}, {}, {})


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12"), (12.34, "12.3"), (27_000.4, "27,000"), (3.0, "3")]
)
def test_numbers_print_with_about_three_digits(value: float, text: str) -> None:
    """A number in the table is as exact as it can be meant."""
    assert text == number(value)
