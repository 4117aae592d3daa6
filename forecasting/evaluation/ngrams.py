"""The models of symbols that every network must beat: frequencies after the last few symbols, each a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from onnx import TensorProto

from forecasting.bundle.artifact import Origin
from forecasting.bundle.engine import Graphs
from forecasting.bundle.symbol_forecaster import assemble_symbols, symbol_spec
from forecasting.config.job import Job
from forecasting.nn.exporters.graph import Graph
from forecasting.series.folds import Fold
from forecasting.series.vocabulary import Spans, prepare_symbols

__all__ = ["NGRAMS", "NgramTable", "contexts", "fit_all", "fit_ngram", "fit_table", "table_to_onnx"]

NGRAMS: Final[dict[str, int]] = {"unigram": 1, "bigram": 2, "trigram": 3}  # symbols that are counted together

STRENGTHS: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)  # of the shorter context, chosen on the validation span
MOST_VALUES = 20_000_000  # in a table: 80 MB
_END: Final = 2**62  # of a slice that goes to the end

Array = np.ndarray


class NgramTable(NamedTuple):
    """Log-probabilities (contexts, V), and the row (V ** length,) of every context of `length` codes, oldest first."""

    rows: Array
    row_of: Array
    length: int


def fit_ngram(name: str, data: Spans, job: Job, directory: Path, *, origin: Origin) -> Path:
    """Fit the n-gram `name` on one fold and write its bundle."""
    table = fit_table(NGRAMS[name], data)
    spec = symbol_spec(job, name, data.vocabulary, baseline=True)
    return assemble_symbols(directory, spec, Graphs(table_to_onnx(table)), data.valid, origin=origin)


def fit_all(
    names: Sequence[str], table: pd.DataFrame, job: Job, fold: Fold, paths: Mapping[str, Path], origin: Origin
) -> None:
    """Fit some n-grams on one fold of a clean table; their data is prepared once."""
    spans = prepare_symbols(table, job, fold)
    for name in names:
        fit_ngram(name, spans, job, paths[name], origin=origin)


def fit_table(order: int, data: Spans) -> NgramTable:
    """Counts of the training span, smoothed with the strength that the validation span prefers."""
    tables = [_smoothed(order, data.train, data.vocabulary.size, strength) for strength in STRENGTHS]
    return min(tables, key=lambda table: _nats(table, data.valid))


def _smoothed(order: int, sequences: Sequence[Array], classes: int, strength: float) -> NgramTable:
    """p(c | context) = (n(context, c) + s p(c | shorter context)) / (n(context) + s), MacKay and Peto (1995), eq. 6.

    The shortest, p(c), counts every code once more, the unknown too. The table size limits the length of contexts; the
    most frequent ones that fit have a row, others use that of the shorter context.
    """
    wanted = np.concatenate(sequences).astype(np.int64)
    counts = np.bincount(wanted, minlength=classes) + 1.0
    rows, index, length = (counts / counts.sum())[None], np.zeros(1, np.int64), 0
    while length + 1 < order and classes ** (length + 1) <= MOST_VALUES:
        length += 1
        context = np.concatenate([contexts(sequence, length, classes) for sequence in sequences])
        seen, row, often = np.unique(context, return_inverse=True, return_counts=True)
        kept = np.argsort(-often, kind="stable")[: MOST_VALUES // (classes * order)]
        place = np.full(len(seen), -1)
        place[kept] = np.arange(len(kept))
        row = place[row]
        pairs = (row * classes + wanted)[row >= 0]
        often_next = np.bincount(pairs, minlength=len(kept) * classes).reshape(len(kept), classes)
        shorter = rows[index[seen[kept] % len(index)]]
        index = np.tile(index, classes)
        index[seen[kept]] = len(rows) + np.arange(len(kept))
        total = often_next.sum(axis=1, keepdims=True)
        rows = np.concatenate([rows, (often_next + strength * shorter) / (total + strength)])
    return NgramTable(np.log(rows).astype(np.float32), index, length)


def contexts(sequence: Array, length: int, classes: int) -> Array:
    """The `length` codes before each symbol of a sequence (T,) as one number, 0 before its beginning."""
    padded = np.concatenate([np.zeros(length, np.int64), sequence.astype(np.int64)])
    found = np.zeros(len(sequence), np.int64)
    for back in range(length):
        found = found * classes + padded[back : back + len(sequence)]
    return found


def _nats(table: NgramTable, sequences: Sequence[Array]) -> float:
    classes = table.rows.shape[1]
    rows = [table.row_of[contexts(sequence, table.length, classes)] for sequence in sequences]
    return -float(table.rows[np.concatenate(rows), np.concatenate(sequences)].mean())


def table_to_onnx(table: NgramTable) -> bytes:
    """The table as a model of symbols: `symbols` (B, T) and `state_0` (B, length) to `parameters` (B, T, V)."""
    graph = Graph()
    codes = graph.add("Cast", graph.input("symbols", (None, None), "int32"), to=TensorProto.INT64)
    parameters = graph.add("Gather", graph.constant(table.rows), _row(graph, codes, table), axis=0)
    graph.output("parameters", parameters, (None, None, table.rows.shape[1]))
    return bytes(graph.model().SerializeToString())


def _row(graph: Graph, codes: str, table: NgramTable) -> str:
    """The row (B, T) of the context up to each of the codes (B, T); earlier codes come and go as a state."""
    length, classes = table.length, graph.constant(table.rows.shape[1])
    context = graph.add("Mul", codes, graph.constant(0))
    if length:
        before = graph.add("Cast", graph.input("state_0", (None, length), "float32"), to=TensorProto.INT64)
        read = graph.add("Concat", before, codes, axis=1)
        last = graph.add("Cast", graph.slice(read, 1, -length, _END), to=TensorProto.FLOAT)
        graph.output("next_state_0", last, (None, length))
        for step in range(1, length + 1):
            code = graph.slice(read, 1, step, step - length or _END)
            context = graph.add("Add", graph.add("Mul", context, classes), code)
    return graph.add("Gather", graph.constant(table.row_of), context, axis=0)
