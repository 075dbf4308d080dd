"""Events sent to instances, before they are consumed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingEvent:
    """An event that was accepted for an instance and not yet consumed by a wait.

    `payload` is the stored text of `core.payload`; `id` grows in order of arrival.
    """

    id: int
    type: str
    payload: str
    at_ms: int
