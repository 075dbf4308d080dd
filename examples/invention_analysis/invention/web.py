"""The HTTP side: start analyses, follow them, read their reports, search patents."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, model_validator

from invention.analyst import choose_analyst
from invention.corpus import load_conversations, load_patents
from invention.models import AnalysisParams, Conversation, SearchResults
from invention.repository import Analyses
from invention.search import LIMIT_MAX, default_index
from invention.settings import Env
from stepwell import InstanceNotFound
from stepwell.errors import PayloadTooLargeError

app = FastAPI(title="Invention analysis", version="1.0.0")


class NewAnalysis(BaseModel):
    """What to analyse: the id of a sample conversation, or a whole conversation."""

    model_config = ConfigDict(extra="forbid")

    conversation_id: str | None = None
    conversation: Conversation | None = None

    @model_validator(mode="after")
    def _has_one(self) -> NewAnalysis:
        if (self.conversation_id is None) == (self.conversation is None):
            raise ValueError("give either conversation_id or conversation")
        return self


@app.exception_handler(RequestValidationError)
async def refuse(_request: Request, error: RequestValidationError) -> Response:
    """Answer 422 without repeating the input: not every input can be written as JSON again."""
    problems = [{name: found[name] for name in ("type", "loc", "msg")} for found in error.errors()]
    # Escaped to ASCII, since a place may be named by half of a surrogate pair.
    body = json.dumps({"detail": problems})
    return Response(body, status_code=422, media_type="application/json")


def environment(request: Request) -> Env:
    """Give the bindings, which the host puts into every request."""
    env: Env = request.scope["env"]
    return env


async def open_analyses(env: Annotated[Env, Depends(environment)]) -> Analyses:
    """Open the analyses of the project's database."""
    return await Analyses.open(env.DB)


Environment = Annotated[Env, Depends(environment)]
Repository = Annotated[Analyses, Depends(open_analyses)]


@app.get("/")
async def index(env: Environment) -> dict[str, Any]:
    """Say what there is."""
    samples = load_conversations().values()
    return {
        "name": "invention-analysis",
        "analyst": choose_analyst(env),
        "patents": len(load_patents()),
        "conversations": [{"id": one.id, "title": one.title} for one in samples],
        "routes": {
            "POST /analyses": 'start: {"conversation_id": "…"} or {"conversation": {…}}',
            "GET /analyses": "the newest analyses",
            "GET /analyses/{id}": "status, features and prior art",
            "GET /analyses/{id}/report": "the report, in Markdown",
            "GET /patents/search?q=…&limit=…": "full-text search",
            "GET /docs": "this API in detail",
        },
    }


@app.post("/analyses", status_code=202)
async def start_analysis(
    body: NewAnalysis, env: Environment, analyses: Repository
) -> dict[str, str]:
    """Start an analysis, and answer at once with its id."""
    conversation = body.conversation or _sample(body.conversation_id or "")
    params = AnalysisParams(conversation=conversation)
    try:
        instance = await env.INVENTION_ANALYSIS.create(params=params.model_dump(mode="json"))
    except PayloadTooLargeError as error:
        raise HTTPException(413, "the conversation is too long to be stored") from error
    # The run may have begun by now, and enters itself too; whoever comes first makes the row.
    await analyses.announce(instance.id, conversation.title, datetime.now(UTC))
    return {"id": instance.id, "status_url": f"/analyses/{instance.id}"}


@app.get("/analyses")
async def list_analyses(
    analyses: Repository, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> dict[str, Any]:
    """List the newest analyses."""
    return {"analyses": await analyses.newest(limit)}


@app.get("/analyses/{id}")
async def show_analysis(id: str, env: Environment, analyses: Repository) -> dict[str, Any]:
    """Show one analysis: what the database says, and the status of its workflow."""
    row = await _existing(id, analyses)
    try:
        instance = await env.INVENTION_ANALYSIS.get(id)
    except InstanceNotFound:  # deleted after its time of retention; the project keeps the analysis
        return {**row, "workflow": None}
    return {**row, "workflow": await instance.status()}


@app.get("/analyses/{id}/report", response_class=PlainTextResponse)
async def show_report(id: str, analyses: Repository) -> PlainTextResponse:
    """Show the report of an analysis, in Markdown."""
    row = await _existing(id, analyses)
    markdown = await analyses.report(id)
    if markdown is None:
        why = f": {row['error']}" if row["error"] else ""
        raise HTTPException(409, f"there is no report yet; the analysis is {row['status']}{why}")
    return PlainTextResponse(markdown, media_type="text/markdown; charset=utf-8")


@app.get("/patents/search")
async def search_patents(
    q: Annotated[str, Query(min_length=1, max_length=2000)],
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 10,
) -> SearchResults:
    """Search the project's patents; the same shape as any service at `PATENT_API_URL`."""
    return default_index().search(q, limit)


def _sample(id: str) -> Conversation:
    samples = load_conversations()
    if id not in samples:
        known = ", ".join(samples)
        raise HTTPException(404, f"there is no conversation {id!r:.100}; there are {known}")
    return samples[id]


async def _existing(id: str, analyses: Analyses) -> dict[str, Any]:
    row = await analyses.find(id)
    if row is None:
        raise HTTPException(404, f"there is no analysis {id!r}")
    return row
