"""What the project finds in its environment: bindings, variables and secrets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Protocol

from stepwell import StepConfigDict


class D1Statement(Protocol):
    """A prepared statement of a D1 database."""

    def bind(self, *parameters: Any) -> D1Statement:
        """Give values to the statement's question marks."""

    async def first(self) -> Any:
        """Give the first row, or None."""

    async def all(self) -> Any:
        """Give all rows, as `.results`."""


class D1Database(Protocol):
    """A D1 database."""

    def prepare(self, sql: str) -> D1Statement:
        """Prepare a statement."""

    async def batch(self, statements: Sequence[Any]) -> Any:
        """Execute statements in one transaction."""


class WorkflowBinding(Protocol):
    """The binding of the workflow, from the app's side."""

    async def create(self, *, id: str | None = None, params: Any = None) -> Any:
        """Start an instance."""

    async def get(self, id: str) -> Any:
        """Find an instance; an error when there is none."""


class Env(Protocol):
    """The environment: the two bindings. Variables and secrets are read with `setting`."""

    @property
    def DB(self) -> D1Database:
        """Give the project's database."""

    @property
    def INVENTION_ANALYSIS(self) -> WorkflowBinding:
        """Give the workflow."""


def setting(env: Env, name: str, default: str = "") -> str:
    """Give a variable or secret of the project, else of the process, else the default.

    An empty value counts as unset.
    """
    for value in (getattr(env, name, None), os.environ.get(name)):
        if value not in (None, ""):
            return str(value)
    return default


def setting_as_number(env: Env, name: str, default: float) -> float:
    """Give a setting that is a number.

    Raises:
        ValueError: it is none.
    """
    text = setting(env, name, str(default))
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number, not {text!r}") from None


def retry_config(env: Env, *, limit: int, timeout: str) -> StepConfigDict:
    """Give the retries for a step; `RETRY_DELAY` sets the first delay, which doubles each time."""
    delay = setting(env, "RETRY_DELAY", "2 seconds")
    return {
        "retries": {
            "limit": limit,
            "delay": delay,
            "backoff": "exponential",
            "max_delay": "1 minute",
        },
        "timeout": timeout,
    }
