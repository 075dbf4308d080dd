"""Answers of a server that speaks Anthropic's Messages API."""

from __future__ import annotations

import json
from typing import Any

FEATURES: dict[str, Any] = {
    "invention": "A drip line whose emitters open by the suction of dry soil.",
    "features": [
        {
            "name": "tensiometric emitter",
            "description": "A ceramic cup in the soil opens the drip emitter by suction.",
            "keywords": ["drip irrigation", "soil moisture", "ceramic cup"],
        },
        {
            "name": "threshold by line pressure",
            "description": "The pressure in the line shifts the soil moisture of all emitters.",
            "keywords": ["line pressure", "irrigation controller"],
        },
    ],
}
OPINION: dict[str, Any] = {
    "relevance": "high",
    "overlaps": [{"feature": "tensiometric emitter", "degree": 0.4, "evidence": "drip emitter"}],
    "differences": ["no suction"],
    "assessment": "It shows a drip emitter, but none that the soil opens.",
}
FINDINGS: dict[str, Any] = {
    "summary": "The emitter is near to known drippers.",
    "novelty": "The control by line pressure seems new.",
    "recommendations": ["Read the nearest patent.", "Claim the line pressure."],
}


def message(text: str, stop_reason: str = "end_turn") -> dict[str, Any]:
    """Make a finished message of the assistant."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def failure(kind: str) -> dict[str, Any]:
    """Make an error of the service."""
    return {"type": "error", "error": {"type": kind, "message": f"this is a {kind}"}}


def fenced(value: Any, language: str = "json") -> str:
    """Write a value as a fenced block."""
    return f"```{language}\n{json.dumps(value, indent=2)}\n```"


def answer_by_schema(body: dict[str, Any]) -> dict[str, Any]:
    """Give the right answer for whatever form a request asks."""
    schema = json.loads(body["system"].split("\n", 3)[-1])
    answers = {"Features": FEATURES, "PatentOpinion": OPINION, "Findings": FINDINGS}
    return answers[schema["title"]]
