"""An instance as a binding on `env` hands it out: Cloudflare's options are understood too.

await instance.terminate(rollback=True)                    # Stepwell's form
await instance.terminate({"rollback": True})               # Cloudflare's form
await instance.restart({"from": {"name": "create user"}})  # Cloudflare's form
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell.client.handles import WorkflowInstance
from stepwell.errors import InvalidRequest


class BoundInstance:
    """Everything that a `WorkflowInstance` has, and two verbs that speak both dialects."""

    __slots__ = ("_instance",)

    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying asks for such names before there is an instance
            raise AttributeError(name)
        return getattr(self._instance, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._instance)})

    def __repr__(self) -> str:
        return repr(self._instance)

    async def terminate(
        self, options: Mapping[str, Any] | None = None, *, rollback: bool = False
    ) -> None:
        """End the instance now; see `WorkflowInstance.terminate`.

        Raises:
            InvalidRequest: the options are none that it has.
            WorkflowError: code `instance.cannot_terminate`, it has ended already.
        """
        if options is not None:
            rollback = _option(options, "rollback", "terminate()", default=rollback)
            if not isinstance(rollback, bool):
                raise InvalidRequest(
                    f"rollback of terminate() is True or False, not {rollback!r:.80}"
                )
        await self._instance.terminate(rollback=rollback)

    async def restart(
        self,
        options: str | Mapping[str, Any] | None = None,
        *,
        from_step: str | Mapping[str, Any] | None = None,
    ) -> None:
        """Run again from the top, or from a step; see `WorkflowInstance.restart`.

        Args:
            options: `{"from": {"name", "count", "type"}}`, or what `from_step` takes.
            from_step: a step's name, or `{"name", "count", "type"}`.

        Raises:
            InvalidRequest: the options are none that it has.
            WorkflowError: code `instance.cannot_restart`, that step is not in the history.
        """
        if options is not None:
            if from_step is not None:
                raise InvalidRequest("restart() takes either options or from_step, not both")
            match options:
                case str() | {"name": _}:
                    from_step = options
                case _:
                    from_step = _option(options, "from", "restart()", default=None)
        await self._instance.restart(from_step)


def _option(options: object, name: str, what: str, *, default: Any) -> Any:
    """Read the one option that a verb has."""
    if not isinstance(options, Mapping):
        raise InvalidRequest(f"the options of {what} are a mapping, not {options!r:.80}")
    unknown = [key for key in options if key != name]
    if unknown:
        raise InvalidRequest(
            f"{what} has unknown options {', '.join(map(repr, unknown))}; there is {name!r}"
        )
    return options.get(name, default)
