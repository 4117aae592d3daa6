"""Memory of processes: what one holds, the peak of a whole tree, the peak of the children that have ended."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path
from types import TracebackType

__all__ = ["Peak", "peak_mb", "peak_of_children_mb", "resident_mb"]

_PAUSE = 0.05  # seconds


class Peak:
    """Looks at the tree of a process until the block ends; `most_mb` is the largest sum that was seen.

    Pages that processes share are counted once for all of them together (proportional set size).
    """

    def __init__(self, pid: int) -> None:
        self.most_mb = 0.0
        self._pid, self._over = pid, threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Peak:
        self._watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._over.wait(_PAUSE):
            self.most_mb = max(self.most_mb, sum(_proportional_mb(pid) for pid in _tree(self._pid)))


def resident_mb(pid: int | None = None) -> float:
    """What a process holds now, by default this one."""
    pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb() -> float:
    """The most resident memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def peak_of_children_mb() -> float:
    """The most resident memory of any one child process that has ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6


def _tree(root: int) -> list[int]:
    children = Path(f"/proc/{root}/task").glob("*/children")
    found = [root]
    for listed in children:
        try:
            found += [pid for child in listed.read_text().split() for pid in _tree(int(child))]
        except OSError:
            continue  # it has ended meanwhile
    return found


def _proportional_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
