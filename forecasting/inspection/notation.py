"""How numbers are written: decimal sign, sign between thousands, and codes for no value."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.inspection.findings import Found
from forecasting.sources.parsing.numbers import EMPTY, Notation
from forecasting.sources.parsing.stamps import as_text

__all__ = ["TypedColumns", "describe_numbers"]

_NOTATIONS: Final = ((".", None), (",", None), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"))
_MOSTLY: Final = 0.8  # of the cells of a column that are numbers
_CODES: Final = (-200.0, -999.0, -9999.0, -99999.0, 9999.0, 99999.0, 999999.0, 1e20)  # written for no value
_SAMPLE: Final = 1000  # cells of a column that tell the notation
_OFTEN: Final = 3  # times that a code must occur
_FAR: Final = 5.0  # widths of the middle 98 percent of the others, from their ends


class TypedColumns(NamedTuple):
    """The columns of a table by what they hold; `numbers` are read, without the codes for no value."""

    raw: pd.DataFrame
    numbers: pd.DataFrame
    labels: tuple[str, ...]


def describe_numbers(frame: pd.DataFrame, keep: tuple[str, ...], findings: Found) -> TypedColumns:
    """Find `source.decimal`, `source.thousands`, and `source.missing`; columns of `keep` are stamps, left as they are.

    A column is one of numbers if most of its cells are.
    """
    columns = [str(name) for name in frame.columns if name not in keep]
    texts = {name: _texts(frame[name]) for name in columns if not _is_numeric(frame[name])}
    notation = _notation(texts, findings)
    read = {name: _read(column, notation) for name, column in texts.items()}
    numeric = {name for name, column in texts.items() if _share(read[name], column) >= _MOSTLY}
    codes = _tokens({name: (texts[name], read[name]) for name in sorted(numeric)}, findings)
    numbers = pd.DataFrame(
        {
            name: read[name] if name in numeric else frame[name].astype("float64")
            for name in columns
            if name in numeric or name not in texts
        },
        index=frame.index,
    )
    far = _far_codes(numbers)
    if far:
        findings.guess("source.missing", [*codes, *far], _why(codes, far), ([*codes, *far], codes))
    elif codes:
        findings.add("source.missing", codes, _why(codes, far))
    missing = [code for code in findings.value("source.missing", []) if not isinstance(code, str)]
    numbers = numbers.mask(numbers.isin(missing))
    return TypedColumns(frame, numbers, tuple(name for name in columns if name not in numbers))


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _texts(column: pd.Series) -> pd.Series:
    text = as_text(column)
    return text.mask(text.isin(EMPTY))


def _read(texts: pd.Series, notation: Notation) -> pd.Series:
    """Texts as numbers; those of a column without any in its first rows are not looked at."""
    head = notation.values(texts.dropna().head(_SAMPLE))
    return notation.values(texts) if head.notna().any() else pd.Series(np.nan, index=texts.index)


def _share(numbers: pd.Series, texts: pd.Series) -> float:
    filled = int(texts.notna().sum())
    return float(numbers.notna().sum() / filled) if filled else 0.0


def _notation(texts: dict[str, pd.Series], findings: Found) -> Notation:
    """The notation in which most cells are numbers; the simplest of several that read as many."""
    some = {name: column.iloc[:: max(1, len(column) // _SAMPLE)] for name, column in texts.items()}
    counts = {
        signs: sum(int(Notation(*signs).values(column).notna().sum()) for column in some.values())
        for signs in _NOTATIONS
    }
    most = max(counts.values(), default=0)
    decimal, thousands = next((signs for signs, count in counts.items() if count == most), (".", None))
    if thousands is None and (column := _groups_of_three(texts, decimal)) is not None:
        other = "," if decimal == "." else "."
        spreadsheet = decimal == "," and findings.value("source.separator") == ";"  # which leaves commas to fractions
        why = f"{column}: always three digits after {decimal!r}, "
        why += "but semicolons between cells leave it to fractions" if spreadsheet else "so it separates thousands"
        sign = findings.guess("source.thousands", None if spreadsheet else decimal, why, (decimal, None))
        if sign is not None:
            decimal, thousands = other, sign
        elif not findings.found.pop("source.thousands").sure:
            findings.guess("source.decimal", decimal, why)
            return Notation(decimal, None)
    elif thousands is not None:
        findings.add("source.thousands", thousands, "between groups of three digits")
    if decimal != ".":
        why = "before the fraction" if thousands is None else f"since {thousands!r} separates thousands"
        findings.add("source.decimal", decimal, why)
    return Notation(decimal, thousands)


def _groups_of_three(texts: dict[str, pd.Series], sign: str) -> str | None:
    """A column whose every sign stands before just three digits, and whose numbers are a thousand times apart if it is
    the decimal sign; or which is cut like that throughout."""
    grouped = rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(sign)}\d{{3}})"
    for name, column in texts.items():
        cells = column.dropna()
        signed = cells[cells.str.contains(sign, regex=False)]
        if len(signed) < 5 or not signed.str.fullmatch(grouped).all():
            continue
        plain = pd.to_numeric(cells[~cells.index.isin(signed.index)], errors="coerce").dropna()
        if len(plain) == 0 or (plain.abs().median() >= 100):
            return name
    return None


def _tokens(columns: dict[str, tuple[pd.Series, pd.Series]], findings: Found) -> list[str]:
    """Texts that stand where numbers are expected, more than once; a single one is a mistake, which reading names."""
    counts = pd.Series(dtype="int64")
    for texts, read in columns.values():
        counts = counts.add(texts[texts.notna() & read.isna()].value_counts(), fill_value=0)
    single = [str(token) for token, count in counts.items() if count == 1]
    if single:
        findings.notes.append(f"{len(single)} cell(s) are no numbers and no known code: {', '.join(single[:3])}")
    return [str(token) for token, count in counts.items() if count > 1][:10]


def _far_codes(numbers: pd.DataFrame) -> list[float]:
    """Values of the usual codes that occur often and lie far from all other values of their column."""
    found = set()
    for name in numbers:
        values = numbers[name].to_numpy(np.float64)
        for code in _CODES:
            at = values == code
            if at.sum() < _OFTEN:
                continue
            others = values[~at & ~np.isin(values, _CODES) & np.isfinite(values)]
            low, high = np.quantile(others, [0.01, 0.99]) if len(others) else (0.0, 0.0)
            width = max(high - low, 1e-9 * max(abs(high), abs(low), 1.0))
            if not low - width <= code <= high + _FAR * width:
                found.add(code)
    return [int(code) if code.is_integer() and abs(code) < 1e15 else code for code in sorted(found)]


def _why(codes: list[str], far: list[float]) -> str:
    parts = [f"{', '.join(codes)} among numbers"] if codes else []
    parts += [f"{', '.join(map(str, far))}, far from all other values"] if far else []
    return "; ".join(parts)
