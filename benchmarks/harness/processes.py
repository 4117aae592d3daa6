"""Processes that benchmarks start, wait for and kill."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psutil

__all__ = ["GATECAST", "free_port", "kill_tree", "process", "until"]

GATECAST: Final = ("-c", "from forecasting.cli.main import main; main()")  # arguments of Python: the command line


@contextmanager
def process(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """A Python process with its log; it and all that it has started is killed at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        started = subprocess.Popen(
            [sys.executable, *command], env={**os.environ, **environment}, stdout=file, stderr=file, cwd=log.parent
        )
    with ExitStack() as stack:
        stack.callback(started.wait)
        stack.callback(kill_tree, started.pid)
        yield started.pid


def kill_tree(pid: int) -> None:
    """SIGKILL for a process and all that it has started."""
    try:
        parent = psutil.Process(pid)
        tree = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for each in tree:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue


def until(seen: Callable[[], object], seconds: float = 300.0, *, pause: float = 0.1) -> None:
    """Wait until `seen()` is true; raises TimeoutError."""
    end = time.monotonic() + seconds
    while not seen():
        if time.monotonic() > end:
            raise TimeoutError(f"not seen within {seconds:g} s")
        time.sleep(pause)


def free_port() -> int:
    """A port of the loopback interface that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
