"""Faults: each is told for what it is, nothing is half written, and work goes on afterwards."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepwell.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreDiskError,
    StoreError,
    StoreFull,
    StoreReadOnly,
)
from stepwell.model.command import Append, Command, Finish, SendEvent
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.model.step import Fact, FactKind
from stepwell.stores.sqlite import faults
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.testing.cases.bench import T0, applied, create, creation, held
from tests.stores.sqlite.support import REF, append, bare, locked, opened, payloads

_NOBODY = 65534


def _primary_codes() -> dict[str, int]:
    names = [
        name.removeprefix("SQLITE_")
        for name in vars(sqlite3)
        if name.startswith("SQLITE_") and name.count("_") == 1
    ]
    codes = {name: getattr(sqlite3, f"SQLITE_{name}") for name in names}
    # Words of the authorizer share the prefix, and begin again at 1; codes of errors are these.
    errors = ["ERROR", "INTERNAL", "PERM", "ABORT", "BUSY", "LOCKED", "NOMEM", "READONLY"]
    errors += ["INTERRUPT", "IOERR", "CORRUPT", "NOTFOUND", "FULL", "CANTOPEN", "PROTOCOL", "EMPTY"]
    errors += ["SCHEMA", "TOOBIG", "CONSTRAINT", "MISMATCH", "MISUSE", "NOLFS", "AUTH", "FORMAT"]
    errors += ["RANGE", "NOTADB"]
    assert set(errors) <= set(codes)
    return {name: codes[name] for name in errors}


def _driver_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("in the driver's words")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("name", _primary_codes())
def test_every_code_of_sqlite_has_a_meaning(name: str) -> None:
    """Each error code of SQLite is one of our errors, which names the file and what SQLite said."""
    code = _primary_codes()[name]
    ours = faults.translate(_driver_error(code), "/data/well.db")

    assert code in faults._MEANINGS
    assert isinstance(ours, StoreError)
    assert "/data/well.db" in str(ours)
    assert "in the driver's words" in str(ours)


def test_codes_are_numbered_from_one_to_the_last() -> None:
    """No error code between the first and the last is left out."""
    assert list(range(1, 27)) == sorted(_primary_codes().values())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusy),
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StoreFull),
        (sqlite3.SQLITE_READONLY, StoreReadOnly),
        (sqlite3.SQLITE_READONLY_DIRECTORY, StoreReadOnly),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, StoreReadOnly),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreCorrupt),
        (sqlite3.SQLITE_NOTADB, StoreCorrupt),
        (sqlite3.SQLITE_IOERR_WRITE, StoreDiskError),
        (12345678, StoreError),
    ],
)
def test_codes_become_the_right_kind(code: int, kind: type[StoreError]) -> None:
    """Extended codes have the meaning of their family, unless they say more; unknown ones too."""
    assert kind is type(faults.translate(_driver_error(code), "x"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EROFS, StoreReadOnly),
        (errno.EACCES, StoreReadOnly),
        (errno.EIO, StoreDiskError),
    ],
)
def test_errors_of_the_system_become_ours(code: int, kind: type[StoreError]) -> None:
    """What the operating system refuses is told as what it means for the store."""
    assert kind is type(faults.translate(OSError(code, os.strerror(code)), "x"))


def test_other_errors_pass() -> None:
    """What is neither the driver's nor the system's is no fault of the store: it stays as it is."""
    error = KeyError("a bug")

    assert error is faults.translate(error, "x")


# ---- locked ------------------------------------------------------------------------------------


async def test_locked_file_is_busy(tmp_path: Path) -> None:
    """A write that meets a lock for too long says so, stores nothing, and can be tried again."""
    path = tmp_path / "well.db"
    async with opened(path, busy_timeout_seconds=0.01) as store:
        lease = await held(store, REF)
        with locked(path):
            for _ in range(2):
                with pytest.raises(StoreBusy, match=f"{path} stayed locked by another process"):
                    await store.apply([append(lease, "lost")], T0)
            with pytest.raises(StoreBusy):
                await store.claim(worker="w", workflows=["orders"], limit=1, now_ms=T0)
            assert [] == await payloads(store, lease.key)  # reading does not wait

        await applied(store, append(lease, "kept"))
        assert ["kept"] == await payloads(store, lease.key)


async def test_locked_new_file_is_busy(tmp_path: Path) -> None:
    """A file that is locked while it is opened says so, and can be opened afterwards."""
    path = tmp_path / "well.db"
    async with opened(path):
        pass
    with bare(path) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreBusy, match=f"{path} stayed locked"):
            await SQLiteStore(path, busy_timeout_seconds=0.01).open()
    async with opened(path) as store:
        await create(store, REF)


# ---- full --------------------------------------------------------------------------------------


async def test_full_database_is_told(tmp_path: Path) -> None:
    """A batch that does not fit is not stored at all; once there is room it can be tried again."""
    async with opened(tmp_path / "well.db") as store:
        lease = await held(store, REF)
        await applied(store, append(lease, "first"))
        assert store._writer is not None

        def set_pages(connection: sqlite3.Connection, extra: int) -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + extra}")

        await store._writer.call(lambda connection: set_pages(connection, 2))
        batch = [append(lease, "small"), append(lease, "x" * 100_000)]
        for _ in range(2):
            with pytest.raises(StoreFull, match=r"well\.db cannot grow because the disk is full"):
                await store.apply(batch, T0)
            assert ["first"] == await payloads(store, lease.key)
        await applied(store, append(lease, "fits"))
        await store._writer.call(lambda connection: set_pages(connection, 1000))
        await store.apply(batch, T0)

        assert ["first", "fits", "small", "x" * 100_000] == await payloads(store, lease.key)


@contextmanager
def _tiny_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("may not mount a disk here")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


async def test_full_disk_is_told() -> None:
    """A disk that is really full gives the same error; with room again the store works on."""
    with _tiny_disk() as disk:
        async with opened(disk / "well.db", synchronous="full") as store:
            lease = await held(store, REF)
            kept: list[str | None] = []
            ballast = disk / "ballast"
            ballast.write_bytes(b"x" * 500_000)
            with pytest.raises(StoreFull, match="free some space"):
                await _fill(store, lease, kept)
            assert kept == await payloads(store, lease.key)
            ballast.unlink()
            await applied(store, append(lease, "after"))

            assert [*kept, "after"] == await payloads(store, lease.key)


async def _fill(store: SQLiteStore, lease: Lease, kept: list[str | None]) -> None:
    for number in range(1000):
        text = f"{number}-" + "x" * 3_000
        await store.apply([append(lease, text)], T0)
        kept.append(text)


async def test_disk_that_is_full_at_the_start_is_told() -> None:
    """A new file on a full disk is refused as full, and leaves nothing that harms the next try."""
    with _tiny_disk() as disk:
        ballast = disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(b"x" * 2_000_000)
        with pytest.raises(StoreFull):
            await SQLiteStore(disk / "well.db").open()
        ballast.unlink()
        async with opened(disk / "well.db") as store:
            await create(store, REF)


# ---- read-only ---------------------------------------------------------------------------------


@contextmanager
def _no_rights() -> Iterator[Path]:
    """Give a folder of one's own; inside, nobody's rights hold (root may write everywhere)."""
    with tempfile.TemporaryDirectory() as folder:
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(folder, _NOBODY, -1)
            os.seteuid(_NOBODY)
        try:
            yield Path(folder)
        finally:
            if is_root:
                os.seteuid(0)
            for path in (Path(folder), *Path(folder).iterdir()):
                path.chmod(0o777)


async def test_read_only_file_is_told() -> None:
    """A file that may not be written is refused by name, with what to do."""
    with _no_rights() as folder:
        path = folder / "well.db"
        async with opened(path) as store:
            await create(store, REF)
        path.chmod(0o444)
        with pytest.raises(StoreReadOnly, match=f"{path} may not be written; give this user"):
            async with opened(path) as store:
                await create(store, Ref("orders", "b"))
        path.chmod(0o644)
        async with opened(path) as store:
            assert None is not await store.find(REF)
            assert None is await store.find(Ref("orders", "b"))


async def test_read_only_folder_is_told() -> None:
    """A folder that may not be written is refused, whether the file is there or not."""
    with _no_rights() as folder:
        path = folder / "well.db"
        async with opened(path):
            pass
        folder.chmod(0o555)
        for name in ("well.db", "new.db"):
            with pytest.raises(StoreReadOnly, match=rf"{name} "):
                async with opened(folder / name) as store:
                    await create(store, REF)
        folder.chmod(0o755)
        async with opened(path) as store:
            await create(store, REF)


async def test_vanished_file_is_told(tmp_path: Path) -> None:
    """A file that was deleted under the store is told as that, or is made anew at the next open."""
    path = tmp_path / "well.db"
    async with opened(path) as store:
        await create(store, REF)
        for file in tmp_path.iterdir():
            file.unlink()
    async with opened(path) as store:
        assert None is await store.find(REF)


# ---- values that cannot be stored --------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        {"payload": "half \ud800 pair"},
        {"due_ms": 2**63},
        {"payload": object()},
        {"payload": b"bytes"},
        {"at_ms": None},
        {"attempt": "one"},
    ],
)
async def test_bad_value_fails_alone(tmp_path: Path, bad: dict[str, Any]) -> None:
    """A value that cannot be stored fails its batch, which stores nothing; without it, all goes."""
    async with opened(tmp_path / "well.db") as store:
        lease = await held(store, REF)
        fact = replace(Fact(FactKind.STEP_RAN, T0), **bad)
        batch: list[Command] = [
            append(lease, "good"),
            creation(Ref("orders", "b")),
            Append(lease=lease, facts=(fact,)),
            Finish(lease=lease, status=InstanceStatus.COMPLETE, facts=()),
        ]
        with pytest.raises(StoreError, match="cannot take one of the values"):
            await store.apply(batch, T0)
        assert [] == await payloads(store, lease.key)
        assert None is await store.find(Ref("orders", "b"))

        del batch[2]
        await store.apply(batch, T0)
        assert ["good"] == await payloads(store, lease.key)


async def test_bad_names_fail_alone(tmp_path: Path) -> None:
    """Text that is no text is refused wherever it stands: in ids, event types and payloads."""
    half = "half \udfff pair"
    async with opened(tmp_path / "well.db") as store:
        await create(store, REF)
        for command in (
            creation(Ref("orders", half)),
            creation(Ref("orders", "b"), params=half),
            SendEvent(ref=REF, type=half, payload="1"),
            SendEvent(ref=REF, type="go", payload=half),
        ):
            with pytest.raises(StoreError, match="cannot take one of the values"):
                await store.apply([creation(Ref("orders", "c")), command], T0)

        counted = await store.count_by_status("orders")
        assert {InstanceStatus.QUEUED: 1} == counted
