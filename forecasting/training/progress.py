"""Progress of a fit on the terminal: one bar over all batches, one line per epoch."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["FitProgress"]


class FitProgress(keras.callbacks.Callback):
    """A bar on standard error, drawn only where that is a terminal; epoch lines are printed everywhere."""

    def __init__(self, title: str, batches: int, *, done: int = 0) -> None:
        super().__init__()
        self.console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self.bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self.task = self.bar.add_task(title, total=batches, completed=done)

    def __enter__(self) -> FitProgress:
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar by one batch."""
        self.bar.advance(self.task)

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self.console.print(line, highlight=False, soft_wrap=True)
