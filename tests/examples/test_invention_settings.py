"""What the invention analysis reads from its environment, and the trace that its steps leave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from invention.analyst import choose_analyst, open_analyst
from invention.effects import perform
from invention.settings import retry_config, setting, setting_as_number

from stepwell import NonRetryableError


def test_project_comes_before_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the project wins over one of the process, which wins over the default."""
    monkeypatch.setenv("PATENT_API_URL", "from the process")

    assert setting(_env(PATENT_API_URL="own"), "PATENT_API_URL") == "own"
    assert setting(_env(), "PATENT_API_URL", "default") == "from the process"
    assert setting(_env(), "SLACK_WEBHOOK_URL", "default") == "default"


@pytest.mark.parametrize("value", ["", None])
def test_empty_is_unset(value: str | None) -> None:
    """A secret that was left empty in its file counts as not given."""
    assert setting(_env(ANTHROPIC_API_KEY=value), "ANTHROPIC_API_KEY", "default") == "default"
    assert choose_analyst(_env(ANTHROPIC_API_KEY=value)) == "offline"


@pytest.mark.parametrize("value", [12, "12", 12.0])
def test_numbers_may_be_text(value: object) -> None:
    """A number is read alike from the project file and from the process's environment."""
    assert setting_as_number(_env(MAX_PATENTS=value), "MAX_PATENTS", 1) == 12


def test_wrong_number_names_the_variable() -> None:
    """A variable that should be a number and is none is an error with its name and value."""
    with pytest.raises(ValueError, match="MAX_PATENTS must be a number, not 'many'"):
        setting_as_number(_env(MAX_PATENTS="many"), "MAX_PATENTS", 1)


def test_retry_delay_is_configurable() -> None:
    """The first delay comes from RETRY_DELAY, else it is two seconds."""
    config = retry_config(_env(RETRY_DELAY="1 minute"), limit=3, timeout="1 minute")

    assert config["retries"]["delay"] == "1 minute"
    assert retry_config(_env(), limit=3, timeout="9 s")["retries"]["delay"] == "2 seconds"


async def test_key_that_went_away_is_final() -> None:
    """An analysis that began with Claude does not go on offline when its key is gone."""
    offline = await open_analyst("offline", _env())
    claude = await open_analyst("claude", _env(ANTHROPIC_API_KEY="k"))

    assert (offline.name, claude.name) == ("offline", "claude")
    with pytest.raises(NonRetryableError, match="ANTHROPIC_API_KEY is unset"):
        await open_analyst("claude", _env())


async def test_effects_of_parallel_steps_stay_whole(tmp_path: Path) -> None:
    """Lines that many steps write at once are all there, each whole."""
    env = _env(EFFECTS_LOG=str(tmp_path / "effects.log"))
    names = [f"step {number}" for number in range(200)]

    await asyncio.gather(*(perform(env, name, _work) for name in names))

    assert sorted((tmp_path / "effects.log").read_text().splitlines()) == sorted(names)


async def test_failed_work_leaves_no_effect(tmp_path: Path) -> None:
    """The log tells of work that was done, not of attempts."""

    async def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        await perform(_env(EFFECTS_LOG=str(tmp_path / "effects.log")), "step", fail)

    assert not (tmp_path / "effects.log").exists()


async def _work() -> None:
    await asyncio.sleep(0)


def _env(**settings: object) -> Any:
    return SimpleNamespace(**settings)
