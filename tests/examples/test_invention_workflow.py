"""The workflow of the invention analysis on a real engine, store and database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from invention.corpus import load_conversations
from invention.models import AnalysisParams, Conversation, Summary, Turn
from invention.repository import Analyses
from invention.workflow import InventionAnalysis

import stepwell
from stepwell.runtime.d1 import D1Database
from tests.examples.invention_messages import answer_by_schema, failure, fenced, message
from tests.examples.invention_support import local_server

pytestmark = pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")

DRIP = load_conversations()["smart-drip"]
RESULT_SECONDS = 30


@pytest.mark.parametrize("id", load_conversations())
async def test_analysis_of_every_sample(id: str, tmp_path: Path, database: D1Database) -> None:
    """Without a key, each sample is analysed offline to a report and a summary that agree."""
    conversation = load_conversations()[id]
    async with _workflow(tmp_path, database) as workflow:
        summary = await _run(workflow, conversation)

    row = await _row(database, summary.analysis_id)
    report = await (await Analyses.open(database)).report(summary.analysis_id)
    assert "offline" == summary.analyst == row["analyst"]
    assert "completed" == row["status"]
    assert len(row["features"]) == summary.features
    assert len(row["prior_art"]) == summary.patents_analysed == sum(summary.relevance.values())
    assert all(patent["relevance"] and patent["assessment"] for patent in row["prior_art"])
    assert 0 < summary.duplicates_removed < summary.hits
    assert [] == summary.patents_failed
    assert "not configured" == summary.notification
    assert report is not None
    assert conversation.title in report


async def test_summary_has_timing(tmp_path: Path, database: D1Database) -> None:
    """Every stage has its time, and the stages add up to the whole."""
    async with _workflow(tmp_path, database) as workflow:
        summary = await _run(workflow, DRIP)

    stages = ["features", "search", "patents", "report", "completion"]
    assert stages == list(summary.stage_seconds)
    assert summary.started_at <= summary.finished_at
    assert pytest.approx(summary.seconds, abs=0.01) == sum(summary.stage_seconds.values())


async def test_one_failing_patent_is_kept_apart(tmp_path: Path, database: D1Database) -> None:
    """A patent whose analysis fails after its retries is reported, and the rest goes on."""
    refused: list[str] = []

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        content = body["messages"][0]["content"]
        if "Compare a patent" in content and "Dripper of Riddles" in content:
            refused.append("once more")
            return 529, failure("overloaded_error")
        return 200, message(json.dumps(answer_by_schema(body)))

    summary_text = "A drip emitter for irrigation by the moisture of the soil, with line pressure."
    patents = [
        {"number": "US 1", "title": "Drip Emitter", "year": 1969, "summary": summary_text},
        {"number": "US 2", "title": "Dripper of Riddles", "year": 1952, "summary": summary_text},
    ]
    async with (
        local_server(answer) as claude,
        local_server(lambda query: (200, {"results": patents})) as search,
        _workflow(tmp_path, database, **_claude(claude.url), PATENT_API_URL=search.url) as workflow,
    ):
        summary = await _run(workflow, DRIP)

    row = await _row(database, summary.analysis_id)
    report = await (await Analyses.open(database)).report(summary.analysis_id)
    assert ["US 2"] == [failed.number for failed in summary.patents_failed]
    assert 1 == summary.patents_analysed
    assert 5 == len(refused), "one attempt and four retries"
    assert "completed" == row["status"]
    failures = {patent["number"]: patent["failure"] for patent in row["prior_art"]}
    assert failures["US 1"] is None
    assert "ModelUnavailable" in failures["US 2"]
    assert "## Not analysed" in str(report)


async def test_claude_answers_are_retried_until_good(tmp_path: Path, database: D1Database) -> None:
    """Overloaded, invalid and fenced answers in turn: the steps retry, and the run completes."""
    troubles = iter(
        [
            (529, failure("overloaded_error")),
            (200, message("Sorry?")),
            (429, failure("rate_limit_error")),
        ]
    )

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        return next(troubles, (200, message(fenced(answer_by_schema(body)))))

    async with (
        local_server(answer) as claude,
        _workflow(tmp_path, database, **_claude(claude.url)) as workflow,
    ):
        summary = await _run(workflow, DRIP)

    report = await (await Analyses.open(database)).report(summary.analysis_id)
    assert "claude" == summary.analyst
    assert 2 == summary.features
    assert "The control by line pressure seems new." in str(report)
    assert "offline" not in str(report)


async def test_wrong_key_fails_at_once(tmp_path: Path, database: D1Database) -> None:
    """A refused key is not tried again; the analysis is marked failed, and the error re-raised."""
    async with (
        local_server(lambda body: (401, failure("authentication_error"))) as claude,
        _workflow(tmp_path, database, **_claude(claude.url)) as workflow,
    ):
        instance = await workflow.create(params=_params(DRIP))
        with pytest.raises(stepwell.InstanceErrored) as raised:
            await instance.result(timeout=RESULT_SECONDS)

    row = await _row(database, instance.id)
    assert isinstance(raised.value.__cause__, stepwell.NonRetryableError)
    assert 1 == len(claude.bodies)
    assert "failed" == row["status"]
    assert "refuses the request" in row["error"]


async def test_failing_report_fails_the_analysis(tmp_path: Path, database: D1Database) -> None:
    """When the report cannot be written, the analysis is marked failed and keeps what it found."""

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        answered = answer_by_schema(body)
        return 200, message("no report today" if "novelty" in answered else json.dumps(answered))

    async with (
        local_server(answer) as claude,
        _workflow(tmp_path, database, **_claude(claude.url)) as workflow,
    ):
        instance = await workflow.create(params=_params(DRIP))
        with pytest.raises(stepwell.InstanceErrored) as raised:
            await instance.result(timeout=RESULT_SECONDS)
        status = await instance.status()

    row = await _row(database, instance.id)
    assert "InvalidAnswer" == type(raised.value.__cause__).__name__
    assert "errored" == status.status
    assert "failed" == row["status"]
    assert row["error"].startswith("InvalidAnswer: ")
    assert all(patent["relevance"] == "high" for patent in row["prior_art"])
    assert await (await Analyses.open(database)).report(instance.id) is None


async def test_all_patents_failing_fails_the_analysis(tmp_path: Path, database: D1Database) -> None:
    """Without a single comparison there is nothing to report on."""

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        answered = answer_by_schema(body)
        return 200, message("?" if "assessment" in answered else json.dumps(answered))

    async with (
        local_server(answer) as claude,
        _workflow(tmp_path, database, **_claude(claude.url)) as workflow,
    ):
        instance = await workflow.create(params=_params(DRIP))
        with pytest.raises(stepwell.InstanceErrored):
            await instance.result(timeout=RESULT_SECONDS)

    row = await _row(database, instance.id)
    assert "failed" == row["status"]
    assert "patents could be analysed" in row["error"]


async def test_slack_is_told(tmp_path: Path, database: D1Database) -> None:
    """With a webhook, one message with title and numbers goes out when the report is there."""
    async with (
        local_server(lambda body: (200, "ok")) as slack,
        _workflow(tmp_path, database, SLACK_WEBHOOK_URL=f"{slack.url}/hook") as workflow,
    ):
        summary = await _run(workflow, DRIP)

    assert "sent" == summary.notification
    assert 1 == len(slack.bodies)
    assert DRIP.title in slack.bodies[0]["text"]
    assert f"{summary.patents_analysed} patents compared" in slack.bodies[0]["text"]


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (500, 4)])
async def test_slack_may_fail(
    status: int, asked: int, tmp_path: Path, database: D1Database
) -> None:
    """A message that cannot be sent is reported, and the analysis is completed all the same."""
    async with (
        local_server(lambda body: (status, "no_service")) as slack,
        _workflow(tmp_path, database, SLACK_WEBHOOK_URL=f"{slack.url}/hook") as workflow,
    ):
        summary = await _run(workflow, DRIP)

    assert summary.notification.startswith("failed: ")
    assert asked == len(slack.bodies)
    assert "completed" == (await _row(database, summary.analysis_id))["status"]


async def test_search_that_stays_down_fails_the_analysis(
    tmp_path: Path, database: D1Database
) -> None:
    """When the search service stays away, the analysis says so."""
    async with (
        local_server(lambda query: (503, "away")) as search,
        _workflow(tmp_path, database, PATENT_API_URL=search.url) as workflow,
    ):
        instance = await workflow.create(params=_params(DRIP))
        with pytest.raises(stepwell.InstanceErrored):
            await instance.result(timeout=RESULT_SECONDS)

    row = await _row(database, instance.id)
    assert "failed" == row["status"]
    assert "503" in row["error"]


async def test_no_prior_art_is_a_result(tmp_path: Path, database: D1Database) -> None:
    """When no patent is found, the report says so."""
    async with (
        local_server(lambda query: (200, {"results": []})) as search,
        _workflow(tmp_path, database, PATENT_API_URL=search.url) as workflow,
    ):
        summary = await _run(workflow, DRIP)

    report = await (await Analyses.open(database)).report(summary.analysis_id)
    assert 0 == summary.patents_analysed == summary.hits
    assert "The search found no patent" in str(report)


async def test_talk_without_content_fails(tmp_path: Path, database: D1Database) -> None:
    """A conversation that describes nothing is a failed analysis with a clear reason."""
    empty = Conversation(title="Nothing", turns=[Turn(speaker="inventor", text="Well, yes.")])
    async with _workflow(tmp_path, database) as workflow:
        instance = await workflow.create(params=_params(empty))
        with pytest.raises(stepwell.InstanceErrored):
            await instance.result(timeout=RESULT_SECONDS)

    assert "no technical feature" in (await _row(database, instance.id))["error"]


@pytest.mark.parametrize(
    "params", [{}, {"conversation": {"title": "t", "turns": []}}, {"conversation": "stair-robot"}]
)
async def test_invalid_params_are_refused(
    params: dict[str, Any], tmp_path: Path, database: D1Database
) -> None:
    """Params of another form never become an instance."""
    async with _workflow(tmp_path, database) as workflow:
        with pytest.raises(stepwell.StepwellError):
            await workflow.create(id="refused", params=params)
        with pytest.raises(stepwell.InstanceNotFound):
            await workflow.get("refused")


async def test_every_step_leaves_one_line(tmp_path: Path, database: D1Database) -> None:
    """The log of effects has each step once, stages in order."""
    log = tmp_path / "effects.log"
    async with _workflow(tmp_path, database, EFFECTS_LOG=str(log)) as workflow:
        summary = await _run(workflow, DRIP)

    lines = log.read_text().splitlines()
    assert len(set(lines)) == len(lines)
    assert ["begin", "extract features", "record features"] == lines[:3]
    assert ["record patents", "write report", "record report", "record completion"] == lines[-4:]
    searches = [line for line in lines if line.startswith("search prior art: ")]
    comparisons = [line for line in lines if line.startswith("analyse US ")]
    assert (summary.features, summary.patents_analysed) == (len(searches), len(comparisons))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an analysis that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert 0 == _run_in_process(folder)
    return folder


# One moment in each stage: it begins, extracts, records, searches, compares, writes, completes.
@pytest.mark.parametrize("killed_at", [1, 2, 3, 7, 12, 15, -3, -1])
async def test_killed_in_a_stage(killed_at: int, tmp_path: Path, undisturbed: Path) -> None:
    """SIGKILL in any stage: the next process goes on, and no finished step runs again."""
    expected = _lines(undisturbed)
    moment = killed_at if killed_at > 0 else len(expected) + 1 + killed_at

    killed = _run_in_process(tmp_path, kill_at=moment)
    done_before = await _finished_steps(tmp_path)
    recovered = _run_in_process(tmp_path)

    times = Counter(_lines(tmp_path))
    assert (-signal.SIGKILL, 0) == (killed, recovered)
    assert set(expected) == set(times)
    assert {} == {name: times[name] for name in done_before if times[name] != 1}
    assert len(done_before) < moment
    assert (undisturbed / "report.md").read_text() == (tmp_path / "report.md").read_text()


def _run_in_process(folder: Path, kill_at: int = 0) -> int:
    """Run one analysis to its end in a process of its own, or until it kills itself."""
    script = Path(__file__).parent / "invention_process.py"
    command = [sys.executable, str(script), str(folder), str(kill_at)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


async def _finished_steps(folder: Path) -> list[str]:
    """The names of the steps whose results a killed process has stored."""
    url = f"sqlite:///{folder / 'stepwell.db'}"
    async with stepwell.open(url, workflows=[InventionAnalysis], worker=False) as well:
        steps = await (await well.workflow(InventionAnalysis).get("analysis")).steps()
    return [step["name"].removesuffix("-1") for step in steps if step["success"]]


def _lines(folder: Path) -> list[str]:
    return (folder / "effects.log").read_text().splitlines()


def _claude(url: str) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": "key-of-a-test", "ANTHROPIC_BASE_URL": url}


def _params(conversation: Conversation) -> AnalysisParams:
    return AnalysisParams(conversation=conversation)


@asynccontextmanager
async def _workflow(
    tmp_path: Path, database: D1Database, **settings: str
) -> AsyncIterator[stepwell.Workflow]:
    env = SimpleNamespace(DB=database, RETRY_DELAY="1 ms", **settings)
    url = f"sqlite:///{tmp_path / 'stepwell.db'}"
    async with stepwell.open(url, workflows=[InventionAnalysis], env=env) as well:
        yield well.workflow(InventionAnalysis)


async def _run(workflow: stepwell.Workflow, conversation: Conversation) -> Summary:
    instance = await workflow.create(params=_params(conversation))
    summary = await instance.result(timeout=RESULT_SECONDS)
    assert isinstance(summary, Summary)
    assert instance.id == summary.analysis_id
    return summary


async def _row(database: D1Database, id: str) -> dict[str, Any]:
    row = await (await Analyses.open(database)).find(id)
    assert row is not None
    return row
