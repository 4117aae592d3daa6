"""Texts and labels as tables of symbols: reading, violations, cleaning."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting import sources
from forecasting.config.job import Job, parse_job
from forecasting.errors import DataError, SourceError
from forecasting.series.clean import clean
from forecasting.series.validate import validate


def symbol_job(source: dict[str, Any], **sections: Any) -> Job:
    """A job of symbols over a source."""
    content = {"name": "words", "source": source, "series": {"freq": "s"}, "window": {"context": 4, "horizon": 2}}
    return parse_job({**content, "head": {"name": "categorical"}, "model": {"name": "in_step"}, **sections})


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("character", ["A", " ", "d", "a", "y", "\n", "\n", "b", "y"]),
        ("word", ["A", "day", "by"]),
        ("line", ["A day", "by"]),
    ],
)
def test_text_becomes_one_symbol_a_step(tmp_path: Path, unit: str, expected: list[str]) -> None:
    """Characters, words or lines of a file follow each other from the origin on, one step each."""
    (tmp_path / "novel.txt.gz").write_bytes(gzip.compress(b"A day\r\n\r\nby"))
    table = sources.read(symbol_job({"kind": "text", "path": f"{tmp_path}/*.gz", "unit": unit}))
    assert table["y"].tolist() == expected
    assert table["unique_id"].unique().tolist() == ["novel"]
    assert table["ds"].tolist() == pd.date_range("2000-01-01", periods=len(expected), freq="s").tolist()


def test_files_of_unequal_length_are_ragged_series(tmp_path: Path) -> None:
    """Every file is a series of its own length, and all begin at the same step."""
    (tmp_path / "a.txt").write_text("to be or", encoding="utf-8")
    (tmp_path / "b.txt").write_text("not to", encoding="utf-8")
    job = symbol_job({"kind": "text", "path": f"{tmp_path}/*.txt", "unit": "word"})
    table = clean(sources.read(job), job.series).table
    assert table.groupby("unique_id")["y"].agg(list).to_dict() == {"a": ["to", "be", "or"], "b": ["not", "to"]}
    assert table.groupby("unique_id")["ds"].min().nunique() == 1


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"a.txt": b""}, "no character stands in a"),
        ({"a.txt": b"\xff\xfe\x00"}, "cannot read"),
        ({"a.txt": b"x", "a.text": b"y"}, "several files of source.path would be the series a"),
        ({}, "no file matches"),
    ],
)
def test_unusable_text_files_are_refused(tmp_path: Path, files: dict[str, bytes], sentence: str) -> None:
    """An empty file, one that is no text, two of one name, and none at all: one sentence each."""
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=sentence):
        sources.read(symbol_job({"kind": "text", "path": f"{tmp_path}/*.t*"}))


def test_labels_of_a_column_are_read_as_they_are(tmp_path: Path) -> None:
    """Numbers, NA and None are labels like any other where the readings are labels."""
    (tmp_path / "labels.csv").write_text("ds,note\n0,1\n1,NA\n2,None\n3,01\n", encoding="utf-8")
    columns = {"y": "note"}
    table = sources.read(
        symbol_job({"kind": "file", "path": f"{tmp_path}/labels.csv", "columns": columns, "date_format": "step"})
    )
    assert table["y"].tolist() == ["1", "NA", "None", "01"]


def _table(labels: list[str | None]) -> pd.DataFrame:
    stamps = pd.date_range("2000-01-01", periods=len(labels), freq="s", unit="us")
    return pd.DataFrame({"unique_id": "a", "ds": stamps, "y": labels}).astype({"unique_id": "str", "y": "str"})


def _gap(table: pd.DataFrame) -> pd.DataFrame:
    return table.drop(index=2)


def _repeat(table: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table, table.iloc[[1]].assign(y="other")], ignore_index=True)


@pytest.mark.parametrize(
    ("labels", "change", "rules"),
    [
        (["x", None, "y", "z"], lambda table: table, ["missing_labels"]),
        (["x", "", "y", "z"], lambda table: table, ["empty_labels"]),
        (["x", "y", "z", "x"], _gap, ["gaps"]),
        (["x", "y", "z", "x"], _repeat, ["duplicates"]),
        (["x"], lambda table: table, ["nothing_left"]),
        (["x", "y", "x", "y"], lambda table: table, []),
    ],
)
def test_each_fault_of_a_sequence_is_one_error(
    labels: list[str | None], change: Callable[[pd.DataFrame], pd.DataFrame], rules: list[str]
) -> None:
    """A missing label, an empty one, a missing step, two labels of one step, and too few: one error each."""
    report = validate(change(_table(labels)), symbol_job({"kind": "synthetic"}).series)
    assert [violation.rule for violation in report.errors] == rules


def test_cleaning_refuses_rows_without_a_label() -> None:
    """What validation calls unusable is not cleaned away: the sequence would be another one."""
    with pytest.raises(DataError, match=r"1 row\(s\) have no unique_id, no ds or no label"):
        clean(_table(["x", None, "y"]), symbol_job({"kind": "synthetic"}).series)


def test_numbers_are_no_symbols() -> None:
    """A table of numbers in a job of symbols is named as such."""
    report = validate(_table(["1", "2"]).astype({"y": "float64"}), symbol_job({"kind": "synthetic"}).series)
    assert [violation.rule for violation in report.errors] == ["wrong_type"]


def test_what_a_job_of_symbols_leaves_out_fits_symbols() -> None:
    """The primary metric, the baselines and the policy of gaps are those of symbols; what is given stays."""
    job = symbol_job({"kind": "synthetic"}, gate={"primary": "bits"})
    assert (job.gate.primary, job.gate.baselines) == ("bits", ("unigram", "bigram", "trigram"))
    assert (job.series.gaps, job.series.categorical) == ("refuse", ("y",))
    assert parse_job(job.model_dump(mode="json", exclude_unset=True)) == job
