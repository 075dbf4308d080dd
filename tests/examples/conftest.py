"""What the tests of the examples share: the example on the path, and a database for it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stepwell.runtime.d1 import D1Database

PROJECT = Path(__file__).parents[2] / "examples" / "invention_analysis"
sys.path.insert(0, str(PROJECT))  # as the project's host does


SETTINGS = (
    "ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN ANTHROPIC_BASE_URL PATENT_API_URL SLACK_WEBHOOK_URL "
    "EFFECTS_LOG DEMO_STEP_SECONDS MAX_PATENTS RETRY_DELAY CLAUDE_REPORT_MODEL "
    "CLAUDE_FEATURES_MODEL"
).split()


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[D1Database]:
    """Give a new D1 database on disk."""
    async with D1Database(tmp_path / "d1.db") as opened:
        yield opened
