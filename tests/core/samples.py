"""Classes that values of the codec's tests are made of; a codec finds them by their names here."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import pydantic
import pydantic.dataclasses

T = TypeVar("T")


class Colour(enum.Enum):
    """An enum with a value that JSON has no word for."""

    RED = (255, 0, 0)
    BLUE = frozenset({"b"})


class Word(enum.StrEnum):
    """An enum of texts."""

    YES = "yes"
    NO = "no"


class Level(enum.IntEnum):
    """An enum of numbers."""

    LOW = 1
    HIGH = 2


class Right(enum.Flag):
    """An enum whose members combine."""

    READ = 1
    WRITE = 2
    EXECUTE = 4


class Handler(enum.Enum):
    """An enum whose values cannot be stored."""

    OPEN = object()


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: Any = 0


class OpenPoint(Point):
    """A named tuple that may have attributes of its own."""


@dataclass
class Plain:
    """A dataclass of every day; its constructor counts its calls."""

    name: str
    parts: list[Any] = field(default_factory=list)
    made: int = field(init=False, default=0)
    factor: InitVar[int] = 1

    def __post_init__(self, factor: int) -> None:
        self.made += factor


@dataclass(frozen=True, slots=True)
class Frozen:
    """A dataclass that nobody can change, with slots."""

    left: Any
    right: Any = None


@dataclass(slots=True)
class Hidden:
    """A dataclass with a private slot and one that need not be set."""

    __secret: int
    maybe: int = field(init=False)

    @property
    def secret(self) -> int:
        """The private value."""
        return self.__secret


class Parent:
    """A class with slots written by hand."""

    __slots__ = ("__hidden",)

    def set(self, hidden: int) -> None:
        """Set the private slot."""
        self.__hidden = hidden

    def get(self) -> int:
        """Give the private slot."""
        return self.__hidden


@dataclass(slots=True)
class Child(Parent):
    """A dataclass on top of it."""

    number: int


@dataclass
class Box(Generic[T]):
    """A generic dataclass."""

    inside: T


@dataclass
class Circle:
    """A dataclass with a computed property and an attribute that is no field."""

    radius: float

    def __post_init__(self) -> None:
        self.note = f"r={self.radius}"

    @cached_property
    def area(self) -> float:
        """The area, about."""
        return 3 * self.radius**2


@dataclass
class ListLike(list[int]):
    """A dataclass that is a list as well."""

    name: str = ""


class Outer:
    """Holds a nested class."""

    @dataclass
    class Inner:
        """A nested dataclass."""

        value: int


class User(pydantic.BaseModel):
    """A model with a default, a private attribute and a computed property."""

    name: str
    age: int = 0
    friend: User | None = None
    _visits: int = pydantic.PrivateAttr(default=0)

    @cached_property
    def greeting(self) -> str:
        """A greeting."""
        return f"hello {self.name}"


class Admin(User):
    """A model of a model."""

    rights: frozenset[str] = frozenset()


class Loose(pydantic.BaseModel):
    """A model that takes anything more."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True)

    name: str


class Validated(pydantic.BaseModel):
    """A model whose validator would refuse, or change, what it has let in already."""

    code: str

    @pydantic.field_validator("code")
    @classmethod
    def add_mark(cls, code: str) -> str:
        """Change the value: doing it twice would show."""
        return f"{code}!"


class Names(pydantic.RootModel[list[str]]):
    """A model that is a list."""


class Page(pydantic.BaseModel, Generic[T]):
    """A generic model."""

    items: list[T]
    first: T | None = None


class Settings(pydantic.BaseModel):
    """A model with types of pydantic's own."""

    home: pydantic.HttpUrl
    token: pydantic.SecretStr
    key: pydantic.SecretBytes = pydantic.SecretBytes(b"k")


@pydantic.dataclasses.dataclass
class Checked:
    """A dataclass of pydantic."""

    count: int
    tags: set[str] = field(default_factory=set)


class SteadyZone(dt.tzinfo):
    """A time zone of another package, with one offset for ever."""

    def utcoffset(self, _when: dt.datetime | None) -> dt.timedelta:
        """Give the offset."""
        return dt.timedelta(hours=2)

    def dst(self, _when: dt.datetime | None) -> dt.timedelta:
        """Give the summer offset."""
        return dt.timedelta(0)

    def tzname(self, _when: dt.datetime | None) -> str:
        """Give the name."""
        return "steady"


class MovingZone(SteadyZone):
    """A time zone of another package, whose offset depends on the day."""

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta | None:  # type: ignore[override]
        """Give the offset of a day; without a day there is none."""
        return None if when is None else dt.timedelta(hours=1 + (when.month > 5))


class BrokenZone(SteadyZone):
    """A time zone that cannot do without a day."""

    def utcoffset(self, when: dt.datetime | None) -> dt.timedelta:
        """Give the offset of a day."""
        if when is None:
            raise TypeError("no day")
        return dt.timedelta(0)


class Stranger:
    """A class that is none of the known kinds."""

    def __init__(self) -> None:
        self.value = 1


class Text(str):
    """A text with another type."""

    __slots__ = ()


class Table(dict[str, Any]):
    """A dict with another type."""


class Rows(list[Any]):
    """A list with another type."""


class Number(int):
    """A number with another type."""


class Stamp(dt.datetime):
    """A time with another type."""
