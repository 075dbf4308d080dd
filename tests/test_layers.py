"""Imports go down the layers only; the contracts stand in pyproject.toml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lint_imports() -> subprocess.CompletedProcess[str]:
    """Hold the package against the contracts, in a process of its own."""
    command = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(command), "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_go_down_the_layers_only() -> None:
    """No module imports from a layer above or beside its own."""
    result = lint_imports()

    assert 0 == result.returncode, result.stdout + result.stderr


if __name__ == "__main__":
    outcome = lint_imports()
    sys.stdout.write(outcome.stdout + outcome.stderr)
    sys.exit(outcome.returncode)
