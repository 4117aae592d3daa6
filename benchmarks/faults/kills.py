"""Faults of processes: SIGKILL at random moments, of all or of one of them; the same command twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil

from benchmarks.faults.bench import Bench, Round
from benchmarks.faults.homes import NAME, PATIENT, Done, Home
from benchmarks.harness.processes import kill_tree, process, until
from forecasting.runtime.workspace import Workspace

__all__ = ["SHARDED", "dask", "kill_batch", "kill_training", "kill_when", "twice"]

SHARDED = ("forecast", "--shards", "4")


def kill_batch(bench: Bench, rounds: int) -> Iterator[Round]:
    """SIGKILL of a sharded forecast: of all its processes, of the first one, or of one that scores."""
    for _ in range(rounds):
        yield _killed(bench, bench.live, bench.forecast, SHARDED)


def kill_training(bench: Bench, rounds: int) -> Iterator[Round]:
    """SIGKILL of a training: of all its processes, of the first one, or of the one that fits."""
    for _ in range(rounds):
        yield _killed(bench, bench.ingested, bench.trained, ("train",))


def twice(bench: Bench, rounds: int) -> Iterator[Round]:
    """The same command in two processes at the same moment."""
    cases = [(bench.live, bench.forecast, SHARDED), (bench.ingested, bench.trained, ("train",))]
    for number in range(rounds):
        begin, twin, words = cases[number % len(cases)]
        home = bench.fresh(begin, "twice")
        both = [home.start(*words) for _ in range(2)]
        ends = [_ended(process) for process in both]
        wrong = [f"one of two ended with {done.code}: {done.last}" for done in ends if done.code]
        yield Round(f"{words[0]} twice", wrong + bench.held_against(home, twin))


def dask(bench: Bench, rounds: int) -> Iterator[Round]:
    """One of two Dask workers is killed while it scores."""
    for _ in range(rounds):
        yield _without_worker(bench, bench.fresh(bench.live, "dask"))


def kill_when(home: Home, words: tuple[str, ...], moment: float, whom: str, draw: np.random.Generator) -> Done:
    """Start a command and kill so many seconds after its first step began: all, the first, or another process."""
    started = home.start(*words)
    first = _first_line(started)
    timer = threading.Timer(moment, _kill, (started.pid, whom, draw))
    timer.start()
    said = started.communicate(timeout=PATIENT)[1]
    timer.cancel()
    return Done(started.returncode, first + said)


def _killed(bench: Bench, begin: Home, twin: Home, words: tuple[str, ...]) -> Round:
    """One kill at a random moment of the command's life after its imports, then the same command again."""
    home = bench.fresh(begin, f"kill-{words[0]}")
    whom = str(bench.draw.choice(["all", "first", "other"]))
    life = _life(bench, begin, words)
    moment = float(bench.draw.uniform(0, life))
    done = kill_when(home, words, moment, whom, bench.draw)
    wrong = []
    if done.code not in (0, -signal.SIGKILL) and not done.clean:
        wrong.append(f"no clear error but {done.last}")
    note = f"{whom} after {moment:.1f} of {life:.1f} s: {done.last if done.code else 'had ended'}"
    return Round(note, wrong + bench.held_against(home, twin, lambda: home.run(*words)))


def _life(bench: Bench, begin: Home, words: tuple[str, ...]) -> float:
    """Seconds from the first step to the end, measured once."""
    name = f"life of {words[0]}"
    if name not in bench.seconds:
        home = bench.fresh(begin, "life")
        started = home.start(*words)
        _first_line(started)
        start = time.monotonic()
        started.communicate(timeout=PATIENT)
        bench.seconds[name] = time.monotonic() - start
    return bench.seconds[name]


def _first_line(process: subprocess.Popen[str]) -> str:
    """What it says when its imports are done."""
    return process.stderr.readline() if process.stderr else ""


def _kill(pid: int, whom: str, draw: np.random.Generator) -> None:
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    if whom == "all":
        os.killpg(pid, signal.SIGKILL)
    elif whom == "first" or not children:
        os.kill(pid, signal.SIGKILL)
    else:
        kill_tree(children[int(draw.integers(len(children)))].pid)


def _ended(process: subprocess.Popen[str]) -> Done:
    said = process.communicate(timeout=PATIENT)[1]
    return Done(process.returncode, said)


def _without_worker(bench: Bench, home: Home) -> Round:
    words, parts = (*SHARDED, "--runner", "dask"), Workspace(home.path).parts(NAME)
    with _cluster(bench.place / "dask") as (address, workers):
        here = Home(home.path, home.config, extra={"GATECAST_DASK": address})
        running = here.start(*words)
        until(lambda: list(parts.glob("*/plan.json")))  # the tasks are about to be sent
        time.sleep(float(bench.draw.uniform(0, 3)))
        finished = len(list(parts.glob("*/part-*.json")))
        kill_tree(workers[int(bench.draw.integers(2))])
        done = _ended(running)
        wrong = [] if done.code == 0 else [f"ended with {done.code}: {done.last}"]
        wrong += bench.held_against(home, bench.forecast)
    return Round(f"a worker killed when {finished} of 4 parts were done", wrong)


@contextmanager
def _cluster(place: Path) -> Iterator[tuple[str, list[int]]]:
    """A Dask scheduler and two workers, each a process of its own."""
    note = place / "scheduler.json"
    note.unlink(missing_ok=True)
    scheduler = ["-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = ["-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard", "--scheduler-file", str(note)]
    with ExitStack() as stack:
        stack.enter_context(process([*scheduler, "--scheduler-file", str(note)], place / "scheduler.log", {}))
        until(note.exists)
        workers = [stack.enter_context(process(worker, place / f"worker-{number}.log", {})) for number in range(2)]
        yield json.loads(note.read_text(encoding="utf-8"))["address"], workers
