"""The rows of the table: what is measured, in which unit, what it must reach, and how it prints."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.quantiles import Numbers

Measured = Mapping[str, Numbers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: the number `key` of a workload.

    `reach` is None where the design promises nothing; a rate is also shown as a share of the
    commits of bare sqlite3, and `of_bare` says that the reach is about this share.
    """

    title: str
    workload: str
    key: str
    unit: str
    reach: float | None = None
    is_more_better: bool = False
    of_bare: bool = False


ROWS = (
    Row(title="many instances x 10 steps", workload="many", key="steps_per_second",
        unit="steps/s", reach=27_000, is_more_better=True),
    Row(title="create → complete, one step, p50", workload="single", key="p50_ms",
        unit="ms", reach=2),
    Row(title="create → complete, one step, p95", workload="single", key="p95_ms", unit="ms"),
    Row(title="one instance, sequential steps", workload="sequential", key="steps_per_second",
        unit="steps/s", reach=0.6, is_more_better=True, of_bare=True),
    Row(title="long history: step at 100", workload="history", key="ms_at_100", unit="ms"),
    Row(title="long history: step at 1,000", workload="history", key="ms_at_1000", unit="ms"),
    Row(title="long history: step at 10,000", workload="history", key="ms_at_10000", unit="ms"),
    # Flat, with the noise that a disk has from one second to the next.
    Row(title="long history: last ÷ first", workload="history", key="last_by_first", unit="x",
        reach=1.25),
    Row(title="replay", workload="replay", key="steps_per_second", unit="steps/s",
        reach=100_000, is_more_better=True),
    Row(title="sleepers: disk of each", workload="sleepers", key="disk_bytes_each", unit="bytes",
        reach=1024),
    # None, as far as the size of a process can tell: a parked run would take thousands of bytes.
    Row(title="sleepers: memory of each", workload="sleepers", key="memory_bytes_each",
        unit="bytes", reach=64),
    Row(title="sleepers: late, p50", workload="sleepers", key="late_p50_ms", unit="ms"),
    Row(title="sleepers: late, p95", workload="sleepers", key="late_p95_ms", unit="ms",
        reach=100),
    Row(title="100 parallel steps, p50", workload="parallel", key="p50_ms", unit="ms", reach=15),
    Row(title="event → continue, p50", workload="event", key="p50_ms", unit="ms", reach=2),
    Row(title="event → continue, p95", workload="event", key="p95_ms", unit="ms", reach=5),
    Row(title="crash: until all runs go on", workload="crash", key="seconds", unit="s",
        reach=12),
    Row(title="crash: committed steps run again", workload="crash", key="committed_run_again",
        unit="steps", reach=0.5),
    Row(title="start: import stepwell", workload="start", key="import_ms", unit="ms", reach=150),
    Row(title="start: with its names loaded", workload="start", key="names_ms", unit="ms"),
    Row(title="start: stepwell dev answers", workload="start", key="dev_ms", unit="ms",
        reach=1_500),
    Row(title="idle worker: store calls", workload="idle", key="calls_per_second", unit="/s",
        reach=2),
    Row(title="idle worker: looks at file times", workload="idle", key="looks_per_second",
        unit="/s"),
)  # fmt: skip

_HEAD = (
    "row", "Stepwell", "unit", "bare sqlite3", "÷ bare", "DBOS", "x DBOS", "DBOS, WAL",
    "x DBOS, WAL", "reach", "reached",
)  # fmt: skip


def machine_facts() -> dict[str, str]:
    """Give what the numbers depend on."""
    return {
        "CPUs": str(os.cpu_count()),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.machine()}",
    }


def render(ours: Measured, peer: Measured, peer_wal: Measured) -> str:
    """Lay out all rows that were measured as one table in Markdown."""
    cells: list[tuple[str, ...]] = [_HEAD]
    for row in ROWS:
        numbers = ours.get(row.workload, {})
        if row.key in numbers:
            cells.append(_cells(row, numbers, peer, peer_wal))
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    lines = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(row: Row, numbers: Numbers, peer: Measured, peer_wal: Measured) -> tuple[str, ...]:
    value, bare = numbers[row.key], numbers["bare_per_second"]
    is_rate = row.unit == "steps/s" and row.workload != "replay"
    other = (peer.get(row.workload, {}).get(row.key), peer_wal.get(row.workload, {}).get(row.key))
    return (
        row.title,
        number(value),
        row.unit,
        f"{number(bare)}/s" if is_rate else "",
        f"{value / bare:.2f}" if is_rate else "",
        *(cell for one in other for cell in _beside(row, value, one)),
        _reach(row, numbers),
        _verdict(row, numbers),
    )


def _beside(row: Row, value: float, other: float | None) -> tuple[str, str]:
    """Give a peer's number, and how many times better ours is."""
    if not other or not value:
        return "", ""
    return number(other), f"{value / other if row.is_more_better else other / value:.1f}"


def _reach(row: Row, numbers: Numbers) -> str:
    reach = _limit(row, numbers)
    if reach is None:
        return ""
    return f"{'≥' if row.is_more_better else '<'} {number(reach)}{' ÷ bare' * row.of_bare}"


def _limit(row: Row, numbers: Numbers) -> float | None:
    # The lease is shorter in a quick run; the promise is always lease + 2 s.
    lease = numbers.get("lease_seconds")
    return lease + 2 if lease is not None and row.key == "seconds" else row.reach


def _verdict(row: Row, numbers: Numbers) -> str:
    reach = _limit(row, numbers)
    if reach is None:
        return ""
    value = numbers[row.key] / (numbers["bare_per_second"] if row.of_bare else 1)
    return "yes" if (value >= reach if row.is_more_better else value < reach) else "MISSED"


def number(value: float) -> str:
    """Print a number with about three digits."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
