"""The tree of errors: all in one module, drawn on top of it, each with its default message."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest

import stepwell
from stepwell import errors
from stepwell.errors import RunDropped, StepwellError


def _kinds(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def _ours() -> list[type[BaseException]]:
    for module in pkgutil.walk_packages(stepwell.__path__, "stepwell."):
        if module.name != "stepwell.__main__":
            import_module(module.name)
    found = [*_kinds(StepwellError), RunDropped]
    return sorted({one for one in found if one.__module__.startswith("stepwell.")}, key=str)


@pytest.mark.parametrize("kind", _ours())
def test_error_is_at_home(kind: type[BaseException]) -> None:
    """Every error of ours is defined in errors.py, and stands in the tree at its head."""
    assert kind.__module__ == "stepwell.errors"
    assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize("kind", _ours())
def test_error_has_a_default_message(kind: type[BaseException]) -> None:
    """The docstring of each is a message: one sentence first."""
    first = (kind.__doc__ or "").strip().partition("\n")[0]

    assert first.endswith(".")
