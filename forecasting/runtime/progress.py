"""Progress events for a listener, in this process or in its parent."""

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
    """Send progress to this listener within the block."""
    token = _LISTENER.set(hears)
    try:
        yield
    finally:
        _LISTENER.reset(token)
