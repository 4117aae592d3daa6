"""Progress that is told to a listener instead of being printed, also across processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple, TypeAlias

__all__ = ["Listener", "Progress", "heard_by", "listener"]


class Progress(NamedTuple):
    """How far some work is."""

    title: str
    done: int
    total: int  # steps
    line: str = ""  # something to say, besides


Listener: TypeAlias = Callable[[Progress], None]

_LISTENER: Final[ContextVar[Listener | None]] = ContextVar("listener", default=None)


def listener() -> Listener | None:
    """Who listens to progress; none: it goes to standard error."""
    return _LISTENER.get()


@contextmanager
def heard_by(hears: Listener | None) -> Iterator[None]:
    """Within the block, progress is told to this listener."""
    token = _LISTENER.set(hears)
    try:
        yield
    finally:
        _LISTENER.reset(token)
