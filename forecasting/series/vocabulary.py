"""Symbols: the vocabulary of a sequence of labels, and what one fit may see of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from forecasting.columns import UNIQUE_ID, Y
from forecasting.config.job import Job
from forecasting.config.source import TextSource
from forecasting.errors import DataError
from forecasting.series.clean import regular_grid
from forecasting.series.folds import Fold, past

__all__ = [
    "UNKNOWN",
    "Spans",
    "Vocabulary",
    "join_symbols",
    "learn_vocabulary",
    "prepare_symbols",
    "sequences",
    "split_text",
    "unit_of",
]

UNKNOWN = "\ufffd"  # how code 0 is written

Array = np.ndarray
Unit = Literal["character", "word", "line"]


class Vocabulary(BaseModel):
    """The symbols that a fit has seen, sorted; symbol i has code i + 1, and code 0 is any other one, or none before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbols: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many codes there are, the unknown included."""
        return len(self.symbols) + 1

    def encode(self, labels: Sequence[str] | pd.Series) -> Array:
        """The codes (T,) int32 of labels; 0 for what is not known."""
        found = pd.Index(list(self.symbols), dtype="str").get_indexer(
            pd.Index(np.asarray(labels, dtype=object), dtype="str")
        )
        return (found + 1).astype(np.int32)

    def decode(self, codes: Array) -> Array:
        """The labels (...) of codes (...)."""
        return np.asarray(np.array([UNKNOWN, *self.symbols], dtype=object)[codes])


class Spans(NamedTuple):
    """The past of one fold as codes, one array (T,) per series; of both spans, none is empty."""

    vocabulary: Vocabulary
    train: tuple[Array, ...]
    valid: tuple[Array, ...]


def learn_vocabulary(labels: Iterable[str]) -> Vocabulary:
    """The vocabulary of everything in `labels`; raises DataError for less than two symbols."""
    symbols = tuple(sorted(set(labels)))
    if len(symbols) < 2:
        raise DataError(f"a sequence of symbols needs at least two different ones, got {', '.join(symbols) or 'none'}")
    return Vocabulary(symbols=symbols)


def unit_of(job: Job) -> Unit:
    """What a symbol of a job is: character, word or line; labels of a column are words."""
    return job.source.unit if isinstance(job.source, TextSource) else "word"


def split_text(text: str, unit: str) -> list[str]:
    """The symbols of a text: its characters, its words, or its lines, where empty ones are left out."""
    return list(text) if unit == "character" else text.split() if unit == "word" else list(filter(None, _lines(text)))


def join_symbols(symbols: Iterable[str], unit: str) -> str:
    """Symbols as a text again."""
    return {"character": "", "word": " ", "line": "\n"}[unit].join(symbols)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def sequences(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The labels of each series of a clean table, in their order."""
    return {str(name): labels for name, labels in table.groupby(UNIQUE_ID, sort=True)[Y]}


def prepare_symbols(table: pd.DataFrame, job: Job, fold: Fold, *, vocabulary: Vocabulary | None = None) -> Spans:
    """Learn the vocabulary on the training span and write both spans in its codes.

    `table` must be clean; rows after `fold.seen_until` are never looked at, and nothing is learned from rows after
    `fold.fit_until`. A `vocabulary` that is given is kept. Raises DataError when either span holds nothing, or a step
    is missing.
    """
    seen = regular_grid(past(table, fold.seen_until), job.series)
    known = past(seen, fold.fit_until)
    held_out = seen.loc[seen.index.difference(known.index)]
    if known.empty or held_out.empty:
        empty = "training" if known.empty else "validation"
        raise DataError(f"the {empty} span holds no symbol; bring more data, or change train.validation")
    vocabulary = vocabulary or learn_vocabulary(known[Y].unique())
    train, valid = (
        tuple(vocabulary.encode(labels) for labels in sequences(part).values()) for part in (known, held_out)
    )
    return Spans(vocabulary, train, valid)
