"""The configuration of a step: strict validation, merging, and the forms it is shown in."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest

from stepwell.core.config import (
    DEFAULT_RESOLVED,
    config_from_detail,
    config_to_detail,
    public_config,
    resolve_config,
)
from stepwell.errors import WorkflowFatalError
from stepwell.model.limits import Limits
from stepwell.model.step import DEFAULT_CONFIG, Backoff, Retries, StepConfig

LIMITS = Limits()
RETRIES = {"limit": 3, "delay": 500}


def resolve(raw: object = None, **options: Any) -> StepConfig:
    """Resolve a mapping and keywords."""
    return resolve_config(raw, options or None, LIMITS).config


def test_nothing_given_is_the_shared_default() -> None:
    """Without a configuration the one constant is used, and an empty mapping is the same."""
    assert resolve_config(None, None, LIMITS) is DEFAULT_RESOLVED
    assert resolve_config(None, {}, LIMITS) is DEFAULT_RESOLVED
    assert resolve_config({}, None, LIMITS) is DEFAULT_RESOLVED
    assert resolve_config(None, {"retries": None, "timeout": None}, LIMITS) is DEFAULT_RESOLVED


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ({"retries": {"limit": 3}}, "without 'delay'"),
        ({"retries": {"delay": 3}}, "without 'limit'"),
        ({"retries": {}}, "without 'limit' and 'delay'"),
        ({"retries": {**RETRIES, "delai": 1}}, "unknown key 'delai' in retries"),
        ({"retries": {**RETRIES, "delay": "nonsense"}}, "retries.delay 'nonsense'"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": "0"}, "timeout is '0'"),
        ({"sensitive": "all"}, "sensitive is 'all'; it must be 'output', or left out"),
        ({"sensitive": False}, "sensitive is False"),
        ({"sensitive": True}, "sensitive is True"),
    ],
)
def test_s119_configs_refused(raw: dict[str, Any], named: str) -> None:
    """Half a retries, unknown keys, nonsense delays, timeout 0, other sensitive values."""
    with pytest.raises(WorkflowFatalError) as caught:
        resolve(raw)

    assert named in str(caught.value)


def test_s120_a_function_delay_is_accepted() -> None:
    """A callable decides the delay; the configuration itself has only a marker."""

    def decide(_failure: object) -> int:
        return 50

    resolved = resolve_config({"retries": {"limit": 1, "delay": decide}}, None, LIMITS)

    assert decide is resolved.delay
    assert resolved.config.retries.delay_ms is None
    assert "[dynamic]" == resolved.config.retries.delay


@pytest.mark.parametrize(
    "raw",
    [
        {"retries": {"limit": 0, "delay": 500}},
        {"retries": {"limit": 1, "delay": 0}},
        {"sensitive": "output"},
        {"sensitive": None},
        {"timeout": timedelta(minutes=1)},
        MappingProxyType({"retries": MappingProxyType(RETRIES)}),
    ],
)
def test_s121_configs_accepted(raw: Any) -> None:
    """Limit 0, delay 0, sensitive output, timedeltas, and any kind of mapping."""
    assert isinstance(resolve(raw), StepConfig)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ("5 seconds", "config is '5 seconds'"),
        ([], "config is []"),
        ({"retrys": RETRIES}, "Did you mean 'retries'?"),
        ({"timeOut": 5}, "Did you mean 'timeout'?"),
        ({3: 5}, "unknown key 3 in config"),
        ({"retries": 3}, "retries is 3"),
        ({"retries": {**RETRIES, "limit": -1}}, "retries.limit is -1"),
        ({"retries": {**RETRIES, "limit": 10_001}}, "from 0 to 10000"),
        ({"retries": {**RETRIES, "limit": math.inf}}, "retries.limit is inf"),
        ({"retries": {**RETRIES, "limit": True}}, "retries.limit is True"),
        ({"retries": {**RETRIES, "limit": "3"}}, "retries.limit is '3'"),
        ({"retries": {**RETRIES, "delay": -1}}, "retries.delay -1 is negative"),
        ({"retries": {**RETRIES, "delay": None}}, "retries.delay is None"),
        ({"retries": {**RETRIES, "backoff": "cubic"}}, "'constant', 'linear', 'exponential'"),
        ({"retries": {**RETRIES, "backoff": 2}}, "retries.backoff is 2"),
        ({"retries": {**RETRIES, "jitter": 1.5}}, "retries.jitter is 1.5"),
        ({"retries": {**RETRIES, "jitter": True}}, "retries.jitter is True"),
        ({"retries": {**RETRIES, "jitter": math.nan}}, "retries.jitter is nan"),
        ({"retries": {**RETRIES, "max_delay": "long"}}, "retries.max_delay 'long'"),
        ({"retries": {**RETRIES, "delay": "2 years"}}, "retries.delay is '2 years'"),
        ({"timeout": None}, "timeout is None"),
        ({"timeout": True}, "timeout is True"),
        ({"timeout": "10 sec"}, "year, month, week"),
        ({"timeout": math.inf}, "not finite"),
        ({"timeout": 0.2}, "more than 0 milliseconds"),
        ({"overlap": 1}, "overlap is 1"),
    ],
)
def test_other_faults_are_named(raw: object, named: str) -> None:
    """A message names the key, the value and what is allowed, and the nearest key for a typo."""
    with pytest.raises(WorkflowFatalError) as caught:
        resolve(raw)

    assert named in str(caught.value)


def test_a20_retries_are_merged_over_the_defaults() -> None:
    """Retries without backoff is still exponential, and the timeout keeps its default."""
    config = resolve({"retries": RETRIES})

    assert Retries(limit=3, delay=500, delay_ms=500, backoff=Backoff.EXPONENTIAL) == config.retries
    assert ("10 minutes", 600_000) == (config.timeout, config.timeout_ms)


def test_keywords_win_over_the_mapping() -> None:
    """Keywords replace keys of the mapping, and retries are merged key by key."""
    raw = {"retries": {"limit": 3, "delay": "1 second", "backoff": "linear"}, "timeout": 5}

    config = resolve(raw, retries={"limit": 7}, timeout="1 minute", sensitive="output")

    assert (
        Retries(limit=7, delay="1 second", delay_ms=1000, backoff=Backoff.LINEAR) == config.retries
    )
    assert 60_000 == config.timeout_ms
    assert config.is_sensitive
    assert {"limit": 3, "delay": "1 second", "backoff": "linear"} == raw["retries"]


def test_keywords_alone_must_be_complete() -> None:
    """A21 holds for what comes out of the merge."""
    with pytest.raises(WorkflowFatalError, match="without 'delay'"):
        resolve(retries={"limit": 7})


def test_own_keys() -> None:
    """max_delay, jitter and overlap are understood."""
    raw = {"retries": {**RETRIES, "max_delay": "1 minute", "jitter": 1}, "overlap": True}

    config = resolve(raw)

    assert (60_000, 1.0) == (config.retries.max_delay_ms, config.retries.jitter)
    assert config.may_overlap


def test_a_repeated_literal_gives_the_same_object() -> None:
    """The result of an equal literal is shared; one changed in between is not mistaken for it."""
    raw: dict[str, Any] = {"retries": dict(RETRIES)}
    first = resolve_config(raw, None, LIMITS)

    assert resolve_config({"retries": dict(RETRIES)}, None, LIMITS) is first
    raw["retries"]["limit"] = 4
    assert 4 == resolve_config(raw, None, LIMITS).config.retries.limit
    assert 3 == first.config.retries.limit


def test_the_cache_does_not_confuse_equal_numbers_of_other_types() -> None:
    """1 is a limit, True is not, although they are equal."""
    resolve({"retries": {"limit": 1, "delay": 1}})

    with pytest.raises(WorkflowFatalError):
        resolve({"retries": {"limit": True, "delay": 1}})


def test_the_cache_knows_the_limits() -> None:
    """What one set of limits allows, a stricter one still refuses."""
    resolve({"retries": RETRIES})

    with pytest.raises(WorkflowFatalError, match="from 0 to 2"):
        resolve_config({"retries": RETRIES}, None, Limits(retries_max=2))


def test_the_cache_is_bounded() -> None:
    """Thousands of different configurations are resolved rightly, and not all kept."""
    for timeout in range(1, 2_500):
        assert timeout == resolve({"timeout": timeout}).timeout_ms


def test_a_long_value_is_shortened_in_the_message() -> None:
    """A message shows the beginning of what was written."""
    with pytest.raises(WorkflowFatalError) as caught:
        resolve({"sensitive": "x" * 10_000})

    assert "sensitive is 'xxx" in str(caught.value)
    assert 300 > len(str(caught.value))


def test_functions_are_never_taken_from_the_cache() -> None:
    """Two steps with equal text but different functions keep their own."""
    functions = [lambda _failure, n=n: n for n in range(2)]

    found = [
        resolve_config({"retries": {"limit": 1, "delay": function}}, None, LIMITS).delay
        for function in functions
    ]

    assert functions == found


def test_s54_the_public_form_shows_all_defaults() -> None:
    """A step without configuration sees the defaults."""
    shown = {
        "retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"},
        "timeout": "10 minutes",
    }

    assert shown == public_config(DEFAULT_CONFIG)


def test_s6_the_public_form_has_no_dynamic_delay() -> None:
    """With a function the key is absent; a static delay is shown as written."""
    dynamic = resolve({"retries": {"limit": 1, "delay": lambda _failure: 1}})
    static = resolve({"retries": {"limit": 1, "delay": 1234}})

    assert {"limit": 1, "backoff": "exponential"} == public_config(dynamic)["retries"]
    assert {"limit": 1, "delay": 1234, "backoff": "exponential"} == public_config(static)["retries"]


def test_s56_the_public_form_is_a_new_copy_each_time() -> None:
    """Changing what a step was shown changes nothing."""
    shown = public_config(DEFAULT_CONFIG)
    shown["retries"]["limit"] = 100  # type: ignore[index]

    assert {"limit": 5, "delay": 10_000, "backoff": "exponential"} == public_config(DEFAULT_CONFIG)[
        "retries"
    ]


@pytest.mark.parametrize(
    "raw",
    [
        {"retries": RETRIES},
        {"retries": {"limit": 0, "delay": "1 hour", "backoff": "constant"}, "timeout": "1h"},
        {"timeout": timedelta(seconds=5)},
        {"timeout": 1.5, "sensitive": "output", "overlap": True},
        {"retries": {**RETRIES, "delay": lambda _failure: 1, "jitter": 0.5, "max_delay": "1 day"}},
    ],
)
def test_e8_a_stored_config_is_read_back_the_same(raw: dict[str, Any]) -> None:
    """The detail is JSON, and gives the same configuration in a later life."""
    config = resolve(raw)

    assert config == config_from_detail(json.loads(json.dumps(config_to_detail(config))))


def test_the_default_config_is_stored_as_nothing() -> None:
    """Most steps have no configuration, and store none."""
    assert config_to_detail(DEFAULT_CONFIG) is None
    assert config_from_detail(None) is DEFAULT_CONFIG


def test_a31_the_stored_form_marks_a_dynamic_delay() -> None:
    """Functions cannot be stored; a marker stands in their place."""
    detail = config_to_detail(resolve({"retries": {"limit": 1, "delay": lambda _failure: 1}}))

    assert detail is not None
    assert {"limit": 1, "delay": "[dynamic]", "backoff": "exponential"} == detail["retries"]


@pytest.mark.parametrize(
    "detail",
    [
        "nonsense",
        [],
        {},
        {"retries": 5, "timeout": []},
        {"retries": {"limit": "x", "delay": {}, "backoff": [], "jitter": 9, "max_delay": "?"}},
        {"timeout": "nonsense", "sensitive": 1, "overlap": "x"},
        {"timeout": 0},
    ],
)
def test_a_damaged_config_reads_as_the_default(detail: object) -> None:
    """Reading history never fails for what a row holds."""
    assert config_from_detail(detail) == DEFAULT_CONFIG
