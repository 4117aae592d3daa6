"""The most memory that a process and all its children had resident at once."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

__all__ = ["Peak"]

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
            self.most_mb = max(self.most_mb, sum(_resident_mb(pid) for pid in _tree(self._pid)))


def _tree(root: int) -> list[int]:
    children = Path(f"/proc/{root}/task").glob("*/children")
    found = [root]
    for listed in children:
        try:
            found += [pid for child in listed.read_text().split() for pid in _tree(int(child))]
        except OSError:
            continue  # it has ended meanwhile
    return found


def _resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
