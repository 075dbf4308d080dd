"""Every maximum, in one place, with its unit in its name.

The numbers are those of Cloudflare Workflows' paid plan where it has one; each can be changed
with `stepwell.open(maxima=Limits(…))`.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Maxima of what may be stored and run."""

    steps_default: int = 10_000
    steps_max: int = 25_000
    retries_max: int = 10_000
    result_bytes_max: int = 1024 * 1024
    params_bytes_max: int = 1024 * 1024
    event_bytes_max: int = 1024 * 1024
    instance_bytes_max: int = 1024**3
    stream_chunk_bytes_max: int = 16 * 1024 * 1024
    sleep_ms_max: int = 365 * DAY_MS
    wait_ms_min: int = 1_000
    wait_ms_max: int = 365 * DAY_MS
    batch_max: int = 100
    page_max: int = 100
    retention_ms_default: int = 30 * DAY_MS
    retention_ms_max: int = 365 * DAY_MS
    crashes_max: int = 10


WORKFLOW_NAME_CHARS_MAX = 64
INSTANCE_ID_CHARS_MAX = 100
ADDRESSED_ID_CHARS_MAX = 271
STEP_NAME_CHARS_MAX = 256
EVENT_TYPE_CHARS_MAX = 100
STREAM_PIECE_BYTES = 256 * 1024
STREAM_PREVIEW_CHARS = 1024
DELAY_FUNCTION_SECONDS_MAX = 5.0
DELAY_MS_WITHOUT_FUNCTION = 1_000
JOURNAL_BATCH_COMMANDS_MAX = 2_000
JOURNAL_BATCH_BYTES_MAX = 16 * 1024 * 1024
CLAIM_BATCH_MAX = 200
REAP_BATCH_MAX = 500
PURGE_BATCH_MAX = 500
FACTS_PAGE_MAX = 1_000
STUB_CALLS_MAX = 10_000
SIBLINGS_SECONDS_MAX = 5.0
ASIDE_MS = 30_000
SETTING_COUNT_MAX = 1_000_000
SETTING_SECONDS_MAX = 365 * 24 * 60 * 60
