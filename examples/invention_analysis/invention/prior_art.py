"""Prior art: ask the search service, merge its answers, and rank what is left."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

import bm25s  # type: ignore[import-untyped]  # it has no type information
import httpx

from invention.corpus import load_patents
from invention.models import Candidate, Features, FoundPatent, Patent, SearchResults, Selection
from invention.search import default_index
from invention.settings import Env, setting
from invention.text import stems

SEARCH_TIMEOUT_SECONDS = 20.0
# Candidates below this share of the best score have only chance words in common.
SCORE_MIN = 0.4

logging.getLogger("bm25s").setLevel(logging.WARNING)  # it logs every index that it builds


async def search_prior_art(env: Env, query: str, limit: int) -> SearchResults:
    """Search at `PATENT_API_URL`, or in the project's own patents when that is not set."""
    url = setting(env, "PATENT_API_URL")
    if not url:
        return default_index().search(query, limit)
    async with httpx.AsyncClient(timeout=SEARCH_TIMEOUT_SECONDS) as client:
        answer = await client.get(
            f"{url.rstrip('/')}/search", params={"q": query, "limit": str(limit)}
        )
        answer.raise_for_status()
        return SearchResults.model_validate_json(answer.content)


def select(
    features: Features, found: Mapping[str, Sequence[FoundPatent]], patents_max: int
) -> Selection:
    """Merge the hits of all features, without duplicates, and keep the most relevant.

    Args:
        features: what the invention consists of.
        found: the hits by name of the feature that they were found for.
        patents_max: how many patents to keep.
    """
    merged: dict[str, Candidate] = {}
    for name, hits in found.items():
        for hit in hits:
            known = merged.get(hit.number)
            found_for = [*(known.found_for if known else []), name]
            merged[hit.number] = Candidate(**{**hit.model_dump(), "found_for": found_for})
    ranked = rank(features, list(merged.values()))
    enough = [one for one in ranked if one.score >= SCORE_MIN * ranked[0].score]
    hits_total = sum(len(hits) for hits in found.values())
    return Selection(hits=hits_total, distinct=len(merged), patents=enough[:patents_max])


def rank(features: Features, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Order candidates by their BM25 score against all features together.

    The project's own patents stand behind the candidates as background, so that a word is rare
    when few patents have it, not when few candidates have it.
    """
    if not candidates:
        return []
    numbers = {candidate.number for candidate in candidates}
    background = [patent for patent in load_patents() if patent.number not in numbers]
    index = bm25s.BM25()
    index.index([_document(one) for one in [*candidates, *background]], show_progress=False)
    known = [one for one in _query(features) if one in index.vocab_dict]
    scores = index.get_scores(known)[: len(candidates)] if known else [0.0] * len(candidates)
    scored = [
        candidate.model_copy(update={"score": round(float(score), 3)})
        for candidate, score in zip(candidates, scores, strict=True)
    ]
    return sorted(scored, key=lambda one: (-one.score, one.number))


def _query(features: Features) -> list[str]:
    # What the invention is about comes back in several features, and counts once for each of them;
    # a word of a single feature has led to the hit already and would favour other fields here.
    parts = [features.invention]
    parts += [f"{feature.query} {feature.description}" for feature in features.features]
    counts = Counter(one for part in parts for one in set(stems(part)))
    return sorted(one for one in counts.elements() if counts[one] > 1)


def _document(patent: Patent) -> list[str]:
    return stems(f"{patent.title}. {patent.title}. {patent.summary}") or ["-"]
