"""The attempts of a `do` step's own callable: call it, and say what is stored of its result."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from stepwell.authoring.call import StepContext
from stepwell.core import payload
from stepwell.engine.attempts import Success, context_of
from stepwell.engine.callbacks import Callback, timed_out
from stepwell.engine.hold import Hold
from stepwell.engine.plans import RollbackPlan
from stepwell.engine.streams import StreamWriter, is_stream, replay_stream
from stepwell.errors import RunDropped
from stepwell.model.step import StepConfig, StepKey

_SCALARS: Final = frozenset({type(None), bool, int, float, str})


class Forward:
    """The attempts of a `do` step's own callable."""

    def __init__(
        self,
        hold: Hold,
        key: StepKey,
        ordinal: int,
        config: StepConfig,
        callback: Callback,
        plan: RollbackPlan | None,
    ) -> None:
        self._hold = hold
        self._key = key
        self._ordinal = ordinal
        self._config = config
        self._plan = plan
        self._callback = callback

    async def attempt_once(self, attempt: int) -> Success:
        """Call it once; gives what to store."""
        if self._plan is not None:
            self._plan.attempt = attempt
        if attempt > 1 and not self._config.may_overlap:
            await self._callback.wait_lingering(self._key.label, self._config.timeout_ms)
        context: StepContext | None = None
        if self._callback.wants_context:
            context = context_of(self._key, attempt, self._config)
        value = await self._callback.run(context, self._key.label, self._config.timeout_ms)
        if type(value) not in _SCALARS and is_stream(value):
            return await self._drain(value, attempt)
        text = encode_result(value, self._key, self._hold)
        if self._plan is not None:
            self._plan.payload = text
        return Success(as_replayed(value, text), text, {})

    async def _drain(self, stream: Any, attempt: int) -> Success:
        until = self._callback.began + self._config.timeout_ms / 1000
        writer = StreamWriter(self._hold, self._key, self._ordinal, attempt)
        try:
            async with asyncio.timeout_at(until) as scope:
                stored = await writer.drain(stream)
        except RunDropped:
            raise
        except Exception as error:
            await writer.wipe()
            if isinstance(error, TimeoutError) and scope.expired():
                raise timed_out(self._key.label, self._config.timeout_ms) from None
            raise
        if self._plan is not None:
            self._plan.stream = stored
        result = replay_stream(self._hold, self._key, attempt, stored["chunks"])
        return Success(result, None, {"stream": stored})

    def forget(self) -> None:
        """Let go of what only the attempts need."""
        self._callback = None  # type: ignore[assignment]  # frees user objects held by closures


def as_replayed(value: Any, text: str) -> Any:
    """Give user code what replay would give it: the same in worth, never the object itself."""
    return value if type(value) in _SCALARS else payload.decode(text)


def encode_result(value: Any, key: StepKey, hold: Hold) -> str:
    """Give what is stored of a step's result."""
    bytes_max = hold.services.limits.result_bytes_max
    return payload.encode(value, bytes_max=bytes_max, what=f"the result of step {key.label}")
