"""Output of the API: log records for programs, and a progress bar for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from forecasting.runtime.progress import Progress, heard_by
from forecasting.series.validate import Violation

__all__ = ["found", "showing", "tell"]

_LOGGER: Final = logging.getLogger("forecasting")
_LOGGER.addHandler(logging.NullHandler())  # a library is silent until its user says otherwise


def tell(notes: Sequence[str]) -> None:
    """Log every note as a warning."""
    for note in notes:
        _LOGGER.warning(note)


def found(violations: Sequence[Violation]) -> tuple[str, ...]:
    """The messages of the warnings among these violations."""
    return tuple(violation.message for violation in violations if violation.severity == "warning")


@contextmanager
def showing(title: str) -> Iterator[None]:
    """Show the progress of the block as a bar, where a person watches: in a notebook, or on a terminal."""
    console = Console(stderr=True)
    watched = console.is_terminal or console.is_jupyter
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    bar = Bar(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not watched)
    task = bar.add_task(title, total=None)

    def hears(progress: Progress) -> None:
        if progress.line:
            _LOGGER.info("%s: %s", progress.title, progress.line)
        bar.update(task, description=progress.title, completed=progress.done, total=progress.total or None)

    with bar, heard_by(hears):
        yield
