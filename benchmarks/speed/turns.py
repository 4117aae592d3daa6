"""Measurements that take turns: each contestant is a process that measures once per turn."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Final, cast

__all__ = ["Contestant", "answer", "contest", "installed", "peer", "ratio", "seconds"]

_PEERS: Final = Path(__file__).with_name("peers.py")
_MARK: Final = "figure "  # before a figure: other libraries print, too
_TURN: Final = 0.2  # seconds, about, of a turn in this process


class Contestant:
    """A Python process that prints a figure for every line that it reads, until the block ends."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in the end; an unread pipe would fill up)
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._asked, self._said = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def measure(self) -> float:
        """One figure; raises RuntimeError, with the end of what it printed, if the process ended without it."""
        with suppress(BrokenPipeError):  # it has ended, and the next lines say why
            self._asked.write("\n")
            self._asked.flush()
        for line in self._said:
            if line.startswith(_MARK):
                return float(line.removeprefix(_MARK))
        self._log.seek(0)
        raise RuntimeError(self._log.read()[-500:].strip())


def contest(contestants: Mapping[str, Contestant], runs: int) -> dict[str, float]:
    """The median figure of each; they take turns, and the first one, which warms up, does not count.

    Those that fail are left out, with a line on standard error.
    """
    with ExitStack() as stack:
        for contestant in contestants.values():
            stack.enter_context(contestant)
        ready = {name: contestant for name, contestant in contestants.items() if _ready(name, contestant)}
        turns = [{name: contestant.measure() for name, contestant in ready.items()} for _ in range(runs)]
    return {name: statistics.median(turn[name] for turn in turns) for name in ready}


def _ready(name: str, contestant: Contestant) -> bool:
    try:
        contestant.measure()
    except RuntimeError as error:
        print(f"not compared: {name} failed: {error}", file=sys.stderr)
        return False
    return True


def seconds(calls: Mapping[str, Callable[[], object]], runs: int) -> dict[str, float]:
    """The median seconds of each call in this process; they take turns, and each is called once before."""
    for call in calls.values():
        call()
    often = {name: max(1, round(_TURN / _timed(call, 1))) for name, call in calls.items()}
    turns = [{name: _timed(calls[name], count) for name, count in often.items()} for _ in range(runs)]
    return {name: statistics.median(turn[name] for turn in turns) for name in often}


def _timed(call: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / count


def installed(folder: Path | None) -> None:
    """Add the packages in `folder` to the import path, after those of this environment."""
    if folder:
        sys.path.append(str(folder))


def answer(measure: Callable[[], float]) -> None:
    """In the process of a contestant: a figure for every line of standard input."""
    for _ in sys.stdin:
        print(f"{_MARK}{measure()}", flush=True)


def peer(folder: Path, *words: str) -> Contestant:
    """Another library, installed in `folder`: `words` are those of peers.py."""
    return Contestant([str(_PEERS), *words], {"PYTHONPATH": str(folder)})


def ratio(figures: Mapping[str, float], over: str, under: str) -> float | None:
    """How many times as much `over` has as `under`; none if either was not measured."""
    return round(figures[over] / figures[under], 2) if {over, under} <= figures.keys() else None
