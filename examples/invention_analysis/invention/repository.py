"""The analyses in the D1 database. Every write is an upsert: done twice, it leaves one result."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self
from weakref import WeakSet

from invention.models import (
    AnalysisStatus,
    Features,
    PatentAnalysis,
    PatentFailure,
    Report,
    Selection,
)
from invention.settings import D1Database, D1Statement

_MIGRATIONS = Path(__file__).parent.parent / "migrations"

# A row that exists already belongs to a run that has begun; the app must not set it back.
_ANNOUNCE = """
INSERT INTO analyses (id, title, status, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING
"""
_BEGIN = """
INSERT INTO analyses (id, title, status, analyst, created_at, updated_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    status = excluded.status, analyst = excluded.analyst, error = NULL,
    updated_at = excluded.updated_at
"""
_SET_STATUS = "UPDATE analyses SET status = ?, error = ?, updated_at = ? WHERE id = ?"
_PUT_FEATURE = """
INSERT INTO features (analysis_id, name, position, description, keywords) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (analysis_id, name) DO UPDATE SET
    position = excluded.position, description = excluded.description, keywords = excluded.keywords
"""
_PUT_PATENT = """
INSERT INTO prior_art (analysis_id, number, title, year, score) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (analysis_id, number) DO UPDATE SET
    title = excluded.title, year = excluded.year, score = excluded.score
"""
_PUT_ANALYSIS = """
UPDATE prior_art SET relevance = ?, assessment = ?, failure = NULL
WHERE analysis_id = ? AND number = ?
"""
_PUT_FAILURE = """
UPDATE prior_art SET relevance = NULL, assessment = NULL, failure = ?
WHERE analysis_id = ? AND number = ?
"""
_PUT_REPORT = """
INSERT INTO reports (analysis_id, markdown, created_at) VALUES (?, ?, ?)
ON CONFLICT (analysis_id) DO UPDATE SET markdown = excluded.markdown
"""
_LIST = "SELECT * FROM analyses ORDER BY created_at DESC, id LIMIT ?"
_FIND = "SELECT * FROM analyses WHERE id = ?"
_FEATURES = (
    "SELECT name, description, keywords FROM features WHERE analysis_id = ? ORDER BY position"
)
_PATENTS = """
SELECT number, title, year, score, relevance, assessment, failure
FROM prior_art WHERE analysis_id = ? ORDER BY score DESC, number
"""
_REPORT = "SELECT markdown FROM reports WHERE analysis_id = ?"

Row = dict[str, Any]

# Databases whose tables are there: making sure of it takes the write lock, which a reader must not.
_READY: WeakSet[D1Database] = WeakSet()


class Analyses:
    """The analyses of one database."""

    def __init__(self, database: D1Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, database: D1Database) -> Self:
        """Use a database; at the first time in this process, make the tables that are missing.

        Each statement says IF NOT EXISTS, so any number of processes may do this at any time, and
        a database that was migrated by the command line is left as it is.
        """
        if database not in _READY:
            await database.batch([database.prepare(sql) for sql in _schema()])
            _READY.add(database)
        return cls(database)

    async def announce(self, id: str, title: str, now: datetime) -> None:
        """Show a new analysis as queued, unless its run has begun already."""
        stamp = now.isoformat()
        await self._write(
            self._bind(_ANNOUNCE, id, title, AnalysisStatus.QUEUED.value, stamp, stamp)
        )

    async def begin(
        self, id: str, title: str, analyst: str, *, created: datetime, now: datetime
    ) -> None:
        """Start, or start again: the first stage, without an error."""
        status = AnalysisStatus.EXTRACTING_FEATURES.value
        stamps = (created.isoformat(), now.isoformat())
        await self._write(self._bind(_BEGIN, id, title, status, analyst, *stamps))

    async def set_status(
        self, id: str, status: AnalysisStatus, now: datetime, *, error: str | None = None
    ) -> None:
        """Move to a stage."""
        await self._write(self._status(id, status, now, error))

    async def put_features(self, id: str, features: Features, now: datetime) -> None:
        """Keep the features, and go on to the search."""
        statements = [
            self._bind(_PUT_FEATURE, id, one.name, place, one.description, json.dumps(one.keywords))
            for place, one in enumerate(features.features)
        ]
        await self._write(*statements, self._status(id, AnalysisStatus.SEARCHING_PRIOR_ART, now))

    async def put_prior_art(self, id: str, selection: Selection, now: datetime) -> None:
        """Keep the patents, and go on to their analysis."""
        statements = [
            self._bind(_PUT_PATENT, id, one.number, one.title, one.year, one.score)
            for one in selection.patents
        ]
        await self._write(*statements, self._status(id, AnalysisStatus.ANALYSING_PATENTS, now))

    async def put_analyses(
        self,
        id: str,
        analyses: Sequence[PatentAnalysis],
        failures: Sequence[PatentFailure],
        now: datetime,
    ) -> None:
        """Keep the comparisons and failures, and go on to the report."""
        done = [
            self._bind(_PUT_ANALYSIS, one.relevance.value, one.assessment, id, one.number)
            for one in analyses
        ]
        failed = [self._bind(_PUT_FAILURE, one.reason, id, one.number) for one in failures]
        await self._write(*done, *failed, self._status(id, AnalysisStatus.WRITING_REPORT, now))

    async def put_report(self, id: str, report: Report, now: datetime) -> None:
        """Keep the report, and go on to the notification."""
        put = self._bind(_PUT_REPORT, id, report.markdown, now.isoformat())
        await self._write(put, self._status(id, AnalysisStatus.NOTIFYING, now))

    async def newest(self, limit: int) -> list[Row]:
        """List the newest analyses."""
        return await self._rows(_LIST, limit)

    async def find(self, id: str) -> Row | None:
        """Find one analysis with its features and prior art, or None."""
        row = await self._database.prepare(_FIND).bind(id).first()
        if row is None:
            return None
        features = await self._rows(_FEATURES, id)
        for feature in features:
            feature["keywords"] = json.loads(feature["keywords"])
        return {**row, "features": features, "prior_art": await self._rows(_PATENTS, id)}

    async def report(self, id: str) -> str | None:
        """Give the report of an analysis, or None when there is none yet."""
        row = await self._database.prepare(_REPORT).bind(id).first()
        return None if row is None else str(row["markdown"])

    async def _rows(self, sql: str, *parameters: Any) -> list[Row]:
        answer = await self._database.prepare(sql).bind(*parameters).all()
        return [dict(row) for row in answer.results]

    async def _write(self, *statements: D1Statement) -> None:
        await self._database.batch(list(statements))

    def _status(
        self, id: str, status: AnalysisStatus, now: datetime, error: str | None = None
    ) -> D1Statement:
        return self._bind(_SET_STATUS, status.value, error, now.isoformat(), id)

    def _bind(self, sql: str, *parameters: Any) -> D1Statement:
        return self._database.prepare(sql).bind(*parameters)


@lru_cache(maxsize=1)
def _schema() -> tuple[str, ...]:
    """Give the statements of all migrations, without comments."""
    scripts = [path.read_text(encoding="utf-8") for path in sorted(_MIGRATIONS.glob("*.sql"))]
    lines = [line for line in "\n".join(scripts).splitlines() if not line.startswith("--")]
    return tuple(part.strip() for part in "\n".join(lines).split(";") if part.strip())
