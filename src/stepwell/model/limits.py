"""Every maximum, in one place, with its unit in its name.

The numbers are those of Cloudflare Workflows' paid plan where it has one; those of `Limits` can be
changed with `stepwell.open(url, maxima=Limits(…))`.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Maxima of what may be stored and run: `stepwell.open(url, maxima=Limits(batch_max=500))`.

    What exceeds one is refused with an error that names it. How many steps one workflow may run is
    also said in its class (`limits = {"steps": 500}`) or in `open(limits=…)`.

    Attributes:
        steps_default: `do` steps of an instance whose workflow says nothing else.
        steps_max: the most that a workflow may say.
        retries_max: the highest `retries.limit`.
        result_bytes_max: stored result of a step, and output of an instance.
        params_bytes_max: stored params.
        event_bytes_max: stored payload of an event.
        instance_bytes_max: all byte streams of an instance together.
        stream_chunk_bytes_max: one chunk that a byte stream gives.
        sleep_ms_max: the longest sleep, timeout of a step, or delay of a retry.
        wait_ms_min: the shortest timeout of `wait_for_event`.
        wait_ms_max: the longest one.
        batch_max: items of `create_batch` and `delete_batch`.
        page_max: instances on one page of `list`.
        retention_ms_default: how long a finished instance is kept.
        retention_ms_max: the longest that it may be kept.
        crashes_max: how often in a row the worker of an instance may die before it is given up.
    """

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
JOURNAL_BATCH_COMMANDS_MAX = 256
JOURNAL_BATCH_BYTES_MAX = 1024 * 1024
CLAIM_BATCH_MAX = 200
REAP_BATCH_MAX = 500
PURGE_BATCH_MAX = 500
FACTS_PAGE_MAX = 1_000
STUB_CALLS_MAX = 10_000
STRICT_PATIENCE_SECONDS = 5.0
CATCH_UP_TURNS_MAX = 20
SIBLINGS_SECONDS_MAX = 5.0
ASIDE_MS = 30_000
SETTING_COUNT_MAX = 1_000_000
SETTING_SECONDS_MAX = 365 * 24 * 60 * 60
