"""Tables on the terminal and in files, for the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from forecasting.atomic import replace
from forecasting.config import Series
from forecasting.errors import ConfigError
from forecasting.series.cubes import Cube, cube, write_netcdf, write_npz
from forecasting.series.grids import learn_layout

__all__ = ["check_suffix", "records", "show", "write"]


def show(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Print rows as a table on standard output: as wide as the terminal, or as its content where there is none."""
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


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON objects: stamps in ISO 8601, what is not finite as null."""
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", date_format="iso"))
    return rows


def check_suffix(path: Path, series: Series) -> None:
    """Raise ConfigError unless `write` knows the suffix, before the table is made at all."""
    known = (*_WRITERS, *_ARRAYS) if series.layout != "none" else tuple(_WRITERS)
    if path.suffix not in known:
        hint = "; arrays need series.layout" if path.suffix in _ARRAYS else ""
        raise ConfigError(f"cannot write {path}: the suffix must be one of {', '.join(known)}{hint}")


def write(path: Path, table: pd.DataFrame, series: Series) -> None:
    """Write forecasts as a `.csv` or `.parquet` table; of a layout also as `.nc` or `.npz` arrays; all or nothing."""
    check_suffix(path, series)
    writer = _WRITERS.get(path.suffix) or partial(_write_arrays, series)
    replace(path, lambda draft: writer(table, draft))


def _write_csv(table: pd.DataFrame, draft: Path) -> None:
    table.to_csv(draft, index=False)


def _write_parquet(table: pd.DataFrame, draft: Path) -> None:
    table.to_parquet(draft)


def _write_arrays(series: Series, table: pd.DataFrame, draft: Path) -> None:
    layout = learn_layout(table, series)
    if layout is None:
        raise ConfigError("series.layout is none: these series stand nowhere")
    columns = [str(name) for name in table.columns if str(name)[:1] == "q" and str(name)[1:2].isdigit()]
    content = cube(table, layout, columns)
    _ARRAYS[draft.suffix](content, [float(name[1:]) for name in columns], draft)


_ARRAYS: dict[str, Callable[[Cube, Sequence[float], Path], None]] = {".nc": write_netcdf, ".npz": write_npz}
_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {".csv": _write_csv, ".parquet": _write_parquet}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return "" if value is None else str(value)
