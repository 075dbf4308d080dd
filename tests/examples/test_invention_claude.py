"""The analyst that asks Claude, against a local server that speaks the Messages API."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from invention.analysts.claude import ClaudeAnalyst, InvalidAnswer, ModelUnavailable, read_answer
from invention.corpus import load_conversations, load_patents
from invention.models import Features, Findings, Relevance

from stepwell import NonRetryableError
from tests.examples.invention_messages import FEATURES, FINDINGS, OPINION, failure, fenced, message
from tests.examples.invention_support import LocalServer, local_server

# The SDK warns of the age of models; which ones are the defaults is the project's decision.
pytestmark = pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")

CONVERSATION = load_conversations()["smart-drip"]


async def test_features_are_asked_and_read() -> None:
    """The small model gets the whole conversation, and its JSON becomes features."""
    async with local_server(lambda body: (200, message(json.dumps(FEATURES)))) as server:
        features = await _analyst(server).extract_features(CONVERSATION)

    assert Features.model_validate(FEATURES) == features
    asked = server.bodies[0]
    assert "claude-haiku-4-5" == asked["model"]
    assert all(turn.text in asked["messages"][0]["content"] for turn in CONVERSATION.turns)
    path, headers = server.requests[0]
    assert "/v1/messages" == path
    # Releases of the SDK differ in the header that carries the key.
    assert "key-of-a-test" in headers.get("x-api-key", headers.get("authorization", ""))


async def test_patent_keeps_its_facts() -> None:
    """The large model judges, but number, title and year stay those of the search."""
    patent = load_patents()[0]
    async with local_server(lambda body: (200, message(json.dumps(OPINION)))) as server:
        analysis = await _analyst(server).analyse_patent(_features(), patent)

    assert (patent.number, patent.title, patent.year) == (
        analysis.number,
        analysis.title,
        analysis.year,
    )
    assert Relevance.HIGH == analysis.relevance
    assert "claude-sonnet-4-5" == server.bodies[0]["model"]


async def test_models_can_be_chosen() -> None:
    """Variables of the project name other models."""
    async with local_server(lambda body: (200, message(json.dumps(FINDINGS)))) as server:
        analyst = _analyst(server, CLAUDE_REPORT_MODEL="claude-of-tomorrow")
        findings = await analyst.write_findings(_features(), [])

    assert Findings.model_validate(FINDINGS) == findings
    assert "claude-of-tomorrow" == server.bodies[0]["model"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(FINDINGS),
        fenced(FINDINGS),
        fenced(FINDINGS, language=""),
        f"Here is the judgement.\n\n{fenced(FINDINGS)}\n\nAsk me for more.",
        f"Certainly: {json.dumps(FINDINGS)} I hope that this helps.",
        f"\n\n{json.dumps(FINDINGS, indent=2)}\n",
    ],
)
def test_json_is_found_in_the_answer(text: str) -> None:
    """Bare JSON, a fenced block, and JSON between sentences are read alike."""
    assert Findings.model_validate(FINDINGS) == read_answer(text, Findings)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("I cannot help with that.", "the answer"),
        ("{not json}", "the answer"),
        ('{"summary": "s", "novelty": "n"}', "recommendations"),
        ('{"summary": 1, "novelty": "n", "recommendations": []}', "summary"),
        ("", "the answer"),
        ("}{", "the answer"),
    ],
)
def test_invalid_answers_name_the_place(text: str, place: str) -> None:
    """An answer of another form is an ordinary error that says where it is wrong."""
    with pytest.raises(InvalidAnswer, match=place):
        read_answer(text, Findings)


async def test_invalid_then_good() -> None:
    """The same request may be sent again after an invalid answer."""
    answers = iter([message("no JSON"), message(json.dumps(FEATURES))])
    async with local_server(lambda body: (200, next(answers))) as server:
        with pytest.raises(InvalidAnswer):
            await _analyst(server).extract_features(CONVERSATION)
        features = await _analyst(server).extract_features(CONVERSATION)

    assert 2 == len(features.features)


async def test_cut_off_answer_is_invalid() -> None:
    """An answer that the token limit cut off is not read."""
    cut = message(json.dumps(FEATURES), stop_reason="max_tokens")
    async with local_server(lambda body: (200, cut)) as server:
        with pytest.raises(InvalidAnswer, match="longer than"):
            await _analyst(server).extract_features(CONVERSATION)


@pytest.mark.parametrize(
    "features", [[], [FEATURES["features"][0], FEATURES["features"][0]]], ids=["none", "same name"]
)
async def test_features_must_be_there_and_distinct(features: list[Any]) -> None:
    """No feature, or two of one name, is an invalid answer."""
    answer = message(json.dumps({**FEATURES, "features": features}))
    async with local_server(lambda body: (200, answer)) as server:
        with pytest.raises(InvalidAnswer):
            await _analyst(server).extract_features(CONVERSATION)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(529, "overloaded_error"), (429, "rate_limit_error"), (500, "api_error")],
)
async def test_overload_is_asked_once(status: int, kind: str) -> None:
    """An overloaded service is an ordinary error after one request: retries are the step's."""
    async with local_server(lambda body: (status, failure(kind))) as server:
        with pytest.raises(ModelUnavailable):
            await _analyst(server).extract_features(CONVERSATION)

    assert 1 == len(server.bodies)


async def test_unreachable_service_is_unavailable() -> None:
    """A service that nobody serves is an ordinary error too."""
    async with local_server(lambda body: (200, {})) as server:
        analyst = _analyst(server)

    with pytest.raises(ModelUnavailable):
        await analyst.extract_features(CONVERSATION)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (400, "invalid_request_error"),
    ],
)
async def test_hopeless_errors_are_not_retried(status: int, kind: str) -> None:
    """A wrong key or an unknown model is final."""
    async with local_server(lambda body: (status, failure(kind))) as server:
        with pytest.raises(NonRetryableError, match="refuses the request"):
            await _analyst(server).extract_features(CONVERSATION)


def _analyst(server: LocalServer, **settings: str) -> ClaudeAnalyst:
    env: Any = SimpleNamespace(
        ANTHROPIC_API_KEY="key-of-a-test", ANTHROPIC_BASE_URL=server.url, **settings
    )
    return ClaudeAnalyst(env)


def _features() -> Features:
    return Features.model_validate(FEATURES)
