"""What tests of the client share: a database of each store."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a fresh store."""
    return "sqlite://:memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/well.db"
