"""Processes that do not outlive their parent, and the cores that they share."""

from __future__ import annotations

import multiprocessing
import os
import threading
from multiprocessing.connection import wait

__all__ = ["cores", "end_with_parent"]


def cores() -> int:
    """The number of cores this process may use, or of all cores if the system does not say."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def end_with_parent() -> None:
    """End this process when its parent ends: a killed parent cannot stop it.

    Two processes must not write the state of one fit, or the part of one shard.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
