"""What a step's work leaves behind for a demonstration: a slower pace, and a log of what ran.

With `EFFECTS_LOG` set, the work of every step appends one line with the step's name to that file.
A step whose result is stored never appends again, whatever happens to the process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from invention.settings import Env, setting, setting_as_number

T = TypeVar("T")


async def perform(env: Env, step_name: str, work: Callable[[], Awaitable[T]]) -> T:
    """Do the work of a step: wait `DEMO_STEP_SECONDS`, work, and append to `EFFECTS_LOG`."""
    seconds = setting_as_number(env, "DEMO_STEP_SECONDS", 0)
    if seconds > 0:
        await asyncio.sleep(seconds)
    result = await work()
    path = setting(env, "EFFECTS_LOG")
    if path:
        _append_line(path, step_name)
    return result


def _append_line(path: str, line: str) -> None:
    # One write with O_APPEND: lines of parallel steps, and of several processes, stay whole.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)
