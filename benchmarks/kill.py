"""Kill a run with SIGKILL at random moments of its life, run it again, and hold the end against an undisturbed run.

    python -m benchmarks.kill --kills 10 --seed 1 --json kill.json

The run's whole process group dies, the training process included. All kills hit one home, one after the other; where a
run ends before its moment comes, that home is compared and the kill is repeated on a fresh one. Exit code 1 when any
table, version or alias differs. The library's source must not change meanwhile: other code is another run.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults.homes import NAME, Home, differences
from benchmarks.harness.command_line import parser, write
from forecasting.bundle.artifact import open_bundle

__all__ = ["main"]

JOB = f"""
name: {NAME}
source: {{kind: synthetic, series: 3, length: 300, freq: h, season: 24, noise: 0.1, seed: 1}}
series: {{freq: h}}
window: {{context: 12, horizon: 4}}
model: {{name: stacked, params: {{cell: gru, units: [4], dropout: 0.1}}}}
train: {{epochs: 5, batch_size: 32, learning_rate: 0.01, seed: 1}}
backtest: {{windows: 10, step: 2}}
"""


def main() -> int:
    """Kill, run again, compare, and print one line for each."""
    command = parser("kill", __doc__)
    command.add_argument("--kills", type=int, default=10)
    command.add_argument("--seed", type=int, default=1)
    options = command.parse_args()
    draw = np.random.default_rng(options.seed)
    place = Path(tempfile.mkdtemp(prefix="gatecast-kill-"))
    config = place / "tiny.yaml"
    config.write_text(JOB, encoding="utf-8")
    undisturbed = Home(place / "undisturbed", config)
    life = _life(undisturbed)
    # One moment in each part of the run's life, in any order.
    shares = draw.permutation((np.arange(options.kills) + draw.random(options.kills)) / options.kills)
    kills: list[dict[str, Any]] = []
    homes = [Home(place / "home-1", config)]
    while len(kills) < options.kills:
        moment = float(shares[len(kills)]) * life
        fresh = not homes[-1].path.exists()
        ended, said = _run(homes[-1], moment)
        if ended:
            homes.append(Home(place / f"home-{len(homes) + 1}", config))
            life = min(life, 0.9 * moment) if fresh else life  # the machine is faster than it was
            continue
        kills.append({"home": len(homes), "seconds": round(moment, 2), "during": said})
        print(f"kill {len(kills):>3}  home {len(homes)}  after {moment:6.2f} s  during: {said}", flush=True)
    found = [f"home {number}: {line}" for number, home in enumerate(homes, 1) for line in _end(home, undisturbed)]
    print("\n".join(found) or f"{len(homes)} home(s): tables, versions and aliases are those of the undisturbed run")
    write({"life_seconds": life, "kills": kills, "homes": len(homes), "differences": found}, options.json)
    return 1 if found else 0


def _run(home: Home, seconds: float | None = None) -> tuple[bool, str]:
    """Run the job, for so many seconds at most; whether it came to its end, and the last thing that it said."""
    process = home.start("run")
    try:
        said = process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said = process.communicate()[1]
    lines = said.splitlines() or ["(nothing yet)"]
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit("\n".join([f"the run failed with {process.returncode}:", *lines]))
    return process.returncode == 0, lines[-1].removeprefix("· ")


def _life(home: Home) -> float:
    begin = time.perf_counter()
    _run(home)
    life = time.perf_counter() - begin
    print(f"an undisturbed run takes {life:.1f} s", flush=True)
    return life


def _end(home: Home, undisturbed: Home) -> list[str]:
    """What a killed home has otherwise in the end; raises where a bundle that could be read is not whole."""
    _run(home)
    for manifest in home.path.rglob("manifest.json"):
        open_bundle(manifest.parent)
    return differences(home, undisturbed)


if __name__ == "__main__":
    sys.exit(main())
