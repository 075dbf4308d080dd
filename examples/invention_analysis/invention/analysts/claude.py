"""Claude as the analyst, through the official SDK; every answer is validated.

One call asks once: the SDK's own retries are off, so that the retries of the durable step are the
only ones, visible and kept. What can pass by itself is an ordinary error; what cannot (a wrong key,
an unknown model, a request that the service refuses) is a `NonRetryableError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TypeVar

import anthropic
from pydantic import BaseModel, Field, ValidationError

from invention.analysts import prompts
from invention.models import (
    Conversation,
    Features,
    Findings,
    Overlap,
    Patent,
    PatentAnalysis,
    Relevance,
)
from invention.settings import Env, setting
from stepwell import NonRetryableError

ANSWER_TOKENS_MAX = 4096
TIMEOUT_SECONDS = 90.0
DEFAULT_REPORT_MODEL = "claude-sonnet-4-5"
DEFAULT_FEATURES_MODEL = "claude-haiku-4-5"

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
# Errors that stay however often the same request is sent.
_HOPELESS = (
    anthropic.AuthenticationError,
    anthropic.PermissionDeniedError,
    anthropic.NotFoundError,
    anthropic.BadRequestError,
    anthropic.UnprocessableEntityError,
)

Answer = TypeVar("Answer", bound=BaseModel)


class InvalidAnswer(Exception):
    """The model's answer does not have the form that was asked for; another try may help."""


class ModelUnavailable(Exception):
    """The service did not answer this time: overloaded, rate-limited, or out of reach."""


class PatentOpinion(BaseModel):
    """What the model is asked about one patent."""

    relevance: Relevance
    overlaps: list[Overlap] = Field(max_length=20)
    differences: list[str] = Field(max_length=20)
    assessment: str = Field(min_length=1, max_length=3000)


class ClaudeAnalyst:
    """An analyst that asks Claude."""

    name = "claude"

    def __init__(self, env: Env) -> None:
        self._key = setting(env, "ANTHROPIC_API_KEY")
        self._base_url = setting(env, "ANTHROPIC_BASE_URL") or None
        self._report_model = setting(env, "CLAUDE_REPORT_MODEL", DEFAULT_REPORT_MODEL)
        self._features_model = setting(env, "CLAUDE_FEATURES_MODEL", DEFAULT_FEATURES_MODEL)

    async def extract_features(self, conversation: Conversation) -> Features:
        """Ask for the features that a conversation describes."""
        prompt = prompts.for_features(conversation)
        answer = await self._ask(self._features_model, prompt, Features)
        if not answer.features:
            raise InvalidAnswer("the model named no feature")
        names = [feature.name for feature in answer.features]
        if len(set(names)) < len(names):
            raise InvalidAnswer(f"the model gave two features one name: {', '.join(names)}")
        return answer

    async def analyse_patent(self, features: Features, patent: Patent) -> PatentAnalysis:
        """Ask how one patent compares; number, title and year stay those of the search."""
        prompt = prompts.for_patent(features, patent)
        opinion = await self._ask(self._report_model, prompt, PatentOpinion)
        facts = {"number": patent.number, "title": patent.title, "year": patent.year}
        return PatentAnalysis.model_validate({**opinion.model_dump(), **facts})

    async def write_findings(
        self, features: Features, analyses: Sequence[PatentAnalysis]
    ) -> Findings:
        """Ask for the words of the report."""
        prompt = prompts.for_findings(features, analyses)
        return await self._ask(self._report_model, prompt, Findings)

    async def _ask(self, model: str, prompt: str, form: type[Answer]) -> Answer:
        schema = json.dumps(form.model_json_schema())
        client = anthropic.AsyncAnthropic(
            api_key=self._key, base_url=self._base_url, max_retries=0, timeout=TIMEOUT_SECONDS
        )
        try:
            async with client:
                message = await client.messages.create(
                    model=model,
                    max_tokens=ANSWER_TOKENS_MAX,
                    system=prompts.system(schema),
                    messages=[{"role": "user", "content": prompt}],
                )
        except _HOPELESS as error:
            raise NonRetryableError(f"the model {model} refuses the request: {error}") from None
        except anthropic.APIError as error:
            raise ModelUnavailable(f"the model {model} did not answer: {error}") from None
        if message.stop_reason == "max_tokens":
            raise InvalidAnswer(f"the answer is longer than {ANSWER_TOKENS_MAX} tokens")
        text = "".join(block.text for block in message.content if block.type == "text")
        return read_answer(text, form)


def read_answer(text: str, form: type[Answer]) -> Answer:
    """Read JSON of a given form from a model's answer, bare or in a fenced block.

    Raises:
        InvalidAnswer: there is no JSON of that form.
    """
    fenced = _FENCED.search(text)
    body = fenced.group(1) if fenced else text[text.find("{") : text.rfind("}") + 1]
    try:
        return form.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise InvalidAnswer(
            f"the model's {form.__name__} is invalid at {place}: {first['msg']}"
        ) from None
