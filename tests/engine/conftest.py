"""Every engine test runs on each store, and in each mode of hibernation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell.ports.store import Store
from tests.engine.support import Open, store_of

_MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "hibernates": {"linger_seconds": 0, "max_warm": 0},
    "stays": {"linger_seconds": None},
}


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a fresh store."""
    return "sqlite://:memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/well.db"


@pytest.fixture
def store(url: str) -> Store:
    """Give the store of the URL, for tests that look into it; hand it to `open_well`."""
    return store_of(url)


@pytest.fixture(params=list(_MODES))
def open_well(request: pytest.FixtureRequest, url: str) -> Open:
    """Give `stepwell.open` with the URL and the mode filled in."""
    mode = _MODES[request.param]

    def open_(workflows: Any, **options: Any) -> Any:
        return stepwell.open(url, workflows=workflows, **{**mode, **options})

    return open_
