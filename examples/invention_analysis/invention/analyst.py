"""What an analyst does, and which one an analysis has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from invention.analysts.offline import OfflineAnalyst
from invention.models import Conversation, Features, Findings, Patent, PatentAnalysis
from invention.settings import Env, setting
from stepwell import NonRetryableError

CLAUDE = "claude"


class Analyst(Protocol):
    """Who understands conversations and patents."""

    name: str

    async def extract_features(self, conversation: Conversation) -> Features:
        """Find the technical features that a conversation describes."""

    async def analyse_patent(self, features: Features, patent: Patent) -> PatentAnalysis:
        """Compare one patent with the invention."""

    async def write_findings(
        self, features: Features, analyses: Sequence[PatentAnalysis]
    ) -> Findings:
        """Judge the invention by all comparisons."""


def choose_analyst(env: Env) -> str:
    """Name the analyst for a new analysis: Claude with a key, else the offline one."""
    return CLAUDE if setting(env, "ANTHROPIC_API_KEY") else OfflineAnalyst.name


async def open_analyst(name: str, env: Env) -> Analyst:
    """Give the analyst of an analysis that has begun: it ends with the one it began with.

    Raises:
        NonRetryableError: it began with Claude, and the key is gone.
    """
    if name == OfflineAnalyst.name:
        return OfflineAnalyst()
    if not setting(env, "ANTHROPIC_API_KEY"):
        raise NonRetryableError("this analysis began with Claude, and ANTHROPIC_API_KEY is unset")
    # The SDK takes a second to import: not at the start, where those without a key would wait for
    # it too, and not in the event loop.
    module = await asyncio.to_thread(import_module, "invention.analysts.claude")
    analyst: Analyst = module.ClaudeAnalyst(env)
    return analyst
