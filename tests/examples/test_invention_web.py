"""The HTTP side of the invention analysis, with its workflow on a real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from invention.corpus import load_conversations
from invention.repository import Analyses
from invention.web import app
from invention.workflow import InventionAnalysis
from starlette.types import Receive, Scope, Send

import stepwell
from stepwell.runtime.d1 import D1Database
from tests.examples.invention_messages import failure
from tests.examples.invention_support import local_server

pytestmark = pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")

SAMPLE = load_conversations()["stair-robot"]


async def test_analysis_from_start_to_report(tmp_path: Path, database: D1Database) -> None:
    """A sample is started with 202, followed by its id, and its report read as Markdown."""
    async with _project(tmp_path, database) as (client, workflow):
        started = await client.post("/analyses", json={"conversation_id": "stair-robot"})
        id = started.json()["id"]
        await (await workflow.get(id)).result(timeout=30)
        shown = await client.get(started.json()["status_url"])
        report = await client.get(f"/analyses/{id}/report")
        listed = await client.get("/analyses")

    assert 202 == started.status_code
    assert "completed" == shown.json()["status"]
    assert "complete" == shown.json()["workflow"]["status"]
    assert id == shown.json()["workflow"]["output"]["analysis_id"]
    assert "text/markdown; charset=utf-8" == report.headers["content-type"]
    assert report.text.startswith(f"# Prior art report: {SAMPLE.title}")
    assert [id] == [one["id"] for one in listed.json()["analyses"]]


async def test_own_conversation(tmp_path: Path, database: D1Database) -> None:
    """A whole conversation in the body is analysed like a sample."""
    body = {"conversation": SAMPLE.model_dump(mode="json", exclude={"id", "field"})}
    async with _project(tmp_path, database) as (client, workflow):
        started = await client.post("/analyses", json=body)
        await (await workflow.get(started.json()["id"])).result(timeout=30)
        shown = await client.get(started.json()["status_url"])

    assert SAMPLE.title == shown.json()["title"]


async def test_started_analysis_is_visible_at_once(tmp_path: Path, database: D1Database) -> None:
    """Even when no worker runs yet, the new analysis is there, queued, and has no report."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        started = await client.post("/analyses", json={"conversation_id": "smart-drip"})
        shown = await client.get(started.json()["status_url"])
        report = await client.get(f"{started.json()['status_url']}/report")

    assert "queued" == shown.json()["status"]
    assert "queued" == shown.json()["workflow"]["status"]
    assert 409 == report.status_code
    assert "queued" in report.json()["detail"]


async def test_announcement_does_not_set_back(tmp_path: Path, database: D1Database) -> None:
    """When the run was faster than the answer, its status stays."""
    async with _project(tmp_path, database) as (client, workflow):
        started = await client.post("/analyses", json={"conversation_id": "smart-drip"})
        id = started.json()["id"]
        summary = await (await workflow.get(id)).result(timeout=30)
        analyses = await Analyses.open(database)
        await analyses.announce(id, "late", summary.finished_at)
        row = await analyses.find(id)

    assert row is not None
    assert ("completed", load_conversations()["smart-drip"].title) == (row["status"], row["title"])


async def test_report_of_a_failed_analysis(tmp_path: Path, database: D1Database) -> None:
    """The report of a failed analysis is a 409 that says why it failed."""
    async with local_server(lambda body: (401, failure("authentication_error"))) as claude:
        secrets: dict[str, Any] = {"ANTHROPIC_API_KEY": "wrong", "ANTHROPIC_BASE_URL": claude.url}
        async with _project(tmp_path, database, **secrets) as (client, workflow):
            started = await client.post("/analyses", json={"conversation_id": "smart-drip"})
            with pytest.raises(stepwell.InstanceErrored):
                await (await workflow.get(started.json()["id"])).result(timeout=30)
            report = await client.get(f"{started.json()['status_url']}/report")

    assert 409 == report.status_code
    assert "failed: NonRetryableError" in report.json()["detail"]


async def test_deleted_instance_leaves_the_analysis(tmp_path: Path, database: D1Database) -> None:
    """When the instance was deleted after its retention, database and report stay readable."""
    async with _project(tmp_path, database) as (client, workflow):
        started = await client.post("/analyses", json={"conversation_id": "smart-drip"})
        instance = await workflow.get(started.json()["id"])
        await instance.result(timeout=30)
        await instance.delete()
        shown = await client.get(started.json()["status_url"])

    assert "completed" == shown.json()["status"]
    assert shown.json()["workflow"] is None


@pytest.mark.parametrize(
    "path", ["/analyses/nothing", "/analyses/nothing/report", "/analyses/%27%3B--", "/nowhere"]
)
async def test_unknown_is_404(path: str, tmp_path: Path, database: D1Database) -> None:
    """What does not exist is a 404, whatever its name."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        answer = await client.get(path)

    assert 404 == answer.status_code


async def test_unknown_sample_is_404(tmp_path: Path, database: D1Database) -> None:
    """An unknown sample is a 404 that names those that there are, and starts nothing."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        answer = await client.post("/analyses", json={"conversation_id": "perpetuum-mobile"})
        listed = await client.get("/analyses")

    assert 404 == answer.status_code
    assert "stair-robot" in answer.json()["detail"]
    assert [] == listed.json()["analyses"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"conversation_id": "stair-robot", "conversation": SAMPLE.model_dump(mode="json")},
        {"conversation_id": 7},
        {"conversation": {"title": "t", "turns": []}},
        {"conversation": {"title": "", "turns": [{"speaker": "inventor", "text": "x"}]}},
        {"conversation": {"title": "t", "turns": [{"speaker": "interviewer", "text": "x"}]}},
        {"conversation": {"title": "t", "turns": [{"speaker": "dog", "text": "x"}]}},
        {"conversation": {"title": "t", "turns": [{"speaker": "inventor", "text": " "}]}},
        {"conversation": {"title": "t", "turns": [{"speaker": "inventor", "text": "x" * 10_001}]}},
        {"conversation_id": "stair-robot", "priority": "high"},
    ],
)
async def test_bad_body_is_422(body: Any, tmp_path: Path, database: D1Database) -> None:
    """A body of another form is a 422, and starts nothing."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        answer = await client.post("/analyses", json=body)
        listed = await client.get("/analyses")

    assert 422 == answer.status_code
    assert [] == listed.json()["analyses"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"conversation_id": NaN}',
        b'{"conversation_id": 1e999}',
        b'{"\\ud800": 1}',
        b'{"conversation": {"title": "\\ud83d", "turns": []}}',
        b'{"conversation": {"title": "t", "turns": [{"speaker": "inventor", "text": "\\ud83d"}]}}',
    ],
)
async def test_body_that_is_no_json_again_is_422(
    body: bytes, tmp_path: Path, database: D1Database
) -> None:
    """A value that Python reads from JSON but cannot write back is a 422 all the same."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        answer = await client.post(
            "/analyses", content=body, headers={"content-type": "application/json"}
        )

    assert 422 == answer.status_code
    assert {"type", "loc", "msg"} == set(answer.json()["detail"][0])


async def test_conversation_above_the_maximum_is_413(tmp_path: Path, database: D1Database) -> None:
    """A conversation of valid turns that is larger than params may be starts nothing."""
    turns = [{"speaker": "inventor", "text": "x" * 10_000}] * 150
    async with _project(tmp_path, database, worker=False) as (client, _):
        answer = await client.post(
            "/analyses", json={"conversation": {"title": "t", "turns": turns}}
        )
        listed = await client.get("/analyses")

    assert 413 == answer.status_code
    assert [] == listed.json()["analyses"]


async def test_search_route(tmp_path: Path, database: D1Database) -> None:
    """The project serves its own search, in the form that any search service has."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        answer = await client.get("/patents/search", params={"q": "incandescent lamp", "limit": 3})

    results = answer.json()["results"]
    assert 200 == answer.status_code
    assert "US 223,898" in [one["number"] for one in results]
    assert {"number", "title", "year", "summary", "score"} <= set(results[0])


@pytest.mark.parametrize("query", ["", "q=", "q=lamp&limit=0", "q=lamp&limit=51", "q=lamp&limit=x"])
async def test_bad_search_is_422(query: str, tmp_path: Path, database: D1Database) -> None:
    """A search without words, or with a limit out of range, is a 422."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        answer = await client.get(f"/patents/search?{query}")

    assert 422 == answer.status_code


async def test_index_says_what_there_is(tmp_path: Path, database: D1Database) -> None:
    """The root names the samples, the routes, and who would analyse."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        answer = (await client.get("/")).json()

    assert "offline" == answer["analyst"]
    assert set(load_conversations()) == {one["id"] for one in answer["conversations"]}
    assert "POST /analyses" in answer["routes"]


async def test_opening_twice_keeps_the_rows(tmp_path: Path, database: D1Database) -> None:
    """Making the tables again, as every process does, loses nothing."""
    async with _project(tmp_path, database, worker=False) as (client, _):
        await client.post("/analyses", json={"conversation_id": "smart-drip"})
    await Analyses.open(database)
    analyses = await Analyses.open(database)

    assert 1 == len(await analyses.newest(10))


@asynccontextmanager
async def _project(
    tmp_path: Path, database: D1Database, *, worker: bool = True, **settings: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, stepwell.Workflow]]:
    """The project as its host runs it: the app gets `env` with every request."""
    env = SimpleNamespace(DB=database, RETRY_DELAY="1 ms", **settings)
    url = f"sqlite:///{tmp_path / 'stepwell.db'}"
    async with stepwell.open(url, workflows=[InventionAnalysis], env=env, worker=worker) as well:
        env.INVENTION_ANALYSIS = well.workflow(InventionAnalysis)

        async def hosted(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "env": env}, receive, send)

        transport = httpx.ASGITransport(app=hosted)
        async with httpx.AsyncClient(transport=transport, base_url="http://project") as client:
            yield client, env.INVENTION_ANALYSIS
