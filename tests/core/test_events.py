"""Facts spelled out as the events of the log."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.events import (
    EVENT_TYPES,
    EVENTS_PER_FACT_MAX,
    LogEvent,
    detail_text,
    fact_before,
    read_detail,
    spell_out,
)
from stepwell.core.failure import capture, to_dict
from stepwell.core.payload import encode
from stepwell.model.step import Fact, FactKind, StepKey, StepKind

AT_MS = 1_700_000_000_123
DO = StepKey(StepKind.DO, "pay", 2)
ROLLBACK = StepKey(StepKind.ROLLBACK, "pay", 2)
ERROR = to_dict(capture(ValueError("no money")))
SHOWN_ERROR = {"name": "ValueError", "message": "no money"}
DEFAULTS = {
    "retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"},
    "timeout": "10 minutes",
}


def spelled(kind: FactKind, **parts: Any) -> list[tuple[str, dict[str, Any]]]:
    """Give types and details of the events of a fact."""
    detail = detail_text(**parts.pop("detail", {}))
    events = spell_out(Fact(kind, AT_MS, detail=detail, id=7, **parts))
    return [(event.type, event.details) for event in events]


def test_e81_the_words() -> None:
    """All words of the subscription are there, each once."""
    words = """
        workflow_queued workflow_started workflow_running workflow_waiting
        workflow_waiting_for_pause workflow_paused workflow_completed workflow_errored
        workflow_terminated step_started step_completed step_errored attempt_started
        attempt_completed attempt_errored sleep_started sleep_completed wait_started
        wait_completed wait_timed_out rollback_started rollback_step_started
        rollback_step_completed rollback_step_errored rollback_attempt_started
        rollback_attempt_completed rollback_attempt_errored rollback_completed rollback_errored
    """

    assert words.split() == list(EVENT_TYPES)


@pytest.mark.parametrize(
    ("kind", "parts", "events"),
    [
        (
            FactKind.QUEUED,
            {"payload": '{"a":1}', "detail": {"trigger": "api"}},
            [("workflow_queued", {"params": {"a": 1}, "trigger": "api"})],
        ),
        (FactKind.QUEUED, {}, [("workflow_queued", {})]),
        (FactKind.STARTED, {}, [("workflow_started", {})]),
        (FactKind.STARTED, {"payload": "[]"}, [("workflow_started", {"params": []})]),
        (FactKind.RUNNING, {}, [("workflow_running", {})]),
        (FactKind.WAITING, {}, [("workflow_waiting", {})]),
        (FactKind.PAUSING, {}, [("workflow_waiting_for_pause", {})]),
        (FactKind.PAUSED, {}, [("workflow_paused", {})]),
        (FactKind.RESUMED, {"due_ms": 500}, [("workflow_queued", {"resumed": True})]),
        (FactKind.COMPLETED, {"payload": "null"}, [("workflow_completed", {"output": None})]),
        (FactKind.ERRORED, {"detail": {"error": ERROR}}, [
            ("workflow_errored", {"error": SHOWN_ERROR})
        ]),
        (FactKind.TERMINATED, {"detail": {"trigger": "binding"}}, [
            ("workflow_terminated", {"trigger": "binding"})
        ]),
        (
            FactKind.SLEEP_STARTED,
            {"step": StepKey(StepKind.SLEEP, "s", 1), "detail": {"duration_ms": 5}},
            [("sleep_started", {"duration_ms": 5})],
        ),
        (FactKind.SLEEP_COMPLETED, {}, [("sleep_completed", {})]),
        (
            FactKind.WAIT_STARTED,
            {"detail": {"event_type": "paid", "timeout_ms": 1000}},
            [("wait_started", {"event_type": "paid", "timeout_ms": 1000})],
        ),
        (
            FactKind.WAIT_COMPLETED,
            {"detail": {"event_type": "paid"}, "payload": "null", "began_ms": AT_MS - 123},
            [
                (
                    "wait_completed",
                    {
                        "event_type": "paid",
                        "payload": None,
                        "event_timestamp": "2023-11-14T22:13:20.000Z",
                    },
                )
            ],
        ),
        (FactKind.WAIT_TIMED_OUT, {"detail": {"error": ERROR}}, [
            ("wait_timed_out", {"error": SHOWN_ERROR})
        ]),
        (FactKind.ROLLBACK_STARTED, {"detail": {"error": ERROR, "total": 3, "final": "errored"}}, [
            ("rollback_started", {"error": SHOWN_ERROR, "total_steps": 3})
        ]),
        (FactKind.ROLLBACK_COMPLETED, {"detail": {"total": 3, "completed": 3}}, [
            ("rollback_completed", {"total_steps": 3, "completed_steps": 3})
        ]),
        (FactKind.ROLLBACK_FAILED, {"detail": {"total": 3, "completed": 0}}, [
            ("rollback_errored", {"total_steps": 3, "completed_steps": 0})
        ]),
    ],
)  # fmt: skip
def test_facts_of_the_instance_and_of_waiting(
    kind: FactKind, parts: dict[str, Any], events: list[tuple[str, dict[str, Any]]]
) -> None:
    """Each of these facts is one event."""
    assert events == spelled(kind, **dict(parts))


def test_a_step_that_succeeded_at_once_is_four_events() -> None:
    """Started twice at the time the attempt began, completed twice at the time of the fact."""
    fact = Fact(FactKind.STEP_RAN, AT_MS, DO, 1, 1, AT_MS - 500, payload='"ok"', id=7)

    events = spell_out(fact)

    assert [
        ("step_started", {"config": DEFAULTS}),
        ("attempt_started", {"attempt": 1}),
        ("attempt_completed", {"attempt": 1}),
        ("step_completed", {"output": "ok"}),
    ] == [(event.type, event.details) for event in events]
    assert [56, 57, 58, 59] == [event.id for event in events]
    assert ["pay-2"] * 4 == [event.step for event in events]
    began, ended = (
        datetime(2023, 11, 14, 22, 13, s, 1000 * ms, UTC) for s, ms in [(19, 623), (20, 123)]
    )
    assert [began, began, ended, ended] == [event.timestamp for event in events]


def test_e75_a_step_with_one_failure() -> None:
    """Start, failure with its wait, second attempt, success."""
    config = {"retries": {"limit": 1, "delay": 50, "backoff": "constant"}, "timeout": 5}
    started = {"step": DO, "attempt": 1, "detail": {"config": config, "rollback": True}}
    failed = {"step": DO, "attempt": 1, "due_ms": AT_MS + 50, "detail": {"error": ERROR}}

    assert [
        ("step_started", {"config": config, "rollback": True}),
        ("attempt_started", {"attempt": 1}),
    ] == spelled(FactKind.STEP_STARTED, **started)
    assert [
        ("attempt_errored", {"attempt": 1, "error": SHOWN_ERROR, "retry_delay_ms": 50})
    ] == spelled(FactKind.ATTEMPT_FAILED, **failed)
    assert [("attempt_started", {"attempt": 2})] == spelled(
        FactKind.ATTEMPT_STARTED, step=DO, attempt=2
    )
    assert [
        ("attempt_completed", {"attempt": 2}),
        ("step_completed", {"output": None}),
    ] == spelled(FactKind.STEP_COMPLETED, step=DO, attempt=2, payload="null")


def test_a_step_that_failed_for_good() -> None:
    """The last attempt has no wait after it; the step carries the error too."""
    assert [
        ("attempt_errored", {"attempt": 3, "error": SHOWN_ERROR}),
        ("step_errored", {"error": SHOWN_ERROR}),
    ] == spelled(FactKind.STEP_FAILED, step=DO, attempt=3, detail={"error": ERROR})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FactKind.STEP_STARTED, ["rollback_step_started", "rollback_attempt_started"]),
        (FactKind.ATTEMPT_STARTED, ["rollback_attempt_started"]),
        (FactKind.ATTEMPT_FAILED, ["rollback_attempt_errored"]),
        (FactKind.STEP_COMPLETED, ["rollback_attempt_completed", "rollback_step_completed"]),
        (FactKind.STEP_FAILED, ["rollback_attempt_errored", "rollback_step_errored"]),
        (
            FactKind.STEP_RAN,
            [
                "rollback_step_started",
                "rollback_attempt_started",
                "rollback_attempt_completed",
                "rollback_step_completed",
            ],
        ),
    ],
)
def test_e76_facts_of_rollbacks_have_their_own_words(kind: FactKind, words: list[str]) -> None:
    """The same facts about a rollback are other events, of the step that is rolled back."""
    events = spell_out(Fact(kind, AT_MS, ROLLBACK, 1, 1))

    assert words == [event.type for event in events]
    assert {"pay-2"} == {event.step for event in events}
    assert "output" not in events[-1].details


def test_s77_sensitive_output_is_redacted() -> None:
    """Only the output of the step is hidden, and only where it is shown to people."""
    fact = Fact(FactKind.STEP_RAN, AT_MS, DO, 1, 1, payload='"t0k3n"', detail='{"sensitive":true}')

    assert "[REDACTED]" == spell_out(fact)[-1].output
    assert "t0k3n" == spell_out(fact, redact=False)[-1].output


def test_s79_errors_of_a_sensitive_step_are_shown() -> None:
    """Without its error nobody could mend the step."""
    events = spelled(
        FactKind.STEP_FAILED, step=DO, attempt=1, detail={"error": ERROR, "sensitive": True}
    )

    assert SHOWN_ERROR == events[-1][1]["error"]


def test_s67_a_stream_shows_its_beginning() -> None:
    """The preview stands for the output, the size beside it."""
    stream = {"bytes": 5, "chunks": 1, "preview": "hello"}

    events = spelled(FactKind.STEP_COMPLETED, step=DO, attempt=1, detail={"stream": stream})

    assert ("step_completed", {"output": "hello", "stream": {"bytes": 5, "chunks": 1}}) == events[
        -1
    ]


def test_s80_a_sensitive_stream_is_redacted() -> None:
    """Its size may be known, its beginning not."""
    stream = {"bytes": 5, "chunks": 1, "preview": "hello"}

    events = spelled(
        FactKind.STEP_COMPLETED, step=DO, attempt=1, detail={"stream": stream, "sensitive": True}
    )

    assert "[REDACTED]" == events[-1][1]["output"]
    assert "hello" not in str(events)


def test_e78_errors_are_shown_by_name_and_message() -> None:
    """Traceback and arguments stay in the store."""
    events = spelled(FactKind.ERRORED, detail={"error": {**ERROR, "traceback": "secret path"}})

    assert [("workflow_errored", {"error": SHOWN_ERROR})] == events


def test_the_outcome_of_the_rollback_is_shown_at_the_end() -> None:
    """The final event says how the rollback went."""
    outcome = {"outcome": "failed", "error": SHOWN_ERROR}

    events = spelled(FactKind.ERRORED, detail={"error": ERROR, "rollback_outcome": outcome})

    assert outcome == events[0][1]["rollback"]


def test_facts_that_are_not_for_the_log_have_no_events() -> None:
    """The engine may record what nobody needs to read."""
    assert [] == spelled(FactKind.STEP_RAN, step=DO, detail={"logged": False})


def test_values_are_shown_plain() -> None:
    """Outputs of any type become what JSON can hold."""
    payload = encode(
        {"at": datetime(2024, 1, 1, tzinfo=UTC), "ids": (1, 2)}, bytes_max=999, what=""
    )

    (event,) = spell_out(Fact(FactKind.COMPLETED, AT_MS, payload=payload))

    assert {"at": "2024-01-01T00:00:00+00:00", "ids": [1, 2]} == event.output


def test_an_event_can_be_read_in_three_ways() -> None:
    """By attribute, by key, and as one flat object."""
    (event,) = spell_out(Fact(FactKind.ATTEMPT_STARTED, AT_MS, DO, attempt=2, id=3))

    assert 2 == event.attempt == event["attempt"] == dict(event)["attempt"]
    assert "attempt_started" == event.type == event["type"]
    assert "pay-2" == event["step"]
    assert {
        "id": 24,
        "timestamp": "2023-11-14T22:13:20.123Z",
        "type": "attempt_started",
        "step": "pay-2",
        "attempt": 2,
    } == event.to_dict()
    assert ["id", "timestamp", "type", "step", "attempt"] == list(event)
    assert 5 == len(event)
    assert event.get("output") is None
    assert not hasattr(event, "output")
    with pytest.raises(AttributeError, match="A attempt_started event has no 'output'"):
        event.output  # noqa: B018
    with pytest.raises(KeyError):
        event["output"]


def test_an_event_can_be_copied_and_compared() -> None:
    """It is an ordinary value."""
    (event,) = spell_out(Fact(FactKind.ATTEMPT_STARTED, AT_MS, DO, attempt=2, id=3))

    assert event == copy.deepcopy(event)
    assert event == pickle.loads(pickle.dumps(event))
    assert event != LogEvent(id=1, timestamp=event.timestamp, type=event.type)


def test_ids_grow_from_fact_to_fact() -> None:
    """No fact has more events than ids between it and the next."""
    for kind in FactKind:
        for step in (None, DO, ROLLBACK):
            events = spell_out(Fact(kind, AT_MS, step, id=5))
            assert [5 * EVENTS_PER_FACT_MAX + n for n in range(len(events))] == [
                event.id for event in events
            ]
            assert 1 <= len(events) < EVENTS_PER_FACT_MAX
            assert {event.type for event in events} <= set(EVENT_TYPES)


@pytest.mark.parametrize(
    "detail", ["", "{", "null", "5", "[]", '{"error":5}', '{"config":"x","stream":[],"error":{}}']
)
@pytest.mark.parametrize(
    "payload", [None, "", "{", '{"$":"gone"}', '{"$":"data","c":"g:G","v":{}}']
)
def test_damaged_rows_are_still_shown(detail: str, payload: str | None) -> None:
    """Introspection survives corrupt rows."""
    for kind in FactKind:
        for step in (None, DO, ROLLBACK):
            for event in spell_out(Fact(kind, AT_MS, step, payload=payload, detail=detail)):
                assert event.type in EVENT_TYPES
                json.dumps(event.to_dict(), allow_nan=False)


def test_a_damaged_payload_and_time_are_marked() -> None:
    """What cannot be read is said to be unreadable."""
    (event,) = spell_out(Fact(FactKind.COMPLETED, 10**30, payload="{"))

    assert "[UNREADABLE]" == event.output
    assert datetime(1970, 1, 1, tzinfo=UTC) == event.timestamp


def test_a_kind_of_tomorrow_has_no_events() -> None:
    """A fact of a newer version is passed over."""
    assert [] == spell_out(Fact(999, AT_MS))  # type: ignore[arg-type]


@given(
    st.sampled_from(FactKind),
    st.none() | st.text(max_size=20) | st.dictionaries(st.text(), st.integers()).map(json.dumps),
    st.none() | st.text(max_size=20),
    st.integers(),
)
def test_no_row_whatever_breaks_the_log(
    kind: FactKind, detail: str | None, payload: str | None, at_ms: int
) -> None:
    """Spelling out never raises."""
    spell_out(Fact(kind, at_ms, DO, detail=detail, payload=payload, due_ms=1, began_ms=at_ms))


def test_detail_text() -> None:
    """Parts that are None are left out; no part at all is no text; the text is ASCII."""
    assert detail_text() is None
    assert detail_text(error=None) is None
    assert '{"total":0,"final":false,"event_type":"\\u00e4"}' == detail_text(
        total=0, final=False, event_type="ä", error=None
    )
    assert {"total": 0} == read_detail(detail_text(total=0))
    assert {} == read_detail(None)


@pytest.mark.parametrize("place", range(EVENTS_PER_FACT_MAX))
def test_facts_are_read_from_the_one_of_the_cursor(place: int) -> None:
    """The fact of the event that a cursor names is read again: it may have later events."""
    assert 4 == fact_before(5 * EVENTS_PER_FACT_MAX + place)
    assert 0 == fact_before(place)
