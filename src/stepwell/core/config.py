"""The configuration of a step: what authors may write, and what it means.

An author writes a mapping, such as `{"retries": {"limit": 3, "delay": "5 seconds"}}`, or keywords,
such as `timeout="1 minute"`, or both: keywords win, and `retries` is merged key by key. The result
is merged over the defaults the same way. Validation is strict, because a key that is silently
ignored is found out in production.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Final

from stepwell.errors import WorkflowFatalError
from stepwell.model.duration import InvalidDuration, parse_duration
from stepwell.model.limits import Limits
from stepwell.model.step import (
    DEFAULT_CONFIG,
    DYNAMIC_DELAY,
    Backoff,
    Retries,
    StepConfig,
)

DelayFunction = Callable[..., object]
Raw = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """A checked configuration, and the function that decides its delay where one does."""

    config: StepConfig
    delay: DelayFunction | None = None


DEFAULT_RESOLVED: Final = ResolvedConfig(DEFAULT_CONFIG)

_KEYS: Final = ("retries", "timeout", "sensitive", "overlap")
_RETRY_KEYS: Final = ("limit", "delay", "backoff", "max_delay", "jitter")
_CACHE_ENTRIES_MAX: Final = 1_000
_SHOWN_CHARS_MAX: Final = 80
_cache: dict[tuple[str, str], tuple[Limits, ResolvedConfig]] = {}


def resolve_config(
    raw: object, options: Raw | None, limits: Limits, step: str = "", what: str = "config"
) -> ResolvedConfig:
    """Check what an author wrote, and merge it over the defaults.

    Args:
        raw: the mapping; None where the author gave none.
        options: the keywords; a value of None counts as not given.
        limits: the maxima to keep.
        step: name of the step, for messages.
        what: what the mapping is called there.

    Raises:
        WorkflowFatalError: names the step, the key, the value and what is allowed.
    """
    if raw is None and not options:
        return DEFAULT_RESOLVED
    # Authors write the same few literals at every run, and equal text means equal meaning: repr
    # tells 1, 1.0 and True apart. A configuration with a function in it is never kept.
    key = (repr(raw), repr(options))
    known_limits, known = _cache.get(key, (None, DEFAULT_RESOLVED))
    if known_limits is limits:
        return known
    try:
        resolved = _resolve(_merged(raw, options), limits)
    except _Refused as refused:
        raise WorkflowFatalError(
            f"The {what} of step {step!r} is not allowed: {refused}"
        ) from refused.__cause__
    if resolved.delay is None and _is_literal(raw) and _is_literal(options):
        if len(_cache) >= _CACHE_ENTRIES_MAX:
            _cache.clear()
        _cache[key] = (limits, resolved)
    return resolved


def public_config(config: StepConfig) -> dict[str, object]:
    """Show a configuration to a step (`ctx.config`): a new copy, without a dynamic `delay`."""
    return _shown(config, dynamic_delay=None)


def config_to_detail(config: StepConfig) -> dict[str, object] | None:
    """Give a configuration as it is stored and logged; None for the default one.

    It is the public form, with the marker `[dynamic]` where a function decides the delay.
    """
    return None if config == DEFAULT_CONFIG else _shown(config, dynamic_delay=DYNAMIC_DELAY)


def config_from_detail(detail: object) -> StepConfig:
    """Read a stored configuration; what is absent or damaged in it has its default."""
    if not isinstance(detail, Mapping):
        return DEFAULT_CONFIG
    timeout, timeout_ms = _stored_duration(detail.get("timeout")) or (None, None)
    return StepConfig(
        retries=_stored_retries(detail.get("retries")),
        timeout=timeout if timeout and timeout_ms else DEFAULT_CONFIG.timeout,
        timeout_ms=timeout_ms or DEFAULT_CONFIG.timeout_ms,
        is_sensitive=detail.get("sensitive") == "output",
        may_overlap=detail.get("overlap") is True,
    )


def _shown(config: StepConfig, *, dynamic_delay: str | None) -> dict[str, object]:
    """Write a configuration in an author's words; what is optional only where it is set."""
    retries: dict[str, object] = {"limit": config.retries.limit}
    delay = dynamic_delay if config.retries.delay_ms is None else config.retries.delay
    if delay is not None:
        retries["delay"] = delay
    retries["backoff"] = config.retries.backoff.value
    if config.retries.max_delay_ms is not None:
        retries["max_delay"] = config.retries.max_delay_ms
    if config.retries.jitter:
        retries["jitter"] = config.retries.jitter
    shown: dict[str, object] = {"retries": retries, "timeout": config.timeout}
    if config.is_sensitive:
        shown["sensitive"] = "output"
    if config.may_overlap:
        shown["overlap"] = True
    return shown


def _merged(raw: object, options: Raw | None) -> dict[str, object]:
    """Lay the keywords over the mapping."""
    if raw is None:
        merged: dict[str, object] = {}
    elif isinstance(raw, Mapping):
        merged = dict(raw)
    else:
        raise _refusal("config", raw, "a mapping such as {'retries': {…}, 'timeout': '1 minute'}")
    for key, value in (options or {}).items():
        if value is None:
            continue
        below = merged.get(key)
        if key == "retries" and isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = {**below, **value}
        else:
            merged[key] = value
    return merged


def _resolve(raw: Raw, limits: Limits) -> ResolvedConfig:
    _check_keys(raw, _KEYS, "config")
    retries, delay = DEFAULT_CONFIG.retries, None
    if "retries" in raw:
        retries, delay = _resolve_retries(raw["retries"], limits)
    timeout, timeout_ms = DEFAULT_CONFIG.timeout, DEFAULT_CONFIG.timeout_ms
    if "timeout" in raw:
        timeout, timeout_ms = _duration("timeout", raw["timeout"], limits)
        if timeout_ms <= 0:
            raise _refusal("timeout", raw["timeout"], "more than 0 milliseconds")
    sensitive = raw.get("sensitive")
    if sensitive is not None and sensitive != "output":
        raise _refusal("sensitive", sensitive, "'output', or left out")
    overlap = raw.get("overlap", False)
    if not isinstance(overlap, bool):
        raise _refusal("overlap", overlap, "True or False")
    config = StepConfig(
        retries=retries,
        timeout=timeout,
        timeout_ms=timeout_ms,
        is_sensitive=sensitive == "output",
        may_overlap=overlap,
    )
    if config == DEFAULT_CONFIG:
        return DEFAULT_RESOLVED
    return ResolvedConfig(config, delay)


def _resolve_retries(raw: object, limits: Limits) -> tuple[Retries, DelayFunction | None]:
    if not isinstance(raw, Mapping):
        raise _refusal("retries", raw, "a mapping with 'limit' and 'delay'")
    _check_keys(raw, _RETRY_KEYS, "retries")
    missing = [key for key in ("limit", "delay") if key not in raw]
    if missing:
        example = {"limit": 5, "delay": "10 seconds", **raw}
        raise _Refused(
            f"retries is {_short(dict(raw))}, without {' and '.join(map(repr, missing))}; "
            f"give both, as in retries={_short(example)}."
        )
    delay, delay_ms, function = _resolve_delay(raw["delay"], limits)
    max_delay_ms = None
    if raw.get("max_delay") is not None:
        max_delay_ms = _duration("retries.max_delay", raw["max_delay"], limits)[1]
    retries = Retries(
        limit=_limit(raw["limit"], limits),
        delay=delay,
        delay_ms=delay_ms,
        backoff=_backoff(raw.get("backoff", Backoff.EXPONENTIAL)),
        max_delay_ms=max_delay_ms,
        jitter=_jitter(raw.get("jitter", 0.0)),
    )
    return retries, function


def _resolve_delay(
    raw: object, limits: Limits
) -> tuple[int | float | str, int | None, DelayFunction | None]:
    if callable(raw):
        return DYNAMIC_DELAY, None, raw
    written, ms = _duration("retries.delay", raw, limits, "or a function")
    return written, ms, None


def _limit(raw: object, limits: Limits) -> int:
    if type(raw) is int and 0 <= raw <= limits.retries_max:
        return raw
    raise _refusal("retries.limit", raw, f"a whole number from 0 to {limits.retries_max}")


def _backoff(raw: object) -> Backoff:
    if isinstance(raw, str):
        try:
            return Backoff(raw)
        except ValueError:
            pass
    raise _refusal("retries.backoff", raw, _one_of(Backoff))


def _jitter(raw: object) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw <= 1:
        return float(raw)
    raise _refusal("retries.jitter", raw, "a number from 0 to 1")


def _duration(
    key: str, raw: object, limits: Limits, also: str = ""
) -> tuple[int | float | str, int]:
    """Give a duration as it was written, and its milliseconds."""
    allowed = f"a duration such as 500 (milliseconds) or '30 seconds' {also}".rstrip()
    if isinstance(raw, bool) or not isinstance(raw, int | float | str | timedelta):
        raise _refusal(key, raw, allowed)
    try:
        ms = parse_duration(raw, what=key)
    except InvalidDuration as exc:
        raise _Refused(str(exc)) from exc
    if ms > limits.sleep_ms_max:
        raise _refusal(key, raw, f"at most {limits.sleep_ms_max} milliseconds")
    return (ms if isinstance(raw, timedelta) else raw), ms


def _check_keys(raw: Raw, allowed: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in allowed:
            near = get_close_matches(str(key).lower(), allowed, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise _Refused(f"unknown key {key!r} in {where}; allowed are {_one_of(allowed)}.{hint}")


class _Refused(Exception):
    """A part of a configuration is not allowed. The message lacks only whose it is."""


def _refusal(key: str, value: object, allowed: str) -> _Refused:
    return _Refused(f"{key} is {_short(value)}; it must be {allowed}.")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARS_MAX else f"{shown[: _SHOWN_CHARS_MAX - 3]}..."


def _one_of(words: Iterable[str]) -> str:
    return ", ".join(f"'{word!s}'" for word in words)


def _is_literal(raw: object) -> bool:
    """Claim that a configuration consists of plain types only, whose repr says all."""
    match raw:
        case None:
            return True
        case dict():
            return type(raw) is dict and all(map(_is_literal, raw.values()))
        case _:
            return type(raw) in (int, float, str, bool, timedelta)


def _stored_retries(raw: object) -> Retries:
    default = DEFAULT_CONFIG.retries
    if not isinstance(raw, Mapping):
        return default
    limit, jitter = raw.get("limit"), raw.get("jitter")
    delay = _stored_duration(raw.get("delay")) or (default.delay, default.delay_ms)
    longest = _stored_duration(raw.get("max_delay"))
    return Retries(
        limit=limit if type(limit) is int and limit >= 0 else default.limit,
        delay=delay[0],
        delay_ms=delay[1],
        backoff=_stored_backoff(raw.get("backoff")),
        max_delay_ms=longest and longest[1],
        jitter=float(jitter) if isinstance(jitter, int | float) and 0 <= jitter <= 1 else 0.0,
    )


def _stored_backoff(raw: object) -> Backoff:
    return next((known for known in Backoff if known == raw), DEFAULT_CONFIG.retries.backoff)


def _stored_duration(raw: object) -> tuple[int | float | str, int | None] | None:
    """Read a stored duration; None where there is none, or a damaged one."""
    if not isinstance(raw, int | float | str):
        return None
    if raw == DYNAMIC_DELAY:
        return raw, None
    try:
        return raw, parse_duration(raw)
    except InvalidDuration:
        return None
