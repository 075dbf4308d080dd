"""The data of the invention analysis: patents and conversations."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter

import pytest
from invention.corpus import load_conversations, load_patents
from invention.models import Patent

# The number of the first patent that the United States granted in a year, as its patent office
# publishes it, every tenth year or so; between two of them a number bounds the year.
FIRST_OF_YEAR = {
    1836: 1,
    1840: 1_465,
    1850: 6_981,
    1860: 26_642,
    1870: 98_460,
    1880: 223_211,
    1890: 418_665,
    1900: 640_167,
    1910: 945_010,
    1920: 1_326_899,
    1930: 1_742_181,
    1940: 2_185_170,
    1950: 2_492_944,
    1960: 2_919_443,
    1970: 3_487_470,
    1980: 4_180_867,
    1990: 4_890_335,
    2000: 6_009_555,
    2010: 7_640_598,
    2020: 10_524_402,
}
NEXT_YEAR = 2030

# Facts that anybody can look up, as a check that rows were not shifted against each other.
WELL_KNOWN = {
    "US 174,465": ("Improvement in Telegraphy", 1876),
    "US 223,898": ("Electric-Lamp", 1880),
    "US 821,393": ("Flying-Machine", 1906),
    "US 1,773,980": ("Television System", 1930),
    "US 2,708,656": ("Neutronic Reactor", 1955),
    "US 3,541,541": ("X-Y Position Indicator for a Display System", 1970),
    "US 4,405,829": ("Cryptographic Communications System and Method", 1983),
    "US 4,683,202": ("Process for Amplifying Nucleic Acid Sequences", 1987),
    "US 6,285,999": ("Method for Node Ranking in a Linked Database", 2001),
    "US 8,697,359": (
        "CRISPR-Cas Systems and Methods for Altering Expression of Gene Products",
        2014,
    ),
}


def test_corpus_is_large_and_broad() -> None:
    """At least 150 patents, from at least ten fields with several patents each."""
    fields = Counter(patent.field for patent in load_patents())

    assert len(load_patents()) >= 150
    assert len([field for field, count in fields.items() if count >= 5]) >= 10


def test_numbers_are_unique_and_sorted() -> None:
    """No patent appears twice, and the file is in the order of the numbers."""
    numbers = [_number(patent) for patent in load_patents()]

    assert sorted(set(numbers)) == numbers


def test_years_fit_numbers() -> None:
    """Patent numbers grow with time, so each number bounds the year of its grant."""
    years = [*FIRST_OF_YEAR, NEXT_YEAR]

    wrong = []
    for patent in load_patents():
        place = bisect_right(list(FIRST_OF_YEAR.values()), _number(patent))
        if not years[place - 1] <= patent.year < years[place]:
            wrong.append((patent.number, patent.year))

    assert [] == wrong


def test_every_patent_is_described() -> None:
    """Each has a title, and one to three sentences of summary."""
    thin = [
        patent.number
        for patent in load_patents()
        if not patent.title or not 40 <= len(patent.summary) <= 400 or patent.summary[-1] != "."
    ]

    assert [] == thin


@pytest.mark.parametrize("number", WELL_KNOWN)
def test_well_known_facts(number: str) -> None:
    """Well-known patents stand there with their title and year."""
    patent = next(patent for patent in load_patents() if patent.number == number)

    assert WELL_KNOWN[number] == (patent.title, patent.year)


def test_three_full_conversations() -> None:
    """Three samples about different fields, each of 15 to 30 turns."""
    samples = load_conversations().values()

    assert len(samples) == 3
    assert len({sample.field for sample in samples}) == 3
    assert all(15 <= len(sample.turns) <= 30 for sample in samples)
    assert {"insulin-patch", "smart-drip", "stair-robot"} == set(load_conversations())


def _number(patent: Patent) -> int:
    country, _, digits = patent.number.partition(" ")
    assert country == "US"
    return int(digits.replace(",", ""))
