"""Measure Stepwell beside bare sqlite3 and DBOS: `benchmarks/run.py [--quick] [--json FILE]`.

Each workload runs in a process and a folder of its own, one at a time, on one file system. The rate
of bare commits is taken right before and right after each, and their mean is what it is held
against, because the disk of a shared machine is not the same from one minute to the next.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_RESULTS = _ROOT / "benchmarks" / "results"
# In place of this folder, whose names are not for everybody.
sys.path[0] = str(_ROOT)

from benchmarks.bare import commits_per_second  # noqa: E402 - found by the line above
from benchmarks.one import WORKLOADS  # noqa: E402 - as above
from benchmarks.quantiles import Numbers  # noqa: E402 - as above
from benchmarks.sizes import BY_NAME  # noqa: E402 - as above
from benchmarks.table import machine_facts, number, render  # noqa: E402 - as above

_PEER = "many single sequential parallel event".split()
_SECONDS_MAX = 900


def main() -> None:
    """Measure, print the table, and keep the numbers if asked to."""
    options = _options()
    sizes = "quick" if options.quick else "full"
    names = options.only or list(WORKLOADS)
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        base = Path(place)
        ours = {name: _measured("one", name, sizes, base) for name in names}
        peer, peer_wal = _peers([name for name in names if name in _PEER], sizes, base)
    facts = machine_facts()
    print("\n" + ", ".join(f"{name} {value}" for name, value in facts.items()))
    print(f"sizes: {sizes}; all with WAL and synchronous=FULL, but DBOS keeps its own journal mode")
    if "many" in peer:
        best = " and ".join(
            number(found["many"]["concurrency"]) for found in (peer, peer_wal) if found
        )
        print(f"many instances on DBOS: best with {best} at once")
    print("\n" + render(ours, peer, peer_wal))
    if options.json:
        found = {"machine": facts, "sizes": sizes, "stepwell": ours, "dbos": peer}
        text = json.dumps(found | {"dbos_wal": peer_wal}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure Stepwell, bare sqlite3 and DBOS.")
    parser.add_argument("--quick", action="store_true", help="small sizes, under 30 s")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    parser.add_argument("--only", nargs="*", choices=list(WORKLOADS), help="these workloads")
    parser.add_argument("--folder", type=Path, default=_RESULTS, help="on the disk to measure")
    return parser.parse_args()


def _peers(names: list[str], sizes: str, base: Path) -> tuple[dict[str, Numbers], ...]:
    """Measure DBOS as it comes, and in a full run also with its file switched to WAL."""
    if importlib.util.find_spec("dbos") is None:
        print("dbos is not installed; its columns stay empty (make bench installs it)")
        return {}, {}
    as_it_comes = {name: _measured("peer", name, sizes, base, "default") for name in names}
    if sizes == "quick":
        return as_it_comes, {}
    return as_it_comes, {name: _measured("peer", name, sizes, base, "wal") for name in names}


def _measured(module: str, name: str, sizes: str, base: Path, *more: str) -> Numbers:
    """Run one workload in a fresh folder and process, between two looks at the bare rate."""
    print(f"{'DBOS' if module == 'peer' else 'Stepwell'}: {name} {' '.join(more)}", flush=True)
    commits = BY_NAME[sizes].bare_commits
    with tempfile.TemporaryDirectory(dir=base) as folder:
        before = commits_per_second(base, commits)
        command = [sys.executable, "-m", f"benchmarks.{module}", name, folder, sizes, *more]
        done = subprocess.run(
            command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, timeout=_SECONDS_MAX
        )
        after = commits_per_second(base, commits)
    found: Numbers = json.loads(done.stdout.splitlines()[-1])
    return found | {"bare_per_second": (before + after) / 2}


if __name__ == "__main__":
    main()
