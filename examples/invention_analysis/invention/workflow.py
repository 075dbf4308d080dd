"""The workflow: from a conversation to a report on prior art, in durable steps."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from invention.models import AnalysisParams, Features, PatentOutcomes, Selection, Summary
from invention.settings import Env
from invention.stages import Begun, Stages
from stepwell import WorkflowEntrypoint, WorkflowEvent, WorkflowStep


class InventionAnalysis(WorkflowEntrypoint[Env, AnalysisParams]):
    """Features, prior art, comparison, report, notification: whatever happens to the process."""

    name = "invention-analysis"

    async def run(self, event: WorkflowEvent[AnalysisParams], step: WorkflowStep) -> Summary:
        """Analyse the conversation of the payload.

        Raises:
            Exception: what made a stage fail after its retries; the analysis is marked as failed.
        """
        conversation = event.payload.conversation
        stages = Stages(self.env, step, event.instance_id, conversation)
        try:
            return await _analyse(stages, event.timestamp)
        except Exception as error:
            await stages.fail(error)
            raise


async def _analyse(stages: Stages, created: datetime) -> Summary:
    begun = await stages.begin(created)
    features = await stages.extract_features()
    selection = await stages.search_prior_art(features)
    outcomes = await stages.analyse_patents(features, selection)
    await stages.write_report(features, selection, outcomes)
    notification = await stages.notify(_message(stages, outcomes))
    await stages.complete()
    return _summarise(
        stages,
        begun,
        features=features,
        selection=selection,
        outcomes=outcomes,
        notification=notification,
    )


def _message(stages: Stages, outcomes: PatentOutcomes) -> str:
    failed = f", {len(outcomes.failures)} could not be analysed" if outcomes.failures else ""
    return (
        f"The prior art report on “{stages.conversation.title}” is ready: "
        f"{len(outcomes.analyses)} patents compared{failed}. Analysis {stages.id}."
    )


def _summarise(
    stages: Stages,
    begun: Begun,
    *,
    features: Features,
    selection: Selection,
    outcomes: PatentOutcomes,
    notification: str,
) -> Summary:
    finished = stages.ended_at["completion"]
    return Summary(
        analysis_id=stages.id,
        title=stages.conversation.title,
        analyst=begun.analyst,
        features=len(features.features),
        hits=selection.hits,
        duplicates_removed=selection.duplicates,
        patents_analysed=len(outcomes.analyses),
        patents_failed=outcomes.failures,
        relevance=dict(Counter(one.relevance.value for one in outcomes.analyses)),
        notification=notification,
        started_at=begun.at,
        finished_at=finished,
        seconds=_seconds(finished - begun.at),
        stage_seconds=_stage_seconds(begun.at, stages.ended_at),
    )


def _stage_seconds(started: datetime, ended_at: dict[str, datetime]) -> dict[str, float]:
    """How long each stage took: stages follow each other, so each starts where the last ended."""
    starts = [started, *ended_at.values()]
    return {
        stage: _seconds(end - start)
        for (stage, end), start in zip(ended_at.items(), starts, strict=False)
    }


def _seconds(duration: timedelta) -> float:
    return round(duration.total_seconds(), 3)
