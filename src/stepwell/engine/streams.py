"""Byte streams that steps return: stored in pieces while they are drained, replayed from there.

The pieces of an attempt become the step's result only with its final fact; what a failed or crashed
attempt left is removed before the next one starts and when the attempt fails.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any, Final

from stepwell.core.events import read_detail
from stepwell.engine.hold import Hold
from stepwell.errors import (
    InvalidStepStreamError,
    OversizedStreamChunkError,
    StoreError,
    StreamOutputStorageLimitError,
    UnsupportedStreamChunkError,
    WorkflowInternalError,
)
from stepwell.model.command import DropChunks, PutChunk
from stepwell.model.limits import STREAM_PIECE_BYTES, STREAM_PREVIEW_CHARS
from stepwell.model.step import Fact, StepKey

_STREAM_KEY: Final = '"stream":'


def is_stream(value: Any) -> bool:
    """Claim that a step's value is a byte stream to be drained."""
    return hasattr(value, "__anext__") and hasattr(value, "__aiter__")


class StreamWriter:
    """Drains one attempt's stream into the store."""

    def __init__(self, hold: Hold, key: StepKey, ordinal: int, attempt: int) -> None:
        self._hold = hold
        self._key = key
        self._ordinal = ordinal
        self._attempt = attempt
        self._buffer = bytearray()
        self._head = bytearray()
        self._bytes = 0
        self._pieces = 0

    async def drain(self, stream: AsyncIterator[Any]) -> dict[str, Any]:
        """Store all of it; gives the facts about it that belong into the step's final fact.

        Raises:
            InvalidStepStreamError: the stream is used up or in use.
            UnsupportedStreamChunkError: it gave something other than bytes.
            OversizedStreamChunkError: it gave a chunk above the maximum.
            StreamOutputStorageLimitError: it does not fit into what an instance may store.
        """
        self._check_fresh(stream)
        await self.wipe()
        try:
            async for chunk in stream:
                self._add(self._checked(chunk))
                while len(self._buffer) >= STREAM_PIECE_BYTES:
                    await self._put(STREAM_PIECE_BYTES)
        finally:  # a refused one is still in the middle: its `finally` must not wait for chance
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()
        if self._buffer:
            await self._put(len(self._buffer))
        return {"bytes": self._bytes, "chunks": self._pieces, "preview": self._preview()}

    async def wipe(self) -> None:
        """Remove what an earlier attempt, or this one, has stored."""
        self._hold.stored_bytes -= self._bytes
        self._bytes = 0
        await self._hold.write(DropChunks(lease=self._hold.lease, step=self._key))

    def _check_fresh(self, stream: Any) -> None:
        is_used_up = hasattr(stream, "ag_frame") and stream.ag_frame is None
        if is_used_up or getattr(stream, "ag_running", False):
            raise InvalidStepStreamError(
                f"step {self._key.label} returned a byte stream that is already in use or used up; "
                "return a fresh async iterator"
            )

    def _checked(self, chunk: Any) -> bytes:
        if not isinstance(chunk, (bytes, bytearray, memoryview)):
            if not hasattr(chunk, "tobytes"):  # array.array and numpy arrays have it
                raise UnsupportedStreamChunkError(
                    f"the byte stream of step {self._key.label} gave {type(chunk).__name__}; "
                    "it may give bytes, bytearray, memoryview or array"
                )
            chunk = chunk.tobytes()
        data = bytes(chunk)
        limits = self._hold.services.limits
        if len(data) > limits.stream_chunk_bytes_max:
            raise OversizedStreamChunkError(
                f"the byte stream of step {self._key.label} gave a chunk of {len(data)} bytes; "
                f"at most {limits.stream_chunk_bytes_max} are allowed, so give smaller ones"
            )
        if self._hold.stored_bytes + len(data) > limits.instance_bytes_max:
            raise StreamOutputStorageLimitError(
                f"the byte stream of step {self._key.label} does not fit: an instance may store "
                f"{limits.instance_bytes_max} bytes in all"
            )
        return data

    def _add(self, data: bytes) -> None:
        self._buffer += data
        self._bytes += len(data)
        self._hold.stored_bytes += len(data)
        wanted = STREAM_PREVIEW_CHARS * 4 + 4
        if len(self._head) < wanted:
            self._head += data[: wanted - len(self._head)]

    async def _put(self, size: int) -> None:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        command = PutChunk(
            lease=self._hold.lease,
            step=self._key,
            ordinal=self._ordinal,
            attempt=self._attempt,
            index=self._pieces,
            data=data,
        )
        self._pieces += 1
        await self._hold.write(command)

    def _preview(self) -> str:
        try:
            text = self._head.decode("utf-8")
        except UnicodeDecodeError as error:
            # The head may end in the middle of a character; anything earlier is no text.
            if self._bytes <= len(self._head) or error.start < len(self._head) - 4:
                return f"[{self._bytes} bytes of binary data]"
            text = self._head[: error.start].decode("utf-8")
        if len(text) > STREAM_PREVIEW_CHARS:
            return f"{text[:STREAM_PREVIEW_CHARS]}… [truncated: {self._bytes} bytes in all]"
        return text


def stored_bytes(facts: Iterable[Fact]) -> int:
    """Tell how many bytes a history's values and streams take."""
    total = 0
    for fact in facts:
        if fact.payload is not None:
            total += len(fact.payload)
        elif fact.detail is not None and _STREAM_KEY in fact.detail:
            stream = read_detail(fact.detail).get("stream")
            total += int(stream["bytes"]) if isinstance(stream, dict) else 0
    return total


async def replay_stream(
    hold: Hold, key: StepKey, attempt: int, pieces: int
) -> AsyncIterator[bytes]:
    """Give a stored stream again, piece by piece (original chunk boundaries are not kept)."""
    for index in range(pieces):
        try:
            data = await hold.services.store.read_chunk(hold.lease.key, key, attempt, index)
        except StoreError as error:
            raise hold.fail(error) from error
        if data is None:
            raise WorkflowInternalError(
                f"piece {index} of the stream of step {key.label} is missing; "
                "the instance was restarted or deleted meanwhile"
            )
        yield data
