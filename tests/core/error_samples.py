"""Exceptions as authors write them, for the tests of `core.failure`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import pydantic
import pydantic_core

from stepwell.core.events import detail_text, read_detail
from stepwell.core.failure import ErrorRecord, from_dict, to_dict
from stepwell.errors import NonRetryableError


class ShopError(Exception):
    """An error with other arguments than its message."""

    def __init__(self, code: int, *, shop: str) -> None:
        super().__init__(f"code {code} at {shop}")
        self.code = code
        self.shop = shop
        self.calls = getattr(self, "calls", 0) + 1


class SilentError(Exception):
    """An error that does not call its base's constructor."""

    def __init__(self, code: int) -> None:
        self.code = code

    def __str__(self) -> str:
        return f"silent {self.code}"


class PickyError(Exception):
    """An error that is made in its own way."""

    def __new__(cls, *_args: Any, secret: str) -> Self:
        """Make it only for those who know the secret."""
        return super().__new__(cls, secret)

    def __init__(self, *, secret: str) -> None:
        super().__init__(secret)


class HostileError(Exception):
    """An error whose text cannot be read."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class WorseError(HostileError):
    """An error whose arguments cannot be read either."""

    @property
    def args(self) -> Any:  # type: ignore[override]
        """Refuse."""
        raise RuntimeError("no arguments")


class UnstableError(Exception):
    """An error whose text depends on what cannot be stored."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = object()

    def __str__(self) -> str:
        return f"{self.lock}"


class SlottedError(Exception):
    """An error with slots."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        super().__init__("slotted")
        self.code = code


@dataclass(frozen=True)
class FrozenError(Exception):
    """An error that nobody can change."""

    code: int

    def __str__(self) -> str:
        return f"frozen {self.code}"


class OwnNonRetryableError(NonRetryableError):
    """A subclass of an author."""


class OwnGroup(ExceptionGroup[Exception]):
    """A group of an author."""


class Order(pydantic.BaseModel):
    """A model to break."""

    id: int
    email: str

    @pydantic.field_validator("email")
    @classmethod
    def check_email(cls, email: str) -> str:
        """Refuse in both ways that pydantic knows."""
        if email == "custom":
            raise pydantic_core.PydanticCustomError("no_mail", "no {kind} here", {"kind": "mail"})
        if "@" not in email:
            raise ValueError("an @ is missing {sic}")
        return email


class PropertyError(Exception):
    """An error with a property that nobody can set."""

    @property
    def shown(self) -> int:
        """A number."""
        return 1


def to_text(record: ErrorRecord) -> str:
    """Give the text that is stored of an error, as a fact has it in its detail."""
    text = detail_text(error=to_dict(record))
    assert text is not None
    return text.removeprefix('{"error":').removesuffix("}")


def from_text(text: str) -> ErrorRecord:
    """Read what is stored of an error."""
    return from_dict(read_detail(f'{{"error":{text}}}').get("error"))
