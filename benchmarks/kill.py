"""Kill a run with SIGKILL at random moments of its life, run it again, and hold the end against an undisturbed run.

    python -m benchmarks.kill --kills 10 --seed 1 --json kill.json

The run's whole process group dies, the training process included. All kills hit one home, one after the other; where a
run ends before its moment comes, that home is compared and the kill is repeated on a fresh one. Exit code 1 when any
table, version or alias differs. The library's source must not change meanwhile: other code is another run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import open_bundle
from forecasting.config.settings import Settings
from forecasting.registry.registry import Registry
from forecasting.storage.store import Store

__all__ = ["differences", "main"]

NAME = "tiny"
JOB = f"""
name: {NAME}
source: {{kind: synthetic, series: 3, length: 300, freq: h, season: 24, noise: 0.1, seed: 1}}
series: {{freq: h}}
window: {{context: 12, horizon: 4}}
model: {{name: stacked, params: {{cell: gru, units: [4], dropout: 0.1}}}}
train: {{epochs: 5, batch_size: 32, learning_rate: 0.01, seed: 1}}
backtest: {{windows: 10, step: 2}}
"""
COMMAND = [sys.executable, "-c", "from forecasting.cli.main import main; main()", "run"]


def run(config: Path, home: Path, seconds: float | None = None) -> tuple[bool, str]:
    """Run the job, for so many seconds at most; whether it came to its end, and the last thing that it said."""
    environment = {**os.environ, "GATECAST_HOME": str(home), "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [*COMMAND, str(config)], env=environment, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        lines = said.read().splitlines() or ["(nothing yet)"]
    if process.returncode not in (0, -signal.SIGKILL):
        raise SystemExit("\n".join([f"the run failed with {process.returncode}:", *lines]))
    return process.returncode == 0, lines[-1].removeprefix("· ")


def differences(home: Path, undisturbed: Path) -> list[str]:
    """What a disturbed home has otherwise than an undisturbed one; empty where it has all the same."""
    found = []
    pairs = zip(_tables(home), _tables(undisturbed), strict=True)
    for name, (mine, other) in zip(("observations", "forecasts"), pairs, strict=True):
        if not mine.equals(other):
            found.append(f"{name}: {len(mine)} rows against {len(other)}, or other values")
    repeated = int(_tables(home)[1].duplicated(["unique_id", "ds", "cutoff", "version"]).sum())
    if repeated:
        found.append(f"{repeated} forecast(s) are stored more than once")
    if _versions(home) != _versions(undisturbed):
        found.append(f"versions and aliases: {_versions(home)} against {_versions(undisturbed)}")
    for manifest in home.rglob("manifest.json"):
        open_bundle(manifest.parent)  # raises where a bundle that could be read is not whole
    return found


def main() -> int:
    """Kill, run again, compare, and print one line for each."""
    options = _options()
    draw = np.random.default_rng(options.seed)
    place = Path(tempfile.mkdtemp(prefix="gatecast-kill-"))
    config = place / "tiny.yaml"
    config.write_text(JOB, encoding="utf-8")
    life = _life(config, place / "undisturbed")
    # One moment in each part of the run's life, in any order.
    shares = draw.permutation((np.arange(options.kills) + draw.random(options.kills)) / options.kills)
    kills: list[dict[str, Any]] = []
    homes = [place / "home-1"]
    while len(kills) < options.kills:
        moment = float(shares[len(kills)]) * life
        fresh = not homes[-1].exists()
        ended, said = run(config, homes[-1], moment)
        if ended:
            homes.append(place / f"home-{len(homes) + 1}")
            life = min(life, 0.9 * moment) if fresh else life  # the machine is faster than it was
            continue
        kills.append({"home": len(homes), "seconds": round(moment, 2), "during": said})
        print(f"kill {len(kills):>3}  home {len(homes)}  after {moment:6.2f} s  during: {said}", flush=True)
    found = [f"home {number}: {line}" for number, home in enumerate(homes, 1) for line in _end(config, home, place)]
    print("\n".join(found) or f"{len(homes)} home(s): tables, versions and aliases are those of the undisturbed run")
    if options.json:
        content = {"life_seconds": life, "kills": kills, "homes": len(homes), "differences": found}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return 1 if found else 0


def _life(config: Path, home: Path) -> float:
    begin = time.perf_counter()
    run(config, home)
    life = time.perf_counter() - begin
    print(f"an undisturbed run takes {life:.1f} s", flush=True)
    return life


def _end(config: Path, home: Path, place: Path) -> list[str]:
    run(config, home)
    return differences(home, place / "undisturbed")


def _tables(home: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    store = Store(home)
    return store.observations.read(NAME), store.forecasts.read(NAME).drop(columns="created")


def _versions(home: Path) -> list[tuple[Any, ...]]:
    place = Settings(home=home)
    table = Registry(place.tracking_uri, place.home, place.locks).versions.table(NAME)
    return list(table[["version", "aliases", "model", "verdict", "wql"]].itertuples(index=False, name=None))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
