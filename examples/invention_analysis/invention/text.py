"""Words of English text: tokens, sentences, stop words and stems."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import snowballstemmer  # type: ignore[import-untyped]  # it has no type information

_WORD = re.compile(r"[a-zA-Z][a-zA-Z0-9]*(?:[-'’][a-zA-Z0-9]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'])")

DATA = Path(__file__).parent.parent / "data"

# Words that carry no technical meaning, with those that people use when they talk about their work.
STOP_WORDS = frozenset((DATA / "stop_words.txt").read_text(encoding="utf-8").split())


def words(text: str) -> list[str]:
    """Give the words of a text in lower case; a possessive loses its ending."""
    return [_plain(match.group().lower()) for match in _WORD.finditer(text)]


def _plain(word: str) -> str:
    for ending in ("'s", "’s"):
        word = word.removesuffix(ending)
    return word


def content_words(text: str) -> list[str]:
    """Give the words that are not stop words; hyphenated ones are taken apart."""
    parts = (part for word in words(text) for part in word.split("-"))
    return [part for part in parts if len(part) > 2 and part not in STOP_WORDS]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Give the stem of one word, so that "climbs" and "climbing" are the same."""
    return str(snowballstemmer.stemmer("english").stemWord(word))


def stems(text: str) -> list[str]:
    """Give the stems of the content words of a text, in order."""
    return [stem(word) for word in content_words(text)]


def sentences(text: str) -> list[str]:
    """Give the sentences of a text."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
