"""The stages of one analysis, each a step or several, with its status in the database.

Nothing here asks for the time, the network or the database outside a step: when the run starts
again after a crash, the finished steps answer with what they returned, and the rest goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from invention.analyst import Analyst, choose_analyst, open_analyst
from invention.effects import perform
from invention.models import (
    AnalysisStatus,
    Candidate,
    Conversation,
    Feature,
    Features,
    PatentAnalysis,
    PatentFailure,
    PatentOutcomes,
    Report,
    Selection,
    Strict,
)
from invention.prior_art import search_prior_art, select
from invention.report import render_report
from invention.repository import Analyses
from invention.settings import Env, retry_config, setting, setting_as_number
from invention.slack import post_message
from stepwell import NonRetryableError, StepConfigDict, WorkflowStep

HITS_PER_FEATURE = 8
PATENTS_MAX = 12

T = TypeVar("T")


class Begun(Strict):
    """Which analyst the analysis has, from its first step on, and when that was."""

    analyst: str
    at: datetime


class Stages:
    """The stages of one run, to be called in the order in which they stand here."""

    def __init__(self, env: Env, step: WorkflowStep, id: str, conversation: Conversation) -> None:
        self.env = env
        self.id = id
        self.conversation = conversation
        self.ended_at: dict[str, datetime] = {}
        self._step = step
        self._analyst_name = ""
        self._database = retry_config(env, limit=5, timeout="30 seconds")
        self._search = retry_config(env, limit=4, timeout="30 seconds")
        self._thought = retry_config(env, limit=4, timeout="3 minutes")

    async def begin(self, created: datetime) -> Begun:
        """Decide who analyses, and enter the analysis into the database."""

        async def work() -> Begun:
            begun = Begun(analyst=choose_analyst(self.env), at=datetime.now(UTC))
            analyses = await Analyses.open(self.env.DB)
            title = self.conversation.title
            await analyses.begin(self.id, title, begun.analyst, created=created, now=begun.at)
            return begun

        begun = await self._do("begin", self._database, work)
        self._analyst_name = begun.analyst
        return begun

    async def extract_features(self) -> Features:
        """Find the features of the invention in the conversation."""

        async def work() -> Features:
            analyst = await self._analyst()
            return await analyst.extract_features(self.conversation)

        features = await self._do("extract features", self._thought, work)
        await self._record("features", lambda rows, now: rows.put_features(self.id, features, now))
        return features

    async def search_prior_art(self, features: Features) -> Selection:
        """Search for every feature at the same time, and merge what was found."""
        searches = [self._search_feature(feature) for feature in features.features]
        found = _all_or_error(await asyncio.gather(*(_settle(search) for search in searches)))
        names = [feature.name for feature in features.features]

        async def work() -> Selection:
            patents_max = int(setting_as_number(self.env, "MAX_PATENTS", PATENTS_MAX))
            return select(features, dict(zip(names, found, strict=True)), patents_max)

        selection = await self._do("select prior art", self._database, work)
        await self._record("search", lambda rows, now: rows.put_prior_art(self.id, selection, now))
        return selection

    async def analyse_patents(self, features: Features, selection: Selection) -> PatentOutcomes:
        """Compare every patent at the same time; one that fails does not fail the others."""
        patents = selection.patents
        work = [_settle(self._analyse_patent(features, patent)) for patent in patents]
        settled = list(zip(patents, await asyncio.gather(*work), strict=True))
        outcomes = PatentOutcomes(
            analyses=[one for _, one in settled if isinstance(one, PatentAnalysis)],
            failures=[
                _failure(patent, one) for patent, one in settled if isinstance(one, Exception)
            ],
        )
        if outcomes.failures and not outcomes.analyses:
            first = outcomes.failures[0]
            raise NonRetryableError(
                f"none of {len(patents)} patents could be analysed; {first.number}: {first.reason}"
            )
        await self._record(
            "patents",
            lambda rows, now: rows.put_analyses(self.id, outcomes.analyses, outcomes.failures, now),
        )
        return outcomes

    async def write_report(
        self, features: Features, selection: Selection, outcomes: PatentOutcomes
    ) -> Report:
        """Judge the invention, and compose the report."""

        async def work() -> Report:
            analyst = await self._analyst()
            findings = await analyst.write_findings(features, outcomes.analyses)
            markdown = render_report(
                self.conversation.title,
                features=features,
                selection=selection,
                outcomes=outcomes,
                findings=findings,
                analyst=self._analyst_name,
            )
            return Report(markdown=markdown, analyst=self._analyst_name)

        report = await self._do("write report", self._thought, work)
        await self._record("report", lambda rows, now: rows.put_report(self.id, report, now))
        return report

    async def notify(self, text: str) -> str:
        """Tell Slack when it is configured; the report is there in any case."""
        webhook_url = setting(self.env, "SLACK_WEBHOOK_URL")
        if not webhook_url:
            return "not configured"

        async def work() -> None:
            await post_message(webhook_url, text)

        config = retry_config(self.env, limit=3, timeout="30 seconds")
        problem = await _settle(self._do("notify slack", config, work))
        return f"failed: {problem}" if isinstance(problem, Exception) else "sent"

    async def complete(self) -> None:
        """Mark the analysis as completed."""
        status = AnalysisStatus.COMPLETED
        await self._record("completion", lambda rows, now: rows.set_status(self.id, status, now))

    async def fail(self, error: Exception) -> None:
        """Mark the analysis as failed."""
        text = f"{type(error).__name__}: {error}"
        status = AnalysisStatus.FAILED
        await self._record(
            "failure", lambda rows, now: rows.set_status(self.id, status, now, error=text)
        )

    async def _search_feature(self, feature: Feature) -> Sequence[Candidate]:
        async def work() -> list[Candidate]:
            found = await search_prior_art(self.env, feature.query, HITS_PER_FEATURE)
            return [Candidate(**hit.model_dump()) for hit in found.results]

        return await self._do(f"search prior art: {feature.name}", self._search, work)

    async def _analyse_patent(self, features: Features, patent: Candidate) -> PatentAnalysis:
        async def work() -> PatentAnalysis:
            analyst = await self._analyst()
            return await analyst.analyse_patent(features, patent)

        return await self._do(f"analyse {patent.number}", self._thought, work)

    async def _record(
        self, what: str, write: Callable[[Analyses, datetime], Awaitable[None]]
    ) -> None:
        """Write to the database; what it is also names the stage that ends with it."""

        async def work() -> datetime:
            now = datetime.now(UTC)
            await write(await Analyses.open(self.env.DB), now)
            return now

        self.ended_at[what] = await self._do(f"record {what}", self._database, work)

    async def _do(self, name: str, config: StepConfigDict, work: Callable[[], Awaitable[T]]) -> T:
        async def effect() -> T:
            return await perform(self.env, name, work)

        return await self._step.do(name, config, effect)

    async def _analyst(self) -> Analyst:
        return await open_analyst(self._analyst_name, self.env)


async def _settle(work: Awaitable[T]) -> T | Exception:
    """Wait for a step, and give its error as a value, so that its siblings may finish too."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001  (it is the outcome, and recorded)
        return error


def _all_or_error(settled: Sequence[T | Exception]) -> list[T]:
    results: list[T] = []
    for one in settled:
        if isinstance(one, Exception):
            raise one
        results.append(one)
    return results


def _failure(patent: Candidate, error: Exception) -> PatentFailure:
    reason = f"{type(error).__name__}: {error}"
    return PatentFailure(number=patent.number, title=patent.title, reason=reason)
