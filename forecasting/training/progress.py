"""Progress of a fit: a bar over all steps and a line per check, or events for a listener."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from forecasting.runtime.progress import Progress, listener

__all__ = ["FitProgress"]

T = TypeVar("T")

_EVERY: Final = 0.1  # seconds between two words to a listener


class FitProgress:
    """A bar on standard error, drawn only where that is a terminal; lines of checks are printed everywhere.

    Where somebody listens, nothing is drawn or printed here.
    """

    def __init__(self, title: str, steps: int, *, done: int = 0) -> None:
        self.title, self.steps, self.done = title, steps, done
        self.listener, self.told = listener(), 0.0
        self.console = Console(stderr=True, quiet=self.listener is not None)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self.bar = Bar(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self.task = self.bar.add_task(title, total=steps, completed=done)

    def __enter__(self) -> FitProgress:
        if self.console.is_terminal and self.listener is None:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def watch(self, batches: Iterable[T]) -> Iterator[T]:
        """The batches; the bar moves by one step after each."""
        for batch in batches:
            yield batch
            self.done += 1
            self.bar.advance(self.task)
            if time.monotonic() - self.told > _EVERY:
                self._tell()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True)
        self._tell(line)

    def _tell(self, line: str = "") -> None:
        if self.listener is not None:
            self.told = time.monotonic()
            self.listener(Progress(self.title, self.done, self.steps, line))
