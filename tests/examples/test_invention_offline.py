"""The offline analyst: features, comparison and report without a model."""

from __future__ import annotations

import pytest
from invention.analysts.offline import FEATURES_MAX, OfflineAnalyst
from invention.corpus import load_conversations, load_patents
from invention.models import (
    Conversation,
    Feature,
    Features,
    Patent,
    PatentFailure,
    PatentOutcomes,
    Relevance,
    Selection,
    Turn,
)
from invention.prior_art import select
from invention.report import render_report
from invention.search import default_index

from stepwell import NonRetryableError

# What a careful reader would name as features of each sample, as words of which the analyst's
# names and keywords must contain each.
TERMS = {
    "stair-robot": [
        "wheel cluster",
        "battery pack",
        "cliff sensors",
        "dust bin",
        "omnidirectional",
    ],
    "smart-drip": ["ceramic cup", "drip tube", "latching valve", "line pressure", "irrigation"],
    "insulin-patch": ["microneedle", "glucose", "electro-osmotic pump", "hydrogel", "ring"],
}
# Prior art that the corpus has for each sample and that an expert would want to see.
EXPECTED = {
    "stair-robot": ["US 5,701,965", "US 6,883,201", "US 6,594,844", "US 4,593,429"],
    "smart-drip": ["US 3,420,064", "US 5,847,568", "US 4,196,853", "US 2,604,359"],
    "insulin-patch": ["US 6,931,277", "US 3,964,482", "US 6,740,059", "US 6,175,752"],
}


@pytest.mark.parametrize("id", TERMS)
async def test_features_are_what_a_reader_would_name(id: str) -> None:
    """The features of a sample contain the technical terms that matter, and few of them."""
    features = await _features(id)
    named = " | ".join(feature.query for feature in features.features)

    assert 5 <= len(features.features) <= FEATURES_MAX
    assert [] == [term for term in TERMS[id] if term not in named]


@pytest.mark.parametrize("id", TERMS)
async def test_features_differ_and_quote_the_inventor(id: str) -> None:
    """Names are distinct, and each description is a sentence that the inventor said."""
    features = await _features(id)
    conversation = load_conversations()[id]
    said = " ".join(turn.text for turn in conversation.turns if turn.speaker == "inventor")

    names = [feature.name for feature in features.features]
    assert len(set(names)) == len(names)
    assert all(feature.description in said for feature in features.features)


@pytest.mark.parametrize("id", EXPECTED)
async def test_expected_prior_art_is_ranked_high(id: str) -> None:
    """The prior art that an expert expects is among the patents that are examined."""
    selection = await _selection(await _features(id))
    examined = [patent.number for patent in selection.patents]

    assert [] == [number for number in EXPECTED[id] if number not in examined]
    assert selection.patents[0].score == max(patent.score for patent in selection.patents)


async def test_extraction_is_repeatable() -> None:
    """The same conversation gives the same features every time."""
    assert await _features("smart-drip") == await _features("smart-drip")


@pytest.mark.parametrize("text", ["Well, yes.", "I do not know. It is what it is.", "?"])
async def test_empty_talk_is_refused(text: str) -> None:
    """A conversation without technical content is an error that trying again cannot help."""
    conversation = Conversation(title="Nothing", turns=[Turn(speaker="inventor", text=text)])

    with pytest.raises(NonRetryableError, match="describes no technical feature"):
        await OfflineAnalyst().extract_features(conversation)


async def test_comparison_shows_shared_words() -> None:
    """A patent that describes a feature is highly relevant, and the shared words are named."""
    features = await _features("stair-robot")
    cyclone = _patent("US 4,593,429")

    analysis = await OfflineAnalyst().analyse_patent(features, cyclone)

    assert Relevance.HIGH == analysis.relevance
    assert "cyclon" in analysis.overlaps[0].evidence
    assert "cyclonic separator" == analysis.overlaps[0].feature


async def test_comparison_with_foreign_patent_is_low() -> None:
    """A patent of another field has low relevance, and the features it lacks are named."""
    features = await _features("stair-robot")

    analysis = await OfflineAnalyst().analyse_patent(features, _patent("US 644,077"))

    assert Relevance.LOW == analysis.relevance
    assert "wheel cluster" in analysis.differences[0]


async def test_one_shared_word_is_not_relevance() -> None:
    """A single rare word in common, which may mean another thing there, stays low."""
    features = Features(
        invention="a ring", features=[Feature(name="gimbal", description="A gimbal holds it.")]
    )
    patent = Patent(number="1", title="Ship's compass", year=1900, summary="Hung in a gimbal.")

    analysis = await OfflineAnalyst().analyse_patent(features, patent)

    assert Relevance.LOW == analysis.relevance


@pytest.mark.parametrize("id", EXPECTED)
async def test_report_is_complete(id: str) -> None:
    """The report has every section, every examined patent, and says that no model made it."""
    features = await _features(id)
    selection = await _selection(features)
    analyst = OfflineAnalyst()
    analyses = [await analyst.analyse_patent(features, one) for one in selection.patents]
    failure = PatentFailure(number="US 9", title="Gone", reason="TimeoutError: too slow")
    findings = await analyst.write_findings(features, analyses)

    report = render_report(
        "Title",
        features=features,
        selection=selection,
        outcomes=PatentOutcomes(analyses=analyses, failures=[failure]),
        findings=findings,
        analyst=analyst.name,
    )

    for heading in ("# Prior art report: Title", "## Novelty", "## Prior art", "## Not analysed"):
        assert heading in report
    assert all(patent.number in report for patent in selection.patents)
    assert all(feature.name in report for feature in features.features)
    assert "offline analyst" in report
    assert "no language model" in report
    assert "US 9: Gone (TimeoutError: too slow)" in report


async def test_report_without_prior_art() -> None:
    """When no patent was found, the report says so, and is still a report."""
    features = await _features("smart-drip")
    selection = Selection(hits=0, distinct=0, patents=[])
    findings = await OfflineAnalyst().write_findings(features, [])

    report = render_report(
        "Title",
        features=features,
        selection=selection,
        outcomes=PatentOutcomes(analyses=[], failures=[]),
        findings=findings,
        analyst="offline",
    )

    assert "The search found no patent" in report
    assert "## Not analysed" not in report


async def _features(id: str) -> Features:
    return await OfflineAnalyst().extract_features(load_conversations()[id])


async def _selection(features: Features) -> Selection:
    index = default_index()
    found = {one.name: index.search(one.query, 8).results for one in features.features}
    return select(features, found, 12)


def _patent(number: str) -> Patent:
    return next(patent for patent in load_patents() if patent.number == number)
