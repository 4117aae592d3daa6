"""The columns of a raw frame into a long table: which column is what, numbers, labels, long and wide layouts."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.config.series import Series
from forecasting.config.source import FileColumns, FileSource, SqlSource
from forecasting.errors import SourceError
from forecasting.sources.parsing.numbers import Notation, read_numbers
from forecasting.sources.parsing.stamps import Clock, as_text, concatenate, join, to_utc

__all__ = ["check", "check_distinct", "covariates", "labels", "long_table", "names_of", "wanted"]

_UNNAMED = re.compile(r"Unnamed: \d+|__index_level_\d+__|")  # what pandas calls columns and indexes without a name

Codes = Sequence[str | float]


def covariates(series: Series) -> list[str]:
    """The covariate columns of a table, in their order: past, future, static."""
    return [*series.past, *series.future, *series.static]


def resolve(columns: FileColumns, available: Sequence[str]) -> FileColumns:
    """The columns of a source that has the columns `available`: a long one with a `unique_id` need not name it."""
    if columns.layout == "long" and columns.unique_id is None and UNIQUE_ID in available:
        return columns.model_copy(update={"unique_id": UNIQUE_ID})
    return columns


def labels(columns: FileColumns, series: Series) -> list[str]:
    """The columns that are read as text: stamps, identifiers, and what is categorical."""
    return list(dict.fromkeys([*names_of(columns.ds), *names_of(columns.unique_id), *_categorical(columns, series)]))


def _categorical(columns: FileColumns, series: Series) -> list[str]:
    """The columns of labels by their names in the source."""
    if columns.layout == "wide" and columns.y is None and series.symbolic:
        raise SourceError("the wide layout needs source.columns.y where the readings are labels: name their columns")
    values = (names_of(columns.y) or [Y]) if series.symbolic else []
    return [*values, *(name for name in series.categorical if name != Y)]


def wanted(columns: FileColumns, series: Series) -> list[str] | None:
    """The columns that a source must give; None for all of them (a wide file without a list)."""
    if columns.layout == "wide" and columns.y is None:
        return None
    return list(dict.fromkeys([*labels(columns, series), *(names_of(columns.y) or [Y]), *covariates(series)]))


def only_ahead(available: Sequence[str], columns: FileColumns, series: Series) -> bool:
    """Whether a source without its reading's column holds what is known ahead: all of it, and no name like that one."""
    target = (names_of(columns.y) or [Y])[0]
    if columns.layout == "wide" or not series.future or target in available:
        return False
    others = set(available) - {*series.future, *names_of(columns.ds), *names_of(columns.unique_id)}
    return set(series.future) <= set(available) and _hint(target, sorted(others)) == target


def check(available: Sequence[str], columns: FileColumns, series: Series, *, name: str) -> None:
    """Raise SourceError that lists every column which `name` lacks, with close matches, and those it has."""
    taken = [column for column in covariates(series) if column in (UNIQUE_ID, DS, Y)]
    if taken:
        raise SourceError(f"a covariate cannot be called {', '.join(taken)}: the table has a column of that name")
    if columns.layout == "long" and len(names_of(columns.y)) > 1:
        raise SourceError("source.columns.y names several columns: with layout: wide each of them becomes a series")
    needed = [*labels(columns, series), *covariates(series), *(wanted(columns, series) or [])]
    if only_ahead(available, columns, series):
        needed = [*names_of(columns.ds), *names_of(columns.unique_id), *series.future]
    missing = [column for column in dict.fromkeys(needed) if column not in available]
    if missing:
        shown = ", ".join(available[:40]) + (", …" if len(available) > 40 else "")
        hints = [_hint(column, available) for column in missing]
        raise SourceError(f"{name} has no column {', '.join(hints)}; its columns are: {shown}")


def check_distinct(header: Sequence[str], wanted: Sequence[str] | None, *, name: str) -> None:
    """Raise SourceError where a column that is wanted (none: any of them) stands twice in the header of `name`."""
    counts = Counter(column for column in header if column.strip() and (wanted is None or column in wanted))
    if twice := [column for column, count in counts.items() if count > 1]:
        raise SourceError(f"{name} has several columns called {', '.join(twice)}; give each a name of its own")


def long_table(
    frame: pd.DataFrame, source: FileSource | SqlSource, series: Series, *, name: str
) -> tuple[pd.DataFrame, list[str]]:
    """The long table of one raw frame, and a sentence for every kind of unreadable value.

    The index of `frame` is what messages call a row.
    """
    columns = resolve(source.columns, list(frame.columns))
    if only_ahead(list(frame.columns), columns, series):
        frame = frame.reindex(columns=[*dict.fromkeys([*frame.columns, *(wanted(columns, series) or [])])])
    ids = _identifiers(frame, columns, name)
    raw, clock = join([frame[column] for column in names_of(columns.ds)], _clock(source, series))
    stamps, problems = to_utc(raw, ids, clock)
    values = _value_columns(frame, columns, series)
    categorical = _categorical(columns, series)
    numeric = [column for column in dict.fromkeys([*values, *covariates(series)]) if column not in categorical]
    notation = Notation(source.decimal, source.thousands, source.missing)
    read = {}
    for column in numeric:
        read[column], faults = read_numbers(frame[column], notation)
        problems += faults
    read |= {column: _labels(frame[column], source.missing) for column in categorical}
    if columns.layout == "wide":
        prefix = ids + "/" if columns.unique_id else pd.Series("", index=frame.index, dtype="str")
        return _wide(prefix, stamps, read, (values, covariates(series))), problems
    content = {UNIQUE_ID: ids, DS: stamps, Y: read[values[0]], **{name: read[name] for name in covariates(series)}}
    return pd.DataFrame(content).reset_index(drop=True), problems


def _wide(
    prefix: pd.Series, stamps: pd.Series, read: dict[str, pd.Series], names: tuple[list[str], list[str]]
) -> pd.DataFrame:
    values, extra = names
    content: dict[str, pd.Series | np.ndarray] = {
        UNIQUE_ID: pd.concat([prefix + value for value in values], ignore_index=True),
        DS: np.tile(stamps.to_numpy(), len(values)),
        Y: np.concatenate([read[value].to_numpy() for value in values]),
    }
    content |= {name: pd.concat([read[name]] * len(values), ignore_index=True) for name in extra}
    return pd.DataFrame(content)


def _identifiers(frame: pd.DataFrame, columns: FileColumns, name: str) -> pd.Series:
    names = names_of(columns.unique_id)
    if not names:
        return pd.Series(name, index=frame.index, dtype="str")
    return concatenate([frame[column] for column in names], "/")


def _value_columns(frame: pd.DataFrame, columns: FileColumns, series: Series) -> list[str]:
    if columns.layout == "long" or columns.y is not None:
        return names_of(columns.y) or [Y]
    other = {*labels(columns, series), *covariates(series)}
    values = _with_names(frame, [column for column in frame.columns if column not in other])
    if not values:
        raise SourceError("the wide layout finds no value column besides the time and the covariates")
    return values


def _with_names(frame: pd.DataFrame, values: list[str]) -> list[str]:
    """The value columns of a wide frame: an empty one without a name is left out, any other is nobody's series."""
    unnamed = [column for column in values if _UNNAMED.fullmatch(column)]
    if filled := [column for column in unnamed if frame[column].notna().any()]:
        raise SourceError(
            f"column {list(frame.columns).index(filled[0]) + 1} has values and no name, like the row numbers that"
            " pandas writes beside a table: name the series in source.columns.y, or write the file without it"
        )
    return [column for column in values if column not in unnamed]


def _labels(column: pd.Series, missing: Codes) -> pd.Series:
    text = as_text(column)
    return text.mask(text.isin([str(code) for code in missing]))


def names_of(column: str | tuple[str, ...] | None) -> list[str]:
    """The columns that a key names: none, one, or several."""
    return [] if column is None else [column] if isinstance(column, str) else list(column)


def _hint(column: str, available: Sequence[str]) -> str:
    close = difflib.get_close_matches(column, available, n=1, cutoff=0.5)
    return f"{column} (did you mean {close[0]}?)" if close else column


def _clock(source: FileSource | SqlSource, series: Series) -> Clock:
    formats = names_of(source.date_format) if isinstance(source, FileSource) else []
    return Clock(tuple(formats), source.time_zone, series.freq)
