"""Stepwell: durable execution for Python.

A workflow is an ordinary class whose `run(event, step)` calls named steps; each result is on disk
before the next line runs. Names load when they are first used, so importing this costs little.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "open": "stepwell.wiring",
    "Stepwell": "stepwell.client.client",
    "Workflow": "stepwell.client.handles",
    "WorkflowInstance": "stepwell.client.handles",
    "WorkflowEntrypoint": "stepwell.authoring.workflow",
    "WorkflowEvent": "stepwell.authoring.workflow",
    "WorkflowStep": "stepwell.authoring.step",
    "StepContext": "stepwell.authoring.call",
    "RollbackInput": "stepwell.authoring.call",
    "ReceivedEvent": "stepwell.authoring.call",
    "DelayInput": "stepwell.authoring.call",
    "StepConfigDict": "stepwell.authoring.call",
    "RetriesDict": "stepwell.authoring.call",
    "InstanceState": "stepwell.client.views",
    "StepView": "stepwell.client.views",
    "LogEvent": "stepwell.core.events",
    "Limits": "stepwell.model.limits",
    "InstanceStatus": "stepwell.model.instance",
    "StepwellError": "stepwell.errors",
    "WorkflowError": "stepwell.errors",
    "WorkflowFatalError": "stepwell.errors",
    "WorkflowTimeoutError": "stepwell.errors",
    "WorkflowInternalError": "stepwell.errors",
    "NonRetryableError": "stepwell.errors",
    "NotSerializableError": "stepwell.errors",
    "StepError": "stepwell.errors",
    "InstanceErrored": "stepwell.errors",
    "InstanceTerminated": "stepwell.errors",
    "InstanceNotFound": "stepwell.errors",
    "InstanceAlreadyExists": "stepwell.errors",
    "InvalidRequest": "stepwell.errors",
    "WorkflowNotFound": "stepwell.errors",
    "StoreError": "stepwell.errors",
    "StoreBusy": "stepwell.errors",
    "StoreFull": "stepwell.errors",
    "StoreReadOnly": "stepwell.errors",
    "StoreCorrupt": "stepwell.errors",
    "SchemaTooNew": "stepwell.errors",
}
_MODULES = ("blocking", "errors")

# Without `open`: after `from stepwell import *`, open() must still be the one that opens files.
__all__ = [*(name for name in _HOMES if name != "open"), "__version__"]  # noqa: PLE0604  (computed, so that it cannot differ)


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name in _MODULES:
        return import_module(f"stepwell.{name}")  # which makes it an attribute, too
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'stepwell' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_HOMES, *_MODULES, "__version__"])
