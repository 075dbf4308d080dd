"""The report in Markdown: facts from the searches, words from the analyst."""

from __future__ import annotations

from collections.abc import Sequence

from invention.analysts.offline import OfflineAnalyst
from invention.models import (
    Features,
    Findings,
    PatentAnalysis,
    PatentFailure,
    PatentOutcomes,
    Relevance,
    Selection,
)

_OFFLINE_NOTE = (
    "This report was made by the **offline analyst**, with **no language model**: features are key "
    "phrases of the conversation, and patents are compared by the words they share with each "
    "feature. It understands no meaning. Set `ANTHROPIC_API_KEY` for an analysis by Claude."
)
_CLAUDE_NOTE = "Features, comparisons and findings in this report were written by Claude."
_ORDER = [Relevance.HIGH, Relevance.MEDIUM, Relevance.LOW]


def render_report(
    title: str,
    *,
    features: Features,
    selection: Selection,
    outcomes: PatentOutcomes,
    findings: Findings,
    analyst: str,
) -> str:
    """Compose the whole report."""
    ranked = sorted(outcomes.analyses, key=lambda one: _ORDER.index(one.relevance))
    failures = outcomes.failures
    sections = [
        f"# Prior art report: {title}",
        findings.summary,
        f"## Novelty\n\n{findings.novelty}",
        f"## Features of the invention\n\n{_features(features, ranked)}",
        f"## Prior art\n\n{_prior_art(selection, ranked)}",
        *[_patent(one) for one in ranked if one.relevance is not Relevance.LOW],
        *([f"## Not analysed\n\n{_failures(failures)}"] if failures else []),
        "## What to do next\n\n" + "\n".join(f"- {one}" for one in findings.recommendations),
        f"---\n\n{_OFFLINE_NOTE if analyst == OfflineAnalyst.name else _CLAUDE_NOTE}",
        "It is no legal advice.",
    ]
    return "\n\n".join(sections) + "\n"


def _features(features: Features, analyses: Sequence[PatentAnalysis]) -> str:
    rows = ["| feature | in the inventor's words | nearest patent |", "|---|---|---|"]
    for feature in features.features:
        nearest = _nearest(feature.name, analyses)
        rows.append(f"| **{_cell(feature.name)}** | {_cell(feature.description)} | {nearest} |")
    return "\n".join(rows)


def _nearest(feature: str, analyses: Sequence[PatentAnalysis]) -> str:
    degrees = [
        (overlap.degree, analysis.number)
        for analysis in analyses
        for overlap in analysis.overlaps
        if overlap.feature == feature
    ]
    if not degrees:
        return "none"
    degree, number = max(degrees, key=lambda pair: pair[0])
    return f"{number} ({degree:.0%})"


def _prior_art(selection: Selection, ranked: Sequence[PatentAnalysis]) -> str:
    if not selection.patents:
        return "The search found no patent for any feature."
    scores = {patent.number: patent for patent in selection.patents}
    intro = (
        f"{selection.hits} search hits, {selection.duplicates} of them repetitions; the "
        f"{len(selection.patents)} most relevant of {selection.distinct} patents were examined."
    )
    rows = ["| patent | title | year | relevance | found for |", "|---|---|---|---|---|"]
    for one in ranked:
        found_for = ", ".join(scores[one.number].found_for) if one.number in scores else ""
        rows.append(
            f"| {one.number} | {_cell(one.title)} | {one.year} | {one.relevance} "
            f"| {_cell(found_for)} |"
        )
    return "\n".join([intro, "", *rows])


def _patent(analysis: PatentAnalysis) -> str:
    overlaps = [
        f"- **{one.feature}**, {one.degree:.0%}" + (f": {one.evidence}" if one.evidence else "")
        for one in analysis.overlaps
    ]
    differences = [f"- {one}" for one in analysis.differences]
    heading = f"### {analysis.number}: {analysis.title} ({analysis.year})"
    parts = [heading, analysis.assessment]
    if overlaps:
        parts.append("In common:\n\n" + "\n".join(overlaps))
    if differences:
        parts.append("Different:\n\n" + "\n".join(differences))
    return "\n\n".join(parts)


def _failures(failures: Sequence[PatentFailure]) -> str:
    lines = [f"- {one.number}: {one.title} ({one.reason})" for one in failures]
    return "\n".join(["These patents could not be analysed; look at them by hand.", "", *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
