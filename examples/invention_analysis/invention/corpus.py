"""The patents and conversations that come with the project."""

from __future__ import annotations

from functools import lru_cache

from invention.models import Conversation, Patent
from invention.text import DATA


@lru_cache(maxsize=1)
def load_patents() -> tuple[Patent, ...]:
    """Read every patent of `data/patents.jsonl`, in the order of their numbers."""
    lines = (DATA / "patents.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(Patent.model_validate_json(line) for line in lines if line)


@lru_cache(maxsize=1)
def load_conversations() -> dict[str, Conversation]:
    """Read the sample conversations, by id."""
    paths = sorted((DATA / "conversations").glob("*.json"))
    samples = (Conversation.model_validate_json(path.read_bytes()) for path in paths)
    return {sample.id: sample for sample in samples}
