"""Values into trees, the careful way: every value is written so that it comes back the same.

A `Packer` walks through one value. How each type is written is in `packing_types` (types known by
themselves) and `packing_families` (enums, dataclasses, models and others known by what they are);
exceptions are written by `failure`. `failure` puts the parts together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stepwell.core.classes import ClassNotFound, ClassRef, reference
from stepwell.core.tree import (
    NESTING_MAX,
    SPLIT_CHARACTER,
    TAG,
    Refused,
    TooMany,
    Tree,
    path_text,
    type_name,
)

_CIRCLE: Final = "it contains itself; store a value without such a circle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writers:
    """The functions that write one kind of value each; all get the packer and the value.

    Attributes:
        by_type: for values of exactly these types.
        by_family: for all others but exceptions; refuses what it does not know.
        error: for exceptions.
    """

    by_type: Mapping[type, Callable[[Packer, Any], Tree]]
    by_family: Callable[[Packer, Any], Tree]
    error: Callable[[Packer, BaseException], Tree]


class Packer:
    """Writes one value. It knows where inside the value it is, for the message if it must refuse.

    Args:
        writers: how each kind of value is written.
        room: how many parts the value may have. Without this bound, a few lists that hold each
            other many times would be written for ever.

    Attributes:
        has_cut: something was left out, or made shorter, of an exception.
    """

    __slots__ = ("_by_type", "_keys", "_owners", "_room", "_writers", "has_cut")

    def __init__(self, writers: Writers, room: int) -> None:
        self.has_cut = False
        self._writers = writers
        self._by_type = writers.by_type
        self._room = room
        self._keys: list[Any] = []
        self._owners: list[Any] = []

    def pack(self, value: Any) -> Tree:
        """Write a value, or a part of one.

        Raises:
            Refused: it holds something that would not come back the same.
            TooMany: it has too many parts.
        """
        write = self._by_type.get(type(value))
        if write is not None:
            return write(self, value)
        if isinstance(value, BaseException):
            self._refuse_circle(value)
            return self._writers.error(self, value)
        return self._writers.by_family(self, value)

    def pack_list(self, values: Collection[Any], owner: Any) -> list[Tree]:
        """Write the members of a sequence or a set; `owner` is what holds them."""
        self._enter(owner, len(values))
        keys = self._keys
        packed = []
        for index, value in enumerate(values):
            keys[-1] = index
            packed.append(self.pack(value))
        self._leave()
        return packed

    def pack_mapping(self, mapping: Mapping[Any, Any], owner: Any) -> Tree:
        """Write a mapping: as an object where its keys allow it, else as pairs with a tag."""
        if not all(map(_is_plain_key, mapping)):
            return {TAG: "dict", "v": self.pack_pairs(mapping, owner)}
        self._enter(owner, len(mapping))
        keys = self._keys
        packed: dict[str, Tree] = {}
        for key, value in mapping.items():
            keys[-1] = key
            packed[key] = self.pack(value)
        self._leave()
        return packed

    def pack_pairs(self, mapping: Mapping[Any, Any], owner: Any) -> list[Tree]:
        """Write a mapping as a list of pairs."""
        self._enter(owner, len(mapping))
        keys = self._keys
        pairs = []
        for key, value in mapping.items():
            keys[-1] = key
            pairs.append([self.pack(key), self.pack(value)])
        self._leave()
        return pairs

    def attempt(self, work: Callable[[], Tree]) -> Tree | None:
        """Write something that may be left out; None where it cannot be written."""
        depth = len(self._keys)
        try:
            return work()
        except (Refused, TooMany, RecursionError):
            del self._keys[depth:], self._owners[depth:]
            return None

    def refuse(self, value: Any, reason: str) -> Refused:
        """Make the error for the value that stands where the packer is."""
        return Refused(reason, path=path_text(self._keys), type_name=type_name(value))

    def name_class(self, value: Any) -> ClassRef:
        """Record the class of a value.

        Raises:
            Refused: it could not be found again.
        """
        try:
            return reference(type(value))
        except ClassNotFound as exc:
            reason = f"{exc}; define it at the top level of a module that can be imported"
            raise self.refuse(value, reason) from exc

    def _refuse_circle(self, value: Any) -> None:
        """Raise if the value is being written already, further out."""
        if any(owner is value for owner in self._owners):
            raise self.refuse(value, _CIRCLE)

    def _enter(self, owner: Any, parts: int) -> None:
        self._room -= parts + 1
        if self._room < 0:
            raise TooMany
        if len(self._keys) >= NESTING_MAX:
            raise self._too_deep(owner)
        self._keys.append("")
        self._owners.append(owner)

    def _leave(self) -> None:
        self._keys.pop()
        self._owners.pop()

    def _too_deep(self, owner: Any) -> Refused:
        """Find out why it is so deep: mostly because something contains itself."""
        above: set[int] = set()
        for depth, one in enumerate([*self._owners, owner]):
            if id(one) in above:
                path = path_text(self._keys[:depth])
                return Refused(_CIRCLE, path=path, type_name=type_name(one))
            above.add(id(one))
        return self.refuse(owner, f"it is nested more than {NESTING_MAX} levels deep; flatten it")


def _is_plain_key(key: Any) -> bool:
    """Claim that a key can be the key of a JSON object."""
    if type(key) is not str or key == TAG:
        return False
    return key.isascii() or SPLIT_CHARACTER.search(key) is None
