"""Texts into numbers by a convention that the configuration states: nothing is guessed, every culprit is named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import pandas as pd

from forecasting.sources.parsing.stamps import as_text, examples

__all__ = ["EMPTY", "Notation", "read_numbers"]

EMPTY: Final = ("", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "#N/A", "null", "NULL", "None", "<NA>")

_SIGNS: Final = (".", ",", "'", "’", " ", "\u00a0", "\u202f", "_")  # that separate digits somewhere in the world
_ALIKE: Final = {" ": " \u00a0\u202f", "'": "'’"}  # signs that look the same mean the same


@dataclass(frozen=True)
class Notation:
    """How a source writes numbers: the decimal sign, the sign between thousands (none: there is none), no value."""

    decimal: str = "."
    thousands: str | None = None
    missing: Sequence[str | float] = ()

    @cached_property
    def pattern(self) -> str:
        """The regular expression of a whole number in this notation; a group between thousands has three digits."""
        point = re.escape(self.decimal)
        grouped = rf"[0-9]{{1,3}}(?:{self.separator}[0-9]{{3}})+|" if self.thousands else ""
        return (
            rf"[+-]?(?:(?:(?:{grouped}[0-9]+)(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?|(?i:inf|infinity))"
        )

    @property
    def separator(self) -> str:
        """The regular expression of the sign between thousands."""
        sign = self.thousands or ""
        return f"[{re.escape(_ALIKE.get(sign, sign))}]"

    @cached_property
    def codes(self) -> list[str]:
        """Texts that stand for no value."""
        return [*EMPTY, *(str(code) for code in self.missing)]

    def values(self, texts: pd.Series) -> pd.Series:
        """Texts as float64, NaN where one is no number in this notation."""
        proper = texts.where(texts.str.fullmatch(self.pattern).fillna(False).astype(bool))
        if self.thousands:
            proper = proper.str.replace(self.separator, "", regex=True)
        if self.decimal != ".":
            proper = proper.str.replace(self.decimal, ".", regex=False)
        return pd.to_numeric(proper, errors="coerce").astype("float64")


def read_numbers(column: pd.Series, notation: Notation) -> tuple[pd.Series, list[str]]:
    """A column as float64, NaN where it holds no value, and one sentence a kind of unreadable cell.

    Cells that are numbers already stay as they are, whatever the notation; only texts are read by it.
    """
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return _without_codes(column.astype("float64"), notation), []
    written = (
        np.array([isinstance(cell, str) for cell in column]) if column.dtype == object else np.full(len(column), 1)
    )
    is_text = pd.Series(written.astype(bool), index=column.index)
    texts = as_text(column.where(is_text))
    texts = texts.mask(texts.isin(notation.codes))
    numbers = pd.to_numeric(column.mask(is_text), errors="coerce").astype("float64")
    numbers = numbers.where(~is_text, notation.values(texts))
    unreadable = column[numbers.isna() & column.notna() & (texts.notna() | ~is_text)]
    return _without_codes(numbers, notation), [
        f"column {column.name}: {fault}" for fault in _faults(unreadable, notation)
    ]


def _without_codes(numbers: pd.Series, notation: Notation) -> pd.Series:
    written = notation.values(pd.Series([code for code in notation.missing if isinstance(code, str)], dtype="str"))
    codes = [float(code) for code in notation.missing if not isinstance(code, str)] + written.dropna().tolist()
    return numbers.mask(numbers.isin(codes))


def _faults(unreadable: pd.Series, notation: Notation) -> Iterator[str]:
    """Cells that hold another sign between digits, a sentence a sign; then those that are no numbers at all."""
    texts, left = as_text(unreadable), np.ones(len(unreadable), dtype=bool)
    for sign in _SIGNS:
        if sign in (notation.decimal, notation.thousands):
            continue
        remedies = _remedies(texts, sign, notation)
        mine = left & np.logical_or.reduce([fits for fits, _ in remedies])
        if mine.any():
            left &= ~mine
            ways = [way for fits, way in remedies if fits[mine].all()] or [way for _, way in remedies]
            yield (
                f"{mine.sum()} unreadable number(s): {examples(unreadable[mine])}; a {sign!r} stands beside the decimal"
                f" sign {notation.decimal!r}: {', or '.join(ways)}"
            )
    if left.any():
        yield (
            f"{left.sum()} unreadable number(s): {examples(unreadable[left])};"
            " correct the rows, set source.decimal, or list the codes for no value in source.missing"
        )


def _remedies(texts: pd.Series, sign: str, notation: Notation) -> list[tuple[np.ndarray, str]]:
    """Which cells a sign makes numbers of, as that between thousands and as the decimal sign, and how to say so."""
    grouped = Notation(notation.decimal, sign).values(texts).notna().to_numpy()
    pointed = Notation(sign, notation.thousands).values(texts).notna().to_numpy()
    return [
        (grouped, f'where it separates thousands, set source.thousands: "{sign}"'),
        (pointed & (sign in ".,"), f'where it is the decimal sign, set source.decimal: "{sign}"'),
    ]
