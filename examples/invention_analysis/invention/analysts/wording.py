"""Sentences that the offline analyst makes from its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from invention.models import (
    Features,
    Findings,
    Overlap,
    Patent,
    PatentAnalysis,
    Relevance,
)

HIGH = 0.4
MEDIUM = 0.2
ABSENT = 0.1


def describe_patent(patent: Patent, overlaps: Sequence[Overlap]) -> PatentAnalysis:
    """Say how a patent relates to the invention, by its overlaps."""
    ranked = sorted(overlaps, key=lambda one: -one.degree)
    relevance = _relevance(ranked[0])
    absent = [one.feature for one in overlaps if one.degree < ABSENT]
    return PatentAnalysis(
        number=patent.number,
        title=patent.title,
        year=patent.year,
        relevance=relevance,
        overlaps=[one for one in ranked if one.degree >= ABSENT],
        differences=[f"nothing in title and summary on {_quoted(absent)}"] if absent else [],
        assessment=_assessment(relevance, ranked, len(absent)),
    )


def _relevance(nearest: Overlap) -> Relevance:
    # One word alone may have another meaning there, however rare it is.
    if nearest.degree < MEDIUM or "," not in nearest.evidence:
        return Relevance.LOW
    return Relevance.HIGH if nearest.degree >= HIGH else Relevance.MEDIUM


def _assessment(relevance: Relevance, ranked: Sequence[Overlap], absent: int) -> str:
    nearest = ranked[0]
    if not nearest.evidence:
        return "It shares no word with any feature; it came up for words of the search only."
    closeness = {
        Relevance.HIGH: "It comes close to",
        Relevance.MEDIUM: "It touches",
        Relevance.LOW: "It has little in common even with",
    }[relevance]
    return (
        f"{closeness} the feature “{nearest.feature}”: {nearest.degree:.0%} of that feature's "
        f"vocabulary appears in it ({nearest.evidence}). "
        f"{absent} of {len(ranked)} features have no counterpart."
    )


def describe_findings(features: Features, analyses: Sequence[PatentAnalysis]) -> Findings:
    """Compose the words of a report."""
    best = _best_by_feature(features, analyses)
    return Findings(
        summary=_summary(features, analyses),
        novelty=_novelty(best),
        recommendations=_recommendations(best, analyses),
    )


def _best_by_feature(
    features: Features, analyses: Sequence[PatentAnalysis]
) -> dict[str, tuple[float, str]]:
    """For each feature, the highest degree of overlap and the patent that reaches it."""
    best = {feature.name: (0.0, "") for feature in features.features}
    for analysis in analyses:
        for overlap in analysis.overlaps:
            if overlap.degree > best.get(overlap.feature, (0.0, ""))[0]:
                best[overlap.feature] = (overlap.degree, analysis.number)
    return best


def _summary(features: Features, analyses: Sequence[PatentAnalysis]) -> str:
    if not analyses:
        return f"{features.invention}\n\nThe search found no patent that could be compared with it."
    close = [one for one in analyses if one.relevance is Relevance.HIGH]
    compared = f"{len(features.features)} features were compared with {len(analyses)} patents."
    if not close:
        return f"{features.invention}\n\n{compared} None of them comes close to any feature."
    names = ", ".join(f"{one.number} ({one.title}, {one.year})" for one in close[:3])
    count = "One comes" if len(close) == 1 else f"{len(close)} come"
    return (
        f"{features.invention}\n\n{compared} {count} close to at least one feature, first: {names}."
    )


def _novelty(best: dict[str, tuple[float, str]]) -> str:
    ordered = sorted(best.items(), key=lambda item: item[1][0])
    free = [name for name, (degree, _) in ordered if degree < MEDIUM]
    covered = [f"“{name}” ({number})" for name, (degree, number) in ordered if degree >= HIGH]
    parts = []
    if free:
        parts.append(f"Least known from the patents compared: {_quoted(free)}.")
    else:
        name, (degree, number) = ordered[0]
        parts.append(
            f"Every feature shares vocabulary with some patent; the least is “{name}” "
            f"({degree:.0%}, with {number})."
        )
    if covered:
        parts.append(f"Largely known: {', '.join(reversed(covered))}.")
    parts.append(
        "Novelty may also lie in the combination of known features, which no comparison of single "
        "features shows."
    )
    return " ".join(parts)


def _recommendations(
    best: dict[str, tuple[float, str]], analyses: Sequence[PatentAnalysis]
) -> list[str]:
    free = [name for name, (degree, _) in best.items() if degree < MEDIUM]
    nearest = [one.number for one in analyses if one.relevance is Relevance.HIGH][:3]
    steps = []
    if nearest:
        steps.append(f"Read the claims of {', '.join(nearest)} in full; only claims protect.")
    if free:
        steps.append(f"Build the main claim around {_quoted(free[:3])}.")
    steps.append("Search a patent office's full database with these features before filing.")
    steps.append("Note who had which idea when, and tell nobody outside before the filing date.")
    return steps


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
