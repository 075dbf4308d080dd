"""How much of a feature's vocabulary a patent shares, each word weighed by its rarity."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from invention.corpus import load_patents
from invention.models import Feature, Overlap, Patent
from invention.text import content_words, stem, stems

NAME_WEIGHT = 3.0
KEYWORD_WEIGHT = 2.0


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The rarity of word stems in a collection of documents."""

    documents: int
    frequency: Mapping[str, int]

    @classmethod
    @lru_cache(maxsize=1)
    def of_corpus(cls) -> Vocabulary:
        """Give the vocabulary of the patents that come with the project."""
        return cls.of(f"{patent.title}. {patent.summary}" for patent in load_patents())

    @classmethod
    def of(cls, texts: Iterable[str]) -> Vocabulary:
        """Count the vocabulary of some texts."""
        documents = [set(stems(text)) for text in texts]
        return cls(len(documents), Counter(one for document in documents for one in document))

    def rarity(self, one: str) -> float:
        """Give the inverse document frequency of a stem."""
        return math.log(1 + self.documents / (1 + self.frequency.get(one, 0)))

    def compare(self, features: Sequence[Feature], patent: Patent) -> list[Overlap]:
        """Measure the overlap of each feature with a patent."""
        known = set(stems(f"{patent.title}. {patent.summary}"))
        return [self._overlap(feature, known) for feature in features]

    def _overlap(self, feature: Feature, known: set[str]) -> Overlap:
        weights = self._weights(feature)
        shared = {one: weight for one, weight in weights.items() if one in known}
        degree = sum(shared.values()) / (sum(weights.values()) or 1.0)
        heaviest = sorted(shared, key=lambda one: (-shared[one], one))[:6]
        spelled = _spellings(feature)
        return Overlap(
            feature=feature.name,
            degree=round(min(degree, 1.0), 3),
            evidence=", ".join(spelled[one] for one in heaviest),
        )

    def _weights(self, feature: Feature) -> dict[str, float]:
        weights: dict[str, float] = {}
        parts = (
            (feature.description, 1.0),
            (" ".join(feature.keywords), KEYWORD_WEIGHT),
            (feature.name, NAME_WEIGHT),
        )
        for text, factor in parts:
            weights.update({one: factor * self.rarity(one) for one in stems(text)})
        return weights


def _spellings(feature: Feature) -> dict[str, str]:
    text = " ".join([feature.description, *feature.keywords, feature.name])
    return {stem(word): word for word in content_words(text)}
