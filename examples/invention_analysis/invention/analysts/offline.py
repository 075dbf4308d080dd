"""The offline analyst: the three jobs without a model, by counting words well.

Features are the inventor's own sentences with the heaviest key phrases (`phrases.py`), chosen so
that they differ from each other. A patent is compared feature by feature: how much of the
feature's vocabulary, weighted by rarity, the patent's title and summary share. It understands no
meaning; the report says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from invention.analysts import wording
from invention.analysts.overlap import Vocabulary
from invention.analysts.phrases import Phrase, PhraseModel
from invention.models import (
    Conversation,
    Feature,
    Features,
    Findings,
    Patent,
    PatentAnalysis,
)
from invention.text import sentences, stems
from stepwell import NonRetryableError

FEATURES_MAX = 8
KEYWORDS_MAX = 6
WORDS_MIN = 4
OVERLAP_MAX = 0.4

# A question after which inventors name what they believe to be new.
_ASKS_FOR_CLAIM = re.compile(r"\b(new|different|novel|protect|claim|copy|patent)\b", re.IGNORECASE)
# Sentences that tell a story, or what was there before, rather than describe the invention.
_STORY = re.compile(r"\b(I|[Mm]y|me|[Ww]e|[Oo]ur|nobody|ordinary|usual|existing|known|wears)\b")


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    position: int
    stems: frozenset[str]
    weight: float


class OfflineAnalyst:
    """An analyst that needs no key and no network."""

    name = "offline"

    async def extract_features(self, conversation: Conversation) -> Features:
        """Find the sentences that say most about the invention, and their key phrases."""
        spoken = [turn.text for turn in conversation.turns if turn.speaker == "inventor"]
        model = PhraseModel(spoken, emphasised=_claims(conversation))
        chosen = _choose(_weighed(spoken, model))
        if not chosen:
            raise NonRetryableError(
                f"the conversation {conversation.title!r} describes no technical feature; "
                "it needs sentences about what the invention consists of and does"
            )
        opening = max(sentences(spoken[0]), key=lambda text: _weight(text, model))
        invention = f"{conversation.title}. In the inventor's words: “{opening}”"
        return Features(invention=invention, features=_name(chosen, model))

    async def analyse_patent(self, features: Features, patent: Patent) -> PatentAnalysis:
        """Compare the vocabulary of every feature with that of a patent."""
        overlaps = Vocabulary.of_corpus().compare(features.features, patent)
        return wording.describe_patent(patent, overlaps)

    async def write_findings(
        self, features: Features, analyses: Sequence[PatentAnalysis]
    ) -> Findings:
        """Compose the words of the report from the comparisons."""
        return wording.describe_findings(features, analyses)


def _claims(conversation: Conversation) -> list[str]:
    turns = conversation.turns
    return [
        answer.text
        for question, answer in pairwise(turns)
        if answer.speaker == "inventor"
        and question.speaker == "interviewer"
        and _ASKS_FOR_CLAIM.search(question.text)
    ]


def _weighed(spoken: Sequence[str], model: PhraseModel) -> list[_Sentence]:
    texts = [sentence for turn in spoken for sentence in sentences(turn)]
    return [
        _Sentence(text, position, frozenset(stems(text)), _weight(text, model))
        for position, text in enumerate(texts)
        if len(stems(text)) >= WORDS_MIN and "?" not in text
    ]


def _weight(text: str, model: PhraseModel) -> float:
    heaviest = sum(model.weight(phrase) for phrase in _disjoint(model.ranked(text))[:4])
    return heaviest * (0.5 if _STORY.search(text) else 1.0)


def _disjoint(ranked: Sequence[Phrase]) -> list[Phrase]:
    """Keep the phrases of a ranking that share no word with a heavier one."""
    kept: list[Phrase] = []
    taken: set[str] = set()
    for phrase in ranked:
        if taken.isdisjoint(phrase.stems):
            kept.append(phrase)
            taken.update(phrase.stems)
    return kept


def _choose(weighed: Sequence[_Sentence]) -> list[_Sentence]:
    """Take the heaviest sentences that differ from each other, in the order of the conversation."""
    chosen: list[_Sentence] = []
    for sentence in sorted(weighed, key=lambda one: (-one.weight, one.position)):
        if len(chosen) == FEATURES_MAX:
            break
        if all(_shared(sentence, other) <= OVERLAP_MAX for other in chosen):
            chosen.append(sentence)
    return sorted(chosen, key=lambda one: one.position)


def _shared(one: _Sentence, other: _Sentence) -> float:
    return len(one.stems & other.stems) / min(len(one.stems), len(other.stems))


def _name(chosen: Sequence[_Sentence], model: PhraseModel) -> list[Feature]:
    """Give each sentence a name that no other has, from its heaviest phrases."""
    features: list[Feature] = []
    taken: set[frozenset[str]] = set()
    for sentence in chosen:
        phrases = model.ranked(sentence.text)
        ranked = [one for one in phrases if model.is_term(one)] or phrases
        named = _name_of(ranked, taken)
        taken.add(_key(named))
        rest = [one for one in _disjoint([*named, *ranked]) if one not in named]
        features.append(
            Feature(
                name=" and ".join(one.text for one in named),
                description=sentence.text,
                keywords=[one.text for one in rest[:KEYWORDS_MAX]],
            )
        )
    return features


def _name_of(ranked: Sequence[Phrase], taken: set[frozenset[str]]) -> list[Phrase]:
    """Take the heaviest phrase of several words, else two phrases together."""
    longer = [[one] for one in ranked if len(one.stems) > 1]
    pairs = [[ranked[0], other] for other in _disjoint(ranked)[1:]]
    free = (named for named in [*longer, *pairs, [ranked[0]]] if _key(named) not in taken)
    return next(free, [ranked[0]])


def _key(named: Sequence[Phrase]) -> frozenset[str]:
    return frozenset(one for phrase in named for one in phrase.stems)
