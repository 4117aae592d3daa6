"""Tables on the terminal, for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["show", "show_remarks"]

_SERIES: Final = 24  # with a remark


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table on standard output, as wide as the terminal, or as wide as needed without one."""
    console = Console()
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for name in rows[0] if rows else []:
        numeric = all(isinstance(row[name], int | float | None) and not isinstance(row[name], bool) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    if not console.is_terminal:
        console.width = max(console.width, 200)
    console.print(table if rows else f"{title}: nothing")


def show_remarks(series: Sequence[dict[str, Any]]) -> None:
    """Print the series without a usual forecast, if there are any."""
    if series:
        show("series without a usual forecast", series[:_SERIES])
    if len(series) > _SERIES:
        Console().print(f"… and {len(series) - _SERIES} more; --json lists them")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return "" if value is None else str(value)
