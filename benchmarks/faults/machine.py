"""Faults of a machine: a disk that is full, a clock that jumps, local readings on the days when clocks change."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.faults.bench import Bench, Round
from benchmarks.faults.homes import NAME, Home
from benchmarks.faults.kills import SHARDED
from forecasting.config.job import parse_job
from forecasting.runtime.files import write_text
from forecasting.storage.store import Store

__all__ = ["clock", "disk", "summer_time"]

ZONE = "Europe/Berlin"
DAYS = ("2026-03-29", "2026-10-25")  # clocks go forward, and back
JUMPS = ("+400d", "-400d", "+1h", "-1h")


def disk(bench: Bench, rounds: int) -> Iterator[Round]:
    """The home's disk gets full somewhere in an ingest, a batch or a training."""
    nothing = Home(bench.place / "nothing", bench.config)
    nothing.path.mkdir(exist_ok=True)
    cases = [
        (nothing, bench.ingested, ("ingest",)),
        (bench.live, bench.forecast, SHARDED),
        (bench.ingested, bench.trained, ("train",)),
    ]
    for number in range(rounds):
        yield _filled(bench, *cases[number % len(cases)])


def _filled(bench: Bench, begin: Home, twin: Home, words: tuple[str, ...]) -> Round:
    bench.count["disk"] += 1
    place = bench.place / "rounds" / f"disk-{bench.count['disk']}"
    used, needed = _size(begin.path), _size(twin.path) - _size(begin.path)
    spare = int(bench.draw.uniform(0, needed))
    with _small_disk(place, used + spare):
        home = begin.copy(place / "home")
        done = home.run(*words)
        wrong = [] if done.clean else [f"no clear error but {done.code}: {done.last}"]
        _mount("-o", f"remount,size={used + 10 * needed + (64 << 20)}", place)
        wrong += bench.held_against(home, twin, lambda: home.run(*words))
    return Round(f"{words[0]} with {spare >> 10} KiB where {needed >> 10} are kept: {done.last[:160]}", wrong)


def clock(bench: Bench, rounds: int) -> Iterator[Round]:
    """The clock jumps by an hour or by more than a year in the middle of a command, and is right again afterwards."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if library is None:
        raise SystemExit("no libfaketime under /usr/lib (Debian: apt install faketime)")
    cases = [(bench.live, bench.forecast, SHARDED), (bench.ingested, bench.trained, ("train",))]
    for number in range(rounds):
        begin, twin, words = cases[number % len(cases)]
        yield _jumping(bench, bench.fresh(begin, "clock"), twin, words, library)


def _jumping(bench: Bench, home: Home, twin: Home, words: tuple[str, ...], library: Path) -> Round:
    jump, moment = str(bench.draw.choice(JUMPS)), float(bench.draw.uniform(0, 10))
    note = home.path / "clock"
    write_text(note, "+0")
    faked = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(note), "FAKETIME_NO_CACHE": "1"}
    here = replace(home, extra={**faked, "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    started = here.start(*words)
    timer = threading.Timer(moment, write_text, (note, jump))
    if started.stderr:
        started.stderr.readline()  # its imports are done
    timer.start()
    said = started.communicate()[1].strip().splitlines()
    timer.cancel()
    wrong = [] if started.returncode == 0 else [f"ended with {started.returncode}: {said[-1:]}"]
    note.unlink()
    wrong += bench.held_against(home, twin, lambda: home.run(*words))
    return Round(f"{words[0]}, {jump} after {moment:.1f} s", wrong)


def summer_time(bench: Bench, rounds: int) -> Iterator[Round]:
    """A file of local times grows across both changes of the clock, and is ingested after every few hours."""
    for number in range(rounds):
        day = DAYS[number % len(DAYS)]
        stamps = pd.date_range(f"{day} 00:00", periods=60, freq="h", tz="UTC") - pd.Timedelta(hours=12)
        table = pd.DataFrame({"unique_id": "a", "ds": stamps, "y": np.arange(60.0)})
        ends = np.unique([*bench.draw.integers(1, 60, 6), *range(11, 17), 60])  # every hour around the change
        with redirect_stderr(io.StringIO()):  # the steps
            wrong = _grown(bench.place / "rounds" / f"summer-{number}", table, ends)
        yield Round(f"{day}, {len(ends)} ingests", wrong)


def _grown(place: Path, table: pd.DataFrame, ends: np.ndarray) -> list[str]:
    """Ingest the first rows again and again; what is stored in the end otherwise than it was measured."""
    from pipelines.ingest import ingest

    source = {"kind": "file", "path": str(place / "local.csv"), "time_zone": ZONE}
    job = parse_job({"name": NAME, "source": source, "series": {"freq": "h"}, "window": {"context": 4, "horizon": 2}})
    local = table.assign(ds=table["ds"].dt.tz_convert(ZONE).dt.strftime("%Y-%m-%d %H:%M"))
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    store, wrong = Store(place), []
    os.environ["GATECAST_HOME"] = str(place)
    for end in ends:
        local[:end].to_csv(place / "local.csv", index=False)
        first, again = ingest.fn(job), ingest.fn(job)
        if (again.inserted, again.updated) != (0, 0):
            wrong.append(f"after {end} rows the same file brought {again.inserted} new, {again.updated} other rows")
        found = store.observations.read(NAME)
        expected = table[:end].assign(ds=table["ds"][:end].dt.tz_localize(None).astype("datetime64[us]"))
        if found["ds"].tolist() != expected["ds"].tolist() or found["y"].tolist() != expected["y"].tolist():
            wrong.append(f"after {end} rows, {first.inserted} of them new, others are stored than were measured")
    return wrong


@contextmanager
def _small_disk(place: Path, size: int) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def _mount(*words: str | Path) -> None:
    if os.geteuid():
        raise SystemExit("a small disk is mounted by root only")
    subprocess.run(["mount", *map(str, words)], check=True)


def _size(path: Path) -> int:
    """Bytes on a disk with pages of 4 KiB."""
    return sum((file.stat().st_size + 4095) // 4096 * 4096 for file in path.rglob("*") if file.is_file())
