"""Full-text search in the patents of the project: SQLite FTS5, ranked by BM25.

The index lives in memory and is built at the first search, in some milliseconds. Whatever a query
contains, only its words reach FTS5, each as a quoted string, so its query language cannot be used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import lru_cache
from threading import Lock

from invention.corpus import load_patents
from invention.models import FoundPatent, Patent, SearchResults
from invention.text import content_words

TERMS_MAX = 40
LIMIT_MAX = 50

_SCHEMA = """
CREATE VIRTUAL TABLE patents USING fts5 (
    title, summary, field, number UNINDEXED, year UNINDEXED,
    tokenize = 'porter unicode61 remove_diacritics 2'
)
"""
_INSERT = "INSERT INTO patents (number, title, year, summary, field) VALUES (?, ?, ?, ?, ?)"
# A word in the title counts three times one in the summary. The rank of FTS5 is lower for better
# matches; the score is higher.
_SEARCH = """
SELECT number, title, year, summary, field, -bm25(patents, 3.0, 1.0, 0.5) AS score
FROM patents WHERE patents MATCH ? ORDER BY bm25(patents, 3.0, 1.0, 0.5), number LIMIT ?
"""


class PatentIndex:
    """A searchable set of patents; threads may share it."""

    def __init__(self, patents: Iterable[Patent]) -> None:
        self._lock = Lock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False)
        self._connection.execute(_SCHEMA)
        rows = ((one.number, one.title, one.year, one.summary, one.field) for one in patents)
        self._connection.executemany(_INSERT, rows)

    def search(self, query: str, limit: int = 10) -> SearchResults:
        """Find the patents that share words with the query, best first; without words, none."""
        match = _match_expression(query)
        if not match:
            return SearchResults(results=[])
        with self._lock:
            rows = self._connection.execute(_SEARCH, (match, min(limit, LIMIT_MAX))).fetchall()
        names = ("number", "title", "year", "summary", "field", "score")
        found = [FoundPatent(**dict(zip(names, row, strict=True))) for row in rows]
        return SearchResults(results=found)


@lru_cache(maxsize=1)
def default_index() -> PatentIndex:
    """Give the index of the patents that come with the project."""
    return PatentIndex(load_patents())


def _match_expression(query: str) -> str:
    terms = list(dict.fromkeys(content_words(query)))[:TERMS_MAX]
    return " OR ".join(f'"{term}"' for term in terms)
