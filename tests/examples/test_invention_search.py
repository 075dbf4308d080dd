"""The search in the project's patents, and what is made of its hits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from invention.models import Feature, Features, FoundPatent, Patent
from invention.prior_art import search_prior_art, select
from invention.search import LIMIT_MAX, PatentIndex, default_index
from pydantic import ValidationError

from tests.examples.invention_support import local_server

HOSTILE = [
    '"',
    "'; DROP TABLE patents; --",
    "NEAR(telephone lamp, 5)",
    "title: telephone",
    "tele*",
    "^telephone",
    "{title summary} : telephone",
    "telephone AND",
    "NOT NOT OR",
    "-telephone +lamp",
    "(((((",
    "\x00telephone\x00",
    "téléphone — ☎️ 电话",
    "a" * 2000,
    "telephone " * 2000,
    "%s %n ?1 :x @y $z",
]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("speech over an electric wire, undulating current", "US 174,465"),
        ("incandescent carbon filament lamp", "US 223,898"),
        ("public key encryption with primes", "US 4,405,829"),
        ("ranking web pages by links", "US 6,285,999"),
        ("doubling DNA with primers in cycles", "US 4,683,202"),
        ("hooks and loops fastener", "US 2,717,437"),
    ],
)
def test_finds_what_is_meant(query: str, number: str) -> None:
    """A description in ordinary words finds the patent among the first three."""
    found = default_index().search(query, 3).results

    assert number in [patent.number for patent in found]


def test_best_match_is_first() -> None:
    """Scores fall from the first result to the last, and are positive."""
    scores = [found.score for found in default_index().search("drip irrigation hose").results]

    assert sorted(scores, reverse=True) == scores
    assert scores[-1] > 0


@pytest.mark.parametrize("query", HOSTILE)
def test_hostile_queries_are_only_words(query: str) -> None:
    """Whatever a query contains, it is searched as words, and the index stays whole."""
    found = default_index().search(query, 5).results

    assert len(found) <= 5
    assert default_index().search("telephone", 1).results != []


@pytest.mark.parametrize("query", ["", "   ", "the of and", "?!"])
def test_query_without_words_finds_nothing(query: str) -> None:
    """Without a word to look for there is no result, and no error."""
    assert default_index().search(query).results == []


def test_limit_has_a_maximum() -> None:
    """However many results are asked for, there are never more than the maximum."""
    found = default_index().search("electric device apparatus method system", 10_000).results

    assert len(found) == LIMIT_MAX


def test_word_forms_match() -> None:
    """Singular and plural, and other forms of a word, find the same patent."""
    index = PatentIndex([Patent(number="1", title="Climbing wheels", year=1900)])

    assert ["1"] == [found.number for found in index.search("a wheel that climbs").results]


async def test_search_service_can_be_another() -> None:
    """With PATENT_API_URL set, that service is asked, and its answer is used."""
    hit = {"number": "EP 1", "title": "Lamp", "year": 1999, "score": 2, "applicant": "ignored"}
    async with local_server(lambda body: (200, {"results": [_known(hit)]})) as server:
        env = _environment(PATENT_API_URL=f"{server.url}/")
        found = await search_prior_art(env, "lamp & shade", 7)

    assert ["EP 1"] == [patent.number for patent in found.results]
    assert [{"q": "lamp & shade", "limit": "7"}] == server.bodies
    assert "/search" == server.requests[0][0]


async def test_search_service_with_other_form_is_refused() -> None:
    """An answer without the agreed form is an error, not an empty result."""
    async with local_server(lambda body: (200, {"hits": []})) as server:
        with pytest.raises(ValidationError):
            await search_prior_art(_environment(PATENT_API_URL=server.url), "lamp", 7)


def test_select_removes_duplicates_and_ranks() -> None:
    """A patent found for two features appears once, names both, and comes before the others."""
    features = Features(
        invention="A lamp with a filament",
        features=[
            Feature(name="filament lamp", description="A carbon filament glows in the lamp."),
            Feature(
                name="glass bulb", description="The lamp has a glass bulb around the filament."
            ),
        ],
    )
    lamp = FoundPatent(number="1", title="Lamp", year=1880, summary="A carbon filament in a lamp.")
    other = FoundPatent(number="2", title="Lamp", year=1890, summary="A bulb of blown glass.")

    selection = select(features, {"filament lamp": [lamp], "glass bulb": [other, lamp]}, 10)

    assert (3, 2, 1) == (selection.hits, selection.distinct, selection.duplicates)
    assert ["1", "2"] == [patent.number for patent in selection.patents][:2]
    assert ["filament lamp", "glass bulb"] == selection.patents[0].found_for


def test_select_keeps_at_most_as_many_as_asked() -> None:
    """The number of patents to examine is bounded."""
    features = Features(
        invention="telephone", features=[Feature(name="telephone", description="A telephone.")]
    )
    found = {"telephone": default_index().search("telephone", 20).results}

    assert len(select(features, found, 3).patents) <= 3
    assert select(features, {"telephone": []}, 3).patents == []


def _environment(**settings: Any) -> Any:
    return SimpleNamespace(**settings)


def _known(hit: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hit.items() if name != "applicant"}
