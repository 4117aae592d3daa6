"""Break what can break while the loop runs, repeat, and hold what is left against an undisturbed twin.

    python -m benchmarks.faults                                   # all cases
    python -m benchmarks.faults kill-batch proxy --rounds 20 --json faults.json

Every command, server and database is a real one in a process of its own. A violation is a row that is missing, stored
twice or different, a wrong alias, a version more or less, a bundle that is not whole, a run left open, a failure
without a clear error, a repetition that does not finish. Exit code 1 where there is any. Linux; as root for PostgreSQL
and the full disk. The library's source must not change meanwhile: other code is another run.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.faults import kills, machine, outages, registry
from benchmarks.faults.bench import Bench, Round
from benchmarks.harness.command_line import one_of, parser, write

__all__ = ["CASES", "main"]

CASES: Final[dict[str, Callable[[Bench, int], Iterator[Round]]]] = {
    "kill-batch": kills.kill_batch,
    "kill-training": kills.kill_training,
    "twice": kills.twice,
    "dask": kills.dask,
    "proxy": registry.proxied,
    "disk": machine.disk,
    "clock": machine.clock,
    "database": outages.database,
    "worker": outages.worker,
    "summer-time": machine.summer_time,
}


def main() -> int:
    """Try the cases, a line for each round, and print the table."""
    options = _options()
    place: Path = options.place or Path(tempfile.mkdtemp(prefix="gatecast-faults-"))
    place.mkdir(exist_ok=True)
    place.chmod(0o755)  # PostgreSQL runs as another user
    bench = Bench(place, np.random.default_rng(options.seed))
    figures = {name: _tried(name, bench, options.rounds) for name in options.cases}
    print(f"\n{'case':<16}{'rounds':>8}{'violations':>12}{'seconds':>9}")
    for name, row in figures.items():
        print(f"{name:<16}{row['rounds']:>8}{len(row['violations']):>12}{row['seconds']:>9.0f}")
    write({"seed": options.seed, "cases": figures}, options.json)
    broken = any(row["violations"] for row in figures.values())
    if broken:
        print(f"the homes of the violations are kept in {place}")
    elif not options.place:
        shutil.rmtree(place)
    return 1 if broken else 0


def _tried(name: str, bench: Bench, rounds: int) -> dict[str, Any]:
    begin, notes, violations = time.perf_counter(), [], []
    for number, done in enumerate(CASES[name](bench, rounds), 1):
        notes.append(done.note)
        violations += [f"round {number}, {done.note}: {line}" for line in done.violations]
        print(
            f"{name} {number}: {done.note}{''.join(f'{chr(10)}  WRONG {one}' for one in done.violations)}", flush=True
        )
    seconds = round(time.perf_counter() - begin, 1)
    return {"rounds": len(notes), "violations": violations, "seconds": seconds, "notes": notes}


def _options() -> argparse.Namespace:
    command = parser("faults", __doc__)
    known = f"default: all of {', '.join(CASES)}"
    command.add_argument("cases", nargs="*", type=one_of(CASES), default=[*CASES], metavar="CASE", help=known)
    command.add_argument("--rounds", type=int, default=5)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--place", type=Path, help="the folder of the homes; what it has already is not made again")
    return command.parse_args()


if __name__ == "__main__":
    sys.exit(main())
