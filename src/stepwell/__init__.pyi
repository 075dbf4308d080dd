# Types of the public names; `__init__.py` loads them when they are first used.

from stepwell import blocking as blocking
from stepwell import errors as errors
from stepwell.authoring.call import DelayInput as DelayInput
from stepwell.authoring.call import ReceivedEvent as ReceivedEvent
from stepwell.authoring.call import RetriesDict as RetriesDict
from stepwell.authoring.call import RollbackInput as RollbackInput
from stepwell.authoring.call import StepConfigDict as StepConfigDict
from stepwell.authoring.call import StepContext as StepContext
from stepwell.authoring.step import WorkflowStep as WorkflowStep
from stepwell.authoring.workflow import WorkflowEntrypoint as WorkflowEntrypoint
from stepwell.authoring.workflow import WorkflowEvent as WorkflowEvent
from stepwell.client.client import Stepwell as Stepwell
from stepwell.client.handles import Workflow as Workflow
from stepwell.client.handles import WorkflowInstance as WorkflowInstance
from stepwell.client.views import InstanceState as InstanceState
from stepwell.client.views import StepView as StepView
from stepwell.core.events import LogEvent as LogEvent
from stepwell.errors import InstanceAlreadyExists as InstanceAlreadyExists
from stepwell.errors import InstanceErrored as InstanceErrored
from stepwell.errors import InstanceNotFound as InstanceNotFound
from stepwell.errors import InstanceTerminated as InstanceTerminated
from stepwell.errors import InvalidRequest as InvalidRequest
from stepwell.errors import NonRetryableError as NonRetryableError
from stepwell.errors import NotSerializableError as NotSerializableError
from stepwell.errors import SchemaTooNew as SchemaTooNew
from stepwell.errors import StepError as StepError
from stepwell.errors import StepwellError as StepwellError
from stepwell.errors import StoreBusy as StoreBusy
from stepwell.errors import StoreCorrupt as StoreCorrupt
from stepwell.errors import StoreError as StoreError
from stepwell.errors import StoreFull as StoreFull
from stepwell.errors import StoreReadOnly as StoreReadOnly
from stepwell.errors import WorkflowError as WorkflowError
from stepwell.errors import WorkflowFatalError as WorkflowFatalError
from stepwell.errors import WorkflowInternalError as WorkflowInternalError
from stepwell.errors import WorkflowNotFound as WorkflowNotFound
from stepwell.errors import WorkflowTimeoutError as WorkflowTimeoutError
from stepwell.model.instance import InstanceStatus as InstanceStatus
from stepwell.model.limits import Limits as Limits
from stepwell.wiring import open as open

__all__ = [
    "DelayInput",
    "InstanceAlreadyExists",
    "InstanceErrored",
    "InstanceNotFound",
    "InstanceState",
    "InstanceStatus",
    "InstanceTerminated",
    "InvalidRequest",
    "Limits",
    "LogEvent",
    "NonRetryableError",
    "NotSerializableError",
    "ReceivedEvent",
    "RetriesDict",
    "RollbackInput",
    "SchemaTooNew",
    "StepConfigDict",
    "StepContext",
    "StepError",
    "StepView",
    "Stepwell",
    "StepwellError",
    "StoreBusy",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreReadOnly",
    "Workflow",
    "WorkflowEntrypoint",
    "WorkflowError",
    "WorkflowEvent",
    "WorkflowFatalError",
    "WorkflowInstance",
    "WorkflowInternalError",
    "WorkflowNotFound",
    "WorkflowStep",
    "WorkflowTimeoutError",
    "__version__",
]

__version__: str
