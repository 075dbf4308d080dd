"""Key phrases of a conversation, by frequency, length and place: RAKE with noun-phrase heuristics.

RAKE (rapid automatic keyword extraction) takes the runs of words between stop words and
punctuation as candidate phrases, and weighs a word by its degree: how many words it stands with.
Spoken language needs two additions. A run ends at a verb in the third person ("the planner |
drives"), and one before an article usually ends with a verb, which is cut off. And a phrase counts
by how often its stems come back, also as a part of longer runs, which is the idea of the C-value.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from invention.text import DATA, STOP_WORDS, sentences, stem, words

WORDS_MAX = 3
_PIECE = re.compile(r"[^,;:.!?()\"“”–—/]+")
_VERBS = (DATA / "verbs.txt").read_text(encoding="utf-8").split()
_THIRD_PERSON = frozenset(
    form for verb in _VERBS for form in (verb + "s", verb + "es", verb.removesuffix("y") + "ies")
)
_DETERMINERS = frozenset("a an the its it this these each every my our their them itself".split())


@dataclass(frozen=True, slots=True)
class Phrase:
    """A candidate phrase: the words as written, and their stems as identity."""

    text: str
    stems: tuple[str, ...]


class PhraseModel:
    """Weights of the phrases of one text."""

    def __init__(self, texts: Iterable[str], emphasised: Iterable[str] = ()) -> None:
        """Count the phrases of `texts`; those that `emphasised` repeats weigh double."""
        found = [phrase for text in texts for phrase in phrases(text)]
        self._frequency = Counter(phrase.stems for phrase in found)
        self._degree: Counter[str] = Counter()
        self._occurrences: Counter[str] = Counter()
        for phrase in found:
            for one in phrase.stems:
                self._degree[one] += len(phrase.stems)
                self._occurrences[one] += 1
        self._emphasised = {one.stems for text in emphasised for one in phrases(text)}

    def weight(self, phrase: Phrase) -> float:
        """Tell how much a phrase says about what the text is about."""
        degree = sum(self._degree[one] / self._occurrences[one] for one in phrase.stems)
        frequency = self._frequency[phrase.stems]
        emphasis = 2.0 if phrase.stems in self._emphasised else 1.0
        return degree * math.log1p(frequency) * emphasis

    def is_term(self, phrase: Phrase) -> bool:
        """Tell whether a phrase names a thing: several words, or one word that comes back."""
        return len(phrase.stems) > 1 or self._frequency[phrase.stems] > 1

    def ranked(self, text: str) -> list[Phrase]:
        """Give the distinct phrases of a text, heaviest first."""
        distinct = {phrase.stems: phrase for phrase in reversed(list(phrases(text)))}
        return sorted(distinct.values(), key=lambda one: (-self.weight(one), one.text))


def phrases(text: str) -> Iterator[Phrase]:
    """Give every candidate phrase of a text, and every shorter one inside it."""
    for sentence in sentences(text):
        for piece in _PIECE.findall(sentence):
            for run in _runs(words(piece)):
                yield from _parts(run)


def _runs(tokens: list[str]) -> Iterator[list[str]]:
    run: list[str] = []
    for token in tokens:
        if _is_content(token):
            run.append(token)
            continue
        if token in _DETERMINERS and len(run) > 1:
            run.pop()
        if run:
            yield run
        run = []
    if run:
        yield run


def _is_content(token: str) -> bool:
    if len(token) < 3 or token in _THIRD_PERSON or token.endswith("ly"):
        return False
    return not all(part in STOP_WORDS for part in token.split("-"))


def _parts(run: list[str]) -> Iterator[Phrase]:
    for length in range(1, min(WORDS_MAX, len(run)) + 1):
        for start in range(len(run) - length + 1):
            part = run[start : start + length]
            yield Phrase(" ".join(part), tuple(stem(word) for word in part))
