"""Output of the API: log records for programs, and a progress bar for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from forecasting.runtime.progress import Listener, Progress, heard_by
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
    with _in_a_cell(title) if console.is_jupyter else _on_a_terminal(title, console) as show:

        def hears(progress: Progress) -> None:
            if progress.line:
                _LOGGER.info("%s: %s", progress.title, progress.line)
            show(progress)

        with heard_by(hears):
            yield


@contextmanager
def _on_a_terminal(title: str, console: Console) -> Iterator[Listener]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    bar = Bar(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(title, total=None)
    with bar:
        yield lambda now: bar.update(task, description=now.title, completed=now.done, total=now.total or None)


@contextmanager
def _in_a_cell(title: str) -> Iterator[Listener]:
    """A bar of the browser, which every notebook shows; that of Rich would need the package ipywidgets."""
    cell = import_module("IPython.display")
    handle = cell.display(cell.HTML(_bar(Progress(title, 0, 0))), display_id=True)
    try:
        yield lambda now: handle.update(cell.HTML(_bar(now)))
    finally:
        handle.update(cell.HTML(""))  # what is done needs no bar


def _bar(now: Progress) -> str:
    share = f' max="{now.total}" value="{now.done}"' if now.total else ""
    return f"<progress{share}></progress> {escape(now.title)}"
