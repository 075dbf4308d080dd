"""Tell whether another process has changed the file, at nearly no cost while nothing changes."""

from __future__ import annotations

from pathlib import Path

from stepwell.stores.sqlite.faults import translate
from stepwell.stores.sqlite.statements import queries
from stepwell.stores.sqlite.thread import ConnectionThread

_Stat = tuple[int, ...]


class ChangeMark:
    """SQLite's counter of the commits of others, read only where file times say it may have moved.

    File times are coarse: a commit may come within the same tick as the look before it. So the
    counter is asked until two looks in a row have found the files as they are.
    """

    def __init__(self, path: Path) -> None:
        self._files = (path, Path(f"{path}-wal"))
        self._looks: tuple[_Stat, ...] = ()
        self._counter: object = None

    async def read(self, writer: ConnectionThread) -> object:
        """Give the mark; `writer`'s own commits do not move it."""
        look = self._look()
        if self._looks != (look, look):
            self._looks = (*self._looks, look)[-2:]
            statement = queries()["commits_of_others"]
            self._counter = await writer.call(
                lambda connection: connection.execute(statement).fetchone()[0], is_short=True
            )
        return self._counter

    def _look(self) -> _Stat:
        found: list[int] = []
        for file in self._files:
            try:
                stat = file.stat()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise translate(error, str(file)) from error
            found += (stat.st_mtime_ns, stat.st_size)
        return tuple(found)
