"""What goes into an analysis, what its steps hand on, and what comes out.

Every step returns one of these, so what the database of the engine holds is small and typed.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


def _one_line(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(printable.split())
    if not line:
        raise ValueError("there is no text")
    return line


Text = Annotated[str, Field(min_length=1, max_length=10_000)]
# Becomes part of the names of steps, which are lines without control characters.
Label = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(_one_line)]
ShortText = Annotated[str, Field(min_length=1, max_length=300)]


class Strict(BaseModel):
    """A value that never changes and has no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Turn(Strict):
    """One contribution to a conversation."""

    speaker: Literal["inventor", "interviewer"]
    text: Text


class Conversation(Strict):
    """An interview in which an inventor explains an invention."""

    title: ShortText
    turns: list[Turn] = Field(min_length=1, max_length=200)
    id: Annotated[str, Field(max_length=100)] = ""
    field: Annotated[str, Field(max_length=100)] = ""

    @model_validator(mode="after")
    def _has_inventor(self) -> Conversation:
        if not any(turn.speaker == "inventor" for turn in self.turns):
            raise ValueError("no turn of the conversation is by the inventor")
        return self


class AnalysisParams(Strict):
    """The payload of one run of the workflow."""

    conversation: Conversation


class Feature(Strict):
    """One technical feature of the invention."""

    name: Label
    description: Text
    keywords: list[ShortText] = Field(default_factory=list, max_length=20)

    @property
    def query(self) -> str:
        """Give the words to search prior art with."""
        return " ".join([self.name, *self.keywords])


class Features(Strict):
    """What the conversation says about the invention."""

    invention: Text
    features: list[Feature] = Field(max_length=20)


class Patent(Strict):
    """A published patent."""

    number: Label
    title: Text
    year: int = Field(ge=1700, le=2100)
    summary: str = ""
    field: str = ""


class FoundPatent(Patent):
    """A patent that a search returned."""

    score: float = 0.0


class SearchResults(BaseModel):
    """Answer of a patent search; other services may add fields, which are ignored."""

    results: list[FoundPatent]


class Candidate(FoundPatent):
    """A patent that was chosen for analysis, with the features that led to it."""

    found_for: list[str] = Field(default_factory=list)


class Selection(Strict):
    """The distinct patents of all searches, most relevant first, and how they came about."""

    hits: int
    distinct: int
    patents: list[Candidate]

    @property
    def duplicates(self) -> int:
        """Count the hits that repeat a patent found for another feature."""
        return self.hits - self.distinct


class Relevance(StrEnum):
    """How near a patent comes to the invention."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Overlap(Strict):
    """How much of one feature a patent shows."""

    feature: Label
    degree: float = Field(ge=0, le=1)
    evidence: str = ""


class PatentAnalysis(Strict):
    """The comparison of one patent with the invention."""

    number: Label
    title: Text
    year: int
    relevance: Relevance
    overlaps: list[Overlap]
    differences: list[str]
    assessment: Text


class PatentFailure(Strict):
    """A patent that could not be analysed, and why."""

    number: Label
    title: Text
    reason: str


class PatentOutcomes(Strict):
    """What became of each patent."""

    analyses: list[PatentAnalysis]
    failures: list[PatentFailure]


class Findings(Strict):
    """The analyst's words for the report."""

    summary: Text
    novelty: Text
    recommendations: list[Text]


class Report(Strict):
    """The finished report."""

    markdown: str
    analyst: str


class Summary(Strict):
    """The output of a run."""

    analysis_id: str
    title: str
    analyst: str
    features: int
    hits: int
    duplicates_removed: int
    patents_analysed: int
    patents_failed: list[PatentFailure]
    relevance: dict[str, int]
    notification: str
    started_at: datetime
    finished_at: datetime
    seconds: float
    stage_seconds: dict[str, float]


class AnalysisStatus(StrEnum):
    """Where an analysis stands."""

    QUEUED = "queued"
    EXTRACTING_FEATURES = "extracting_features"
    SEARCHING_PRIOR_ART = "searching_prior_art"
    ANALYSING_PATENTS = "analysing_patents"
    WRITING_REPORT = "writing_report"
    NOTIFYING = "notifying"
    COMPLETED = "completed"
    FAILED = "failed"
