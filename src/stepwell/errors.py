"""The errors that Stepwell raises, as one tree.

    StepwellError                     anything that Stepwell raises on purpose
    ├── WorkflowError                 a verb on a workflow or instance was refused; has a `code`
    │   ├── InstanceNotFound          instance.not_found
    │   ├── InstanceAlreadyExists     instance.already_exists
    │   ├── WorkflowNotFound          workflow.not_found
    │   └── InvalidRequest            a name, id, parameter or batch that breaks a rule
    ├── WorkflowFatalError            the workflow's code uses a step wrongly; never retried
    │   ├── NotSerializableError      a value that cannot be stored; has `path` and `type_name`
    │   ├── NonRetryableDelayError    a delay function gave no usable delay
    │   ├── PayloadTooLargeError      a value above its maximum
    │   └── the four stream errors    InvalidStepStreamError, UnsupportedStreamChunkError,
    │                                 OversizedStreamChunkError, StreamOutputStorageLimitError
    ├── WorkflowTimeoutError          an attempt or a wait took too long; also a TimeoutError
    ├── WorkflowInternalError         the engine's own failure, e.g. the worker of an attempt died
    ├── NonRetryableError             raise it in a step: fails now, without further attempts
    ├── StepError                     stands for a step's error whose class cannot be imported here
    ├── RollbackMissing               a step must be rolled back but its handler is gone
    ├── Terminated                    the trigger that rollback handlers see in a termination
    ├── InstanceErrored               `result()` of an instance that failed; its error is the cause
    ├── InstanceTerminated            `result()` of an instance that was terminated
    ├── ProjectError                  a project cannot be run as it is; has its `problems`
    ├── AddressError                  the development server cannot listen there
    ├── StartUpError                  the project's ASGI app failed at its own start-up
    ├── D1Error                       a D1 database cannot do what a statement asked
    └── StoreError                    the database cannot do what was asked
        ├── StoreBusy                 locked by another process for longer than the time limit
        ├── StoreFull                 the disk or the database's quota is full
        ├── StoreDiskError            the disk or its file system has failed
        ├── StoreReadOnly             file or folder may not be written
        ├── StoreCorrupt              the file is damaged or is no database
        ├── SchemaTooNew              a newer Stepwell has upgraded the file
        └── HistoryTooNew             a newer Stepwell has written words that this one does not know

`InvalidDuration` is a ValueError of `model.duration`, which lies below; what takes durations turns
it into one of these.

A class may be further down than here where only one room raises it: errors of D1, of the project's
file and of the server are StepwellErrors of `runtime` and `http`.

Outside of the tree are what Python's own classes say (TypeError for wrong arguments of a decorated
step, ValueError for a time that is past, TimeoutError of `result(timeout=…)`), and the control flow
of the engine: `RunDropped` and `ReplayEnded` are BaseExceptions, so that no `except Exception` in
user code can eat them.

The first line of a class's docstring is its default message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from stepwell.model.problem import Problem


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]


class StepwellError(Exception):
    """Something went wrong in Stepwell."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or _first_line(type(self)))


class WorkflowError(StepwellError):
    """The request was refused."""

    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str | None = None, code: str | None = None) -> None:
        self.code = code or self.default_code
        super().__init__(f"({self.code}) {message or _first_line(type(self))}")


class InstanceNotFound(WorkflowError):
    """There is no such instance."""

    default_code = "instance.not_found"


class InstanceAlreadyExists(WorkflowError):
    """An instance of this id exists already."""

    default_code = "instance.already_exists"


class WorkflowNotFound(WorkflowError):
    """There is no such workflow."""

    default_code = "workflow.not_found"


class InvalidRequest(WorkflowError):
    """The request breaks a rule."""

    default_code = "body"


class WorkflowFatalError(StepwellError):
    """The workflow uses a step wrongly; trying again cannot help."""


class NotSerializableError(WorkflowFatalError):
    """A value cannot be stored."""

    def __init__(
        self, message: str | None = None, *, path: str = "$", type_name: str = "object"
    ) -> None:
        self.path = path
        self.type_name = type_name
        super().__init__(message)


class PayloadTooLargeError(WorkflowFatalError):
    """A value is larger than may be stored."""


class NonRetryableDelayError(WorkflowFatalError):
    """A delay function gave no usable delay."""


class InvalidStepStreamError(WorkflowFatalError):
    """A step returned a byte stream that is already in use."""


class UnsupportedStreamChunkError(WorkflowFatalError):
    """A step's byte stream gave something other than bytes."""


class OversizedStreamChunkError(WorkflowFatalError):
    """A step's byte stream gave a chunk that is too large."""


class StreamOutputStorageLimitError(WorkflowFatalError):
    """A step's byte stream does not fit into what an instance may store."""


class WorkflowTimeoutError(StepwellError, TimeoutError):
    """It took longer than it may."""


class WorkflowInternalError(StepwellError):
    """The engine could not finish this.

    Not the workflow's code but something around it failed: the worker of an attempt died, or what
    is stored cannot be read. Where it fails an attempt, the step is tried again.
    """


class NonRetryableError(StepwellError):
    """This error must not be retried.

    Raise it, or a subclass, in a step's callable where trying again cannot help (a wrong address, a
    refused card): the step fails at once, whatever retries it has left. In `run` it can be caught
    like any other error; uncaught, it fails the instance.

    Args:
        message: what went wrong.
        name: what the log shows as the error's name.
    """

    def __init__(self, message: str = "", name: str = "NonRetryableError") -> None:
        self.name = name
        Exception.__init__(self, message)


class StepError(StepwellError):
    """A step failed with an error whose class cannot be imported here."""

    def __init__(self, message: str = "", name: str = "Error") -> None:
        self.name = name
        Exception.__init__(self, message)


class RollbackMissing(StepwellError):
    """A started step must be rolled back, but the code no longer registers its handler."""


class Terminated(StepwellError):
    """The instance was terminated."""


class InstanceErrored(StepwellError):
    """The instance ended with an error; it is the cause of this one."""


class InstanceTerminated(StepwellError):
    """The instance was terminated before it ended by itself."""


class ProjectError(StepwellError):
    """The project cannot be run as it is."""

    def __init__(self, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)) or None)


class AddressError(StepwellError):
    """The address cannot be listened on."""


class StartUpError(StepwellError):
    """The app did not start: its own start-up failed, as told above."""


class D1Error(StepwellError):
    """The database could not do what a statement asked.

    Attributes:
        reason: the database's own words, e.g. `UNIQUE constraint failed: users.email`.
        sql: the statement.
    """

    def __init__(
        self, message: str | None = None, *, reason: str | None = None, sql: str | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason if reason is not None else str(self)
        self.sql = sql


class StoreError(StepwellError):
    """The database cannot do what was asked."""


class StoreBusy(StoreError):
    """The database stayed locked by another process."""


class StoreDiskError(StoreError):
    """The disk or its file system has failed; once it works again, work goes on by itself."""


class StoreFull(StoreError):
    """The disk is full; free space, and work goes on by itself."""


class StoreReadOnly(StoreError):
    """The database may not be written."""


class StoreCorrupt(StoreError):
    """The file is damaged, or it is no Stepwell database."""


class SchemaTooNew(StoreError):
    """The database was upgraded by a newer Stepwell."""


class HistoryTooNew(StoreError):
    """A newer Stepwell has written to this instance; only one of that version can go on with it."""


class RunDropped(BaseException):
    """This run may not go on: it was replaced, paused, terminated or handed back."""


class ReplayEnded(BaseException):
    """A replay that executes nothing, for a rollback, has gone far enough."""
