"""Symbols judged: n-grams against a loop, spans against single histories, the gate, and the future kept out."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.artifact import Origin
from forecasting.bundle.engine import Engine
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.generation import Generator
from forecasting.config.job import Job, parse_job
from forecasting.errors import DataError
from forecasting.evaluation.bootstrap import better
from forecasting.evaluation.judging import Candidate, fit_baselines, judge_challenger
from forecasting.evaluation.leakage import audit_symbols, perturb_future
from forecasting.evaluation.metrics import summarise
from forecasting.evaluation.ngrams import NGRAMS, NgramTable, contexts, fit_table, table_to_onnx
from forecasting.evaluation.symbols import SYMBOL_METRICS, ScoredSymbols, backtest, find_origins
from forecasting.series.folds import folds
from forecasting.series.vocabulary import Spans, Vocabulary, learn_vocabulary, prepare_symbols


def job(**sections: Any) -> Job:
    """A job over the series below."""
    content = {"name": "chain", "source": {"kind": "synthetic"}, "series": {"freq": "s"}}
    content |= {"window": {"context": 5, "horizon": 4}, "model": {"name": "in_step"}, "head": {"name": "categorical"}}
    return parse_job({**content, "backtest": {"windows": 12, "step": 4}, "train": {"validation": 60}, **sections})


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two ragged series of a chain in which the last two symbols tell the next."""
    draw, parts = np.random.default_rng(4), []
    for name, length in (("one", 500), ("two", 490)):
        labels = ["a", "b"]
        for _ in range(length - 2):
            sure = "abc"[(ord(labels[-1]) + 2 * ord(labels[-2])) % 3]
            labels.append(sure if draw.random() < 0.8 else "abc"[draw.integers(3)])
        ds = pd.date_range("2000-01-01", periods=length, freq="s", unit="us")
        parts.append(pd.DataFrame({"unique_id": name, "ds": ds, "y": labels}))
    return pd.concat(parts, ignore_index=True).astype({"unique_id": "str", "y": "str"})


def test_smoothed_counts_are_those_of_a_loop() -> None:
    """p(c | a b) as in MacKay and Peto, from dictionaries of counts, for every context and symbol."""
    draw = np.random.default_rng(1)
    train, valid = draw.integers(1, 4, 80).astype(np.int32), draw.integers(1, 4, 30).astype(np.int32)
    data = Spans(Vocabulary(symbols=("a", "b", "c")), (train,), (valid,))
    found = fit_table(3, data)
    padded = [0, 0, *train.tolist()]
    counts = [Counter(tuple(padded[i - n : i + 1]) for i in range(2, len(padded))) for n in range(3)]
    totals = [Counter(tuple(padded[i - n : i]) for i in range(2, len(padded))) for n in range(3)]

    def probability(context: tuple[int, ...], code: int, strength: float) -> float:
        if not context:
            return (counts[0][(code,)] + 1) / (len(train) + 4)
        n = len(context)
        shorter = probability(context[1:], code, strength)
        return (counts[n][(*context, code)] + strength * shorter) / (totals[n][context] + strength)

    errors = []
    for strength in (1.0, 3.0, 10.0, 30.0, 100.0, 300.0):
        expected = [[probability((i // 4, i % 4), c, strength) for c in range(4)] for i in range(16)]
        errors.append(np.abs(np.exp(found.rows[found.row_of]) - expected).max())
    assert min(errors) < 1e-6


def test_the_graph_of_a_table_reads_what_the_table_says() -> None:
    """Logits along a sequence are the rows of its contexts."""
    draw = np.random.default_rng(2)
    rows, codes = draw.normal(size=(16, 4)).astype(np.float32), draw.integers(0, 4, (1, 12)).astype(np.int32)
    table = NgramTable(rows, draw.permutation(16), 2)
    logits, _ = Generator(Vocabulary(symbols=("a", "b", "c")), Engine(table_to_onnx(table))).read(codes)
    after = contexts(np.append(codes[0], 0), 2, 4)[1:]  # of what comes after each code
    np.testing.assert_array_equal(logits[0], rows[table.row_of[after]])


def test_longer_contexts_win_where_they_tell_more(table: pd.DataFrame, tmp_path: Path) -> None:
    """In a chain of order two, the trigram beats the bigram beats chance, and the gate lets it through.

    Rules of intervals and revisions are absent.
    """
    plan = folds(table, job())
    candidates = {
        candidate.name: candidate for candidate in fit_baselines(table, job(), plan, tmp_path, origin=Origin())
    }
    assert list(candidates) == list(NGRAMS)
    gate = {"gate": {"baselines": ["unigram", "bigram"]}}
    challenger = Candidate("network", candidates["trigram"].bundles)
    judgment = judge_challenger(table, job(**gate), plan, challenger, list(candidates.values()), None)
    nats = judgment.leaderboard.set_index("model")["nats"]
    assert nats["trigram"] == nats["network"] < nats["bigram"] - 0.1
    rules = {rule.rule for rule in judgment.verdict.rules}
    assert judgment.verdict.passed
    assert rules == {"finite", "beats_unigram", "beats_bigram", "latency", "size"}
    assert judgment.fallback == "trigram"


def test_a_window_is_scored_as_its_own_history(table: pd.DataFrame, tmp_path: Path) -> None:
    """Each of a window's log-probabilities is what the bundle gives that symbol after the context alone."""
    plan = folds(table, job())
    trigram = fit_baselines(table, job(), plan, tmp_path, origin=Origin())[2]
    spans = find_origins(table, job(), plan)
    scored = backtest(spans, trigram.bundles, "trigram").scored
    assert isinstance(scored, ScoredSymbols)
    generator = open_forecaster(trigram.bundles[0]).generator
    for row in (0, 7, len(spans.position) - 1):
        own = table[table["unique_id"] == spans.unique_id[row]]
        window = own[own["ds"] <= spans.cutoff[row]].tail(5)
        ahead = own[own["ds"] > spans.cutoff[row]].head(4)
        codes = generator.vocabulary.encode(pd.concat([window["y"], ahead["y"]]))[None]
        np.testing.assert_allclose(scored.log_probability[row], generator.score(codes)[0, 4:], rtol=1e-5)
    assert len(np.unique(spans.unique_id)) == 2


def test_metrics_are_means_over_all_symbols() -> None:
    """Nats, bits and accuracy of two windows, by hand."""
    chances = np.array([[0.5, 0.25], [1.0, 0.125]])
    names, stamps = np.array(["a", "a"]), np.array(["2000-01-01", "2000-01-02"], dtype="datetime64[us]")
    scored = ScoredSymbols("m", names, stamps, np.zeros((2, 2)), np.log(chances), chances > 0.3)
    found = summarise(scored)
    assert list(found) == list(SYMBOL_METRICS)
    assert found == pytest.approx({"nats": 1.5 * np.log(2), "bits": 1.5, "accuracy": 0.5})
    assert better(scored, scored, metric="nats", confidence=0.9, step=1).mean == 0


def test_nothing_before_a_cutoff_sees_after_it(table: pd.DataFrame, tmp_path: Path) -> None:
    """Vocabulary, sequences, n-grams and forecasts stay as they are when the future becomes another one."""
    plan = folds(table, job())
    candidates = fit_baselines(table, job(), plan, tmp_path, origin=Origin())
    findings = audit_symbols(table, job(), [candidate.bundles[0] for candidate in candidates])
    assert {finding.what for finding in findings if finding.moved} == set()
    assert len(findings) == 8


def test_the_audit_finds_a_vocabulary_of_the_future(table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preparation that learns its vocabulary on everything is caught."""

    def leaky(whole: pd.DataFrame, some: Job, fold: Any) -> Spans:
        return prepare_symbols(whole, some, fold)._replace(vocabulary=learn_vocabulary(whole["y"].unique()))

    monkeypatch.setattr("forecasting.evaluation.leakage.prepare_symbols", leaky)
    assert "vocabulary" in {finding.what for finding in audit_symbols(table, job(), []) if finding.moved}


def test_the_vocabulary_is_that_of_the_training_span(table: pd.DataFrame) -> None:
    """A symbol that comes only after the training span has code 0 in the validation span."""
    fold = folds(table, job())[0]
    late = perturb_future(table, fold.fit_until, job())
    data = prepare_symbols(late, job(), fold)
    assert data.vocabulary.symbols == ("a", "b", "c")
    assert all((codes == 0).all() for codes in data.valid)


def test_windows_that_no_series_reaches_are_one_clear_error(table: pd.DataFrame) -> None:
    """A horizon that goes beyond every series leaves nothing to judge."""
    plan = folds(table, job())
    with pytest.raises(DataError, match="no series has 4 symbols"):
        find_origins(table[table["ds"] <= plan[0].cutoffs[0]], job(), plan)
