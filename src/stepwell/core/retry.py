"""Whether a failed attempt is tried again, and after how long."""

from __future__ import annotations

from typing import Final

from stepwell.errors import NonRetryableError, WorkflowFatalError
from stepwell.model.limits import DAY_MS
from stepwell.model.step import Backoff, Retries

WAIT_MS_MAX: Final = 365 * DAY_MS
_NON_RETRYABLE: Final = "NonRetryableError"
_MEMBERS_MAX: Final = 10_000  # of groups in groups; what lies beyond them is not asked
_DOUBLINGS_MAX: Final = 64  # more of them exceed every maximum, and only make huge numbers


def retry_wait_ms(retries: Retries, *, attempt: int, base_ms: int, chance: float) -> int:
    """Tell how long to wait after a failed attempt.

    Args:
        retries: the step's configuration.
        attempt: number of the attempt that just failed, from 1.
        base_ms: the delay, also where a function decided it.
        chance: a number from 0 up to 1; it picks the place inside the span of `jitter`.

    Returns:
        Milliseconds: the delay grown by the backoff, at most `max_delay` and at most 365 days,
        then made shorter by up to the share that `jitter` names. (Shorter, never longer: so
        `max_delay` stays a maximum, and steps that all reached it are still spread.)
    """
    longest = WAIT_MS_MAX
    if retries.max_delay_ms is not None:
        longest = min(longest, retries.max_delay_ms)
    wait = min(base_ms * _growth(retries.backoff, attempt), longest)
    if retries.jitter:
        wait = round(wait * (1 - retries.jitter * chance))
    return max(wait, 0)


def is_retryable(error: BaseException) -> bool:
    """Claim that trying again may help.

    Not after a `NonRetryableError` or a `WorkflowFatalError`, nor after an error that says by its
    class's or its own name that it is a `NonRetryableError` (other packages have one too), nor
    after a group that holds such an error.
    """
    waiting = [error]
    for _ in range(_MEMBERS_MAX):
        if not waiting:
            return True
        one = waiting.pop()
        if _refuses_retries(one):
            return False
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
    return True


def _refuses_retries(error: BaseException) -> bool:
    """Tell it of an error by itself, whatever it holds."""
    if isinstance(error, NonRetryableError | WorkflowFatalError):
        return True
    if any(kind.__name__ == _NON_RETRYABLE for kind in type(error).__mro__):
        return True
    try:
        name = getattr(error, "name", None)
    except Exception:  # noqa: BLE001  (a property of user code may raise anything)
        return False
    return isinstance(name, str) and name == _NON_RETRYABLE


def _growth(backoff: Backoff, attempt: int) -> int:
    match backoff:
        case Backoff.CONSTANT:
            return 1
        case Backoff.LINEAR:
            return attempt
        case Backoff.EXPONENTIAL:
            return 1 << min(max(attempt - 1, 0), _DOUBLINGS_MAX)
