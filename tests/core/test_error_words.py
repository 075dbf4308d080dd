"""What an error says when it is raised without a message."""

from __future__ import annotations

import pytest

from stepwell import errors
from stepwell.errors import StepwellError, WorkflowError

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, StepwellError)
]
WITHOUT_WORDS = (errors.NonRetryableError, errors.StepError)  # their message is the author's


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_line_of_the_docstring_is_the_message(kind: type[StepwellError]) -> None:
    """An explanation below it is for readers of the class."""
    assert kind.__doc__
    first = "" if kind in WITHOUT_WORDS else kind.__doc__.split("\n")[0]
    code = f"({kind.default_code}) " if issubclass(kind, WorkflowError) else ""

    assert code + first == str(kind())


@pytest.mark.parametrize("kind", KINDS)
def test_the_tree_in_the_head_names_each_kind(kind: type[StepwellError]) -> None:
    """The head of the module is the map of what it holds."""
    assert kind.__name__ in str(errors.__doc__)
