"""A CSV file from a person as the columns of a forecast request; separators and gaps as spreadsheets write them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final

from forecasting.bundle.spec import Spec
from forecasting.columns import BASE, DS, SCENARIO, UNIQUE_ID, Y
from forecasting.serve.bodies import Document, few
from forecasting.serve.csv_table import CsvTable, numbers_of, read_csv
from forecasting.serve.errors import ServiceError
from forecasting.serve.long_tables import unknown
from forecasting.serve.requests import SCENARIOS

__all__ = [
    "UploadedTables",
    "columns_of_csv",
    "header_of_csv",
    "tables_of_csv",
    "tables_of_upload",
    "wanted_columns",
]

_SHOWN: Final = 5  # rows in a message
_OFFERED: Final = 300  # columns of a file, each of them for every column of the model
_WORDS: Final = {  # what people call the columns that every table has
    UNIQUE_ID: ("id", "series", "series_id", "name"),
    DS: ("date", "datetime", "time", "timestamp"),
    Y: ("value", "target", "reading"),
    SCENARIO: ("alternative",),
}


class UploadedTables(Document):
    """A CSV file of readings, and alternatives of what is known ahead: names, and CSV texts of the same number."""

    history: str
    names: Annotated[list[str], few(SCENARIOS)]
    tables: Annotated[list[str], few(SCENARIOS)]


def wanted_columns(spec: Spec) -> list[str]:
    """The columns that a file may have, in the order in which a person maps them."""
    return [UNIQUE_ID, DS, Y, *spec.covariates, *([SCENARIO] if _compares(spec) else [])]


def tables_of_csv(
    body: bytes, spec: Spec, *, most: int, places: Sequence[int | None] | None = None
) -> dict[str, dict[str, Any]]:
    """A file as the tables of a forecast request, with its alternatives where a column names them.

    Readings belong to all alternatives, a row without one to that which it names. Where such a row names none, and an
    alternative has another for its stamp, it is one of `base`. Raises ServiceError 422.
    """
    columns = columns_of_csv(body, spec, most=most, places=places)
    names = columns.pop(SCENARIO, None)
    if names is None or not any(names) or not {DS, Y} <= columns.keys():
        return {"columns": columns}
    rows = range(len(names))
    ahead = {name: [row for row in rows if names[row] == name and columns[Y][row] is None] for name in names if name}
    keys = list(zip(columns[UNIQUE_ID], columns[DS], strict=True))
    named = {keys[row] for of_one in ahead.values() for row in of_one}
    base = [row for row in rows if names[row] is None and columns[Y][row] is None and keys[row] in named]
    scenarios = {**({BASE: base} if base and BASE not in ahead else {}), **ahead}
    known = [name for name in (UNIQUE_ID, DS, *spec.features.future) if name in columns]
    history = [row for row in rows if names[row] is None or columns[Y][row] is not None]
    once = {tuple(column[row] for column in columns.values()): row for row in reversed(history)}  # of all alternatives
    return {
        "columns": _rows(columns, [*columns], list(once.values())[::-1]),
        "scenarios": {name: _rows(columns, known, of_one) for name, of_one in scenarios.items()},
    }


def _rows(columns: dict[str, list[Any]], names: list[str], rows: list[int]) -> dict[str, list[Any]]:
    return {name: [columns[name][row] for row in rows] for name in names}


def tables_of_upload(
    sent: UploadedTables, spec: Spec, *, most: int, places: Sequence[int | None] | None = None
) -> dict[str, dict[str, Any]]:
    """A file and the texts of its alternatives as the tables of a forecast request; raises ServiceError 422.

    An alternative without `unique_id` is that of every series of the file.
    """
    names = [name.strip() for name in sent.names]
    if len(names) != len(sent.tables) or len(set(names)) < len(names) or not all(names):
        text = "the alternatives cannot be told apart"
        raise ServiceError(422, "invalid_request", text, ["give each of them a name of its own, and its table"])
    history = columns_of_csv(sent.history.encode(), spec, most=most, places=places)
    series = list(dict.fromkeys(history[UNIQUE_ID]))
    scenarios = {}
    for number, (name, text) in enumerate(zip(names, sent.tables, strict=True), 1):
        try:
            scenarios[name] = _ahead(text.encode(), spec, series, most)
        except ServiceError as error:
            details = [f"alternative {number}: {detail}" for detail in error.details or [error.message]]
            raise ServiceError(error.status, error.code, error.message, details) from error
    return {"columns": history, "scenarios": scenarios}


def _ahead(body: bytes, spec: Spec, series: list[str], most: int) -> dict[str, list[Any]]:
    """The values known ahead of one alternative; other columns of the model say nothing of the future."""
    columns = columns_of_csv(body, spec, most=most, default="")
    kept = {name: columns[name] for name in (UNIQUE_ID, DS, *spec.features.future) if name in columns}
    if any(kept[UNIQUE_ID]) or not series:
        return kept
    rows = len(kept[UNIQUE_ID])
    if rows * len(series) > most:
        raise ServiceError(422, "invalid_request", "the file cannot be forecast", [f"more than {most} rows"])
    every = {name: values * len(series) for name, values in kept.items()}
    return every | {UNIQUE_ID: [name for name in series for _ in range(rows)]}


def _compares(spec: Spec) -> bool:
    """Whether a file may hold alternatives of what is known ahead."""
    return bool(spec.series.future) and SCENARIO not in spec.covariates


def header_of_csv(body: bytes, spec: Spec) -> tuple[list[str], list[int | None]]:
    """The header of a file as it is, and for each wanted column its place there, None where no name fits."""
    header: list[str] = []
    known: list[str] = []

    def note(names: list[str]) -> list[str]:
        header[:], known[:] = names, _known_as(names, wanted=wanted_columns(spec))
        return names

    _read(body, spec, 0, note)
    if len(header) > _OFFERED:
        text = f"the file has {len(header)} columns, of which {_OFFERED} can be offered"
        raise ServiceError(422, "invalid_csv", text, ["leave out columns that the model does not read"])
    return header, [known.index(name) if name in known else None for name in wanted_columns(spec)]


def columns_of_csv(
    body: bytes,
    spec: Spec,
    *,
    most: int,
    places: Sequence[int | None] | None = None,
    default: str | None = None,
) -> dict[str, list[Any]]:
    """Columns of one length: texts, numbers and None. Raises ServiceError 422 that lists every violation.

    A file whose header has semicolons is read with them, and its numbers with decimal commas. `places` says where each
    wanted column stands, None where the file lacks it; all others are ignored. Without them, columns are known by
    their usual names, too, in any case. Without `unique_id` the file is one series, called `default` or like the model.
    A file of more than `most` rows is refused.
    """
    semicolons = _semicolons(body)
    wanted = wanted_columns(spec)
    known_as = partial(_known_as, wanted=wanted) if places is None else partial(_placed, wanted=wanted, places=places)
    table = _read(body, spec, most, known_as)
    beside = (*spec.covariates, SCENARIO) if _compares(spec) else spec.covariates
    faults = unknown(table.header, beside) if places is None else []
    if table.rows > most:
        faults.append(f"{table.rows} rows, allowed are {most}")
    if faults:
        raise ServiceError(422, "invalid_request", "the file cannot be forecast", faults)
    if UNIQUE_ID not in table.columns:
        table.columns[UNIQUE_ID] = [spec.job if default is None else default] * min(table.rows, most)
    texts = {UNIQUE_ID, DS, SCENARIO, *spec.labels} if _compares(spec) else {UNIQUE_ID, DS, *spec.labels}
    wrong: list[str] = []
    columns: dict[str, list[Any]] = {}
    for name, values in table.columns.items():
        if name in texts:
            columns[name] = [value or None for value in values]
        else:
            columns[name] = _numbers(name, values, wrong, comma=semicolons)
    if wrong:
        raise ServiceError(422, "invalid_csv", "the file holds texts where numbers are needed", wrong)
    return columns


def _semicolons(body: bytes) -> bool:
    return b";" in body.split(b"\n", 1)[0]


def _read(body: bytes, spec: Spec, most: int, known_as: Callable[[list[str]], list[str]]) -> CsvTable:
    separator = ";" if _semicolons(body) else ","
    try:
        return read_csv(body, frozenset(wanted_columns(spec)), most=most, separator=separator, known_as=known_as)
    except (ValueError, csv.Error) as error:
        text = "the file cannot be read as a table"
        hint = "save it as CSV in UTF-8, with one header row: unique_id, ds, y"
        raise ServiceError(422, "invalid_csv", text, [hint]) from error


def _known_as(header: list[str], *, wanted: Sequence[str]) -> list[str]:
    """The header with each column that goes by another usual name under its own, where just one does."""
    found = list(header)
    for name in wanted:
        if name in header:
            continue
        words = {name.lower(), *_WORDS.get(name, ())}
        places = [place for place, given in enumerate(header) if given.lower() in words and given not in wanted]
        if len(places) == 1:
            found[places[0]] = name
    return found


def _placed(header: list[str], *, wanted: Sequence[str], places: Sequence[int | None]) -> list[str]:
    """The header with each wanted name at its place; every other column gets a name that nobody wants."""
    chosen = [place for place in places if place is not None]
    if len(places) != len(wanted) or len(set(chosen)) < len(chosen) or max(chosen, default=0) >= len(header):
        text = "the columns of the file are not mapped to those of the model"
        raise ServiceError(422, "invalid_request", text, ["choose a different column of the file for each of them"])
    found = [f"\0{place}" for place in range(len(header))]
    for name, place in zip(wanted, places, strict=True):
        if place is not None:
            found[place] = name
    return found


def _numbers(name: str, values: list[str], wrong: list[str], *, comma: bool) -> list[float | None]:
    numbers, bad = numbers_of(values, comma=comma)
    if len(bad):
        rows = ", ".join(str(row + 2) for row in bad[:_SHOWN])  # as a spreadsheet counts: the header is row 1
        shown = name if name == Y else "a column"
        form = " with a decimal comma and nothing between thousands" if comma else ""
        wrong.append(f"{shown} holds {len(bad)} value(s) that are no numbers{form}, e.g. in row {rows}")
    return numbers
