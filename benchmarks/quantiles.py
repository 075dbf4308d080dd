"""Small arithmetic that every workload needs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

# What a workload gives: named numbers.
Numbers = dict[str, float]


def quantile(values: Iterable[float], share: float) -> float:
    """Give the value below which `share` of all values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def p50(values: Iterable[float]) -> float:
    """Give the median."""
    return statistics.median(values)


def p95(values: Iterable[float]) -> float:
    """Give what 95 of 100 values stay below."""
    return quantile(values, 0.95)
