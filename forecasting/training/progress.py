"""Progress of a fit on the terminal: one bar over all steps, one line a check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["FitProgress"]

T = TypeVar("T")


class FitProgress:
    """A bar on standard error, drawn only where that is a terminal; lines of checks are printed everywhere."""

    def __init__(self, title: str, steps: int, *, done: int = 0) -> None:
        self.console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self.task = self.bar.add_task(title, total=steps, completed=done)

    def __enter__(self) -> FitProgress:
        if self.console.is_terminal:
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
            self.bar.advance(self.task)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True)
