"""Some rows of a table: exactly the rows that are meant, however the files lie, and no file read for nothing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.storage import reading as scanning
from forecasting.storage.reading import RowFilter, names, reach, scan
from forecasting.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Appended out of order, corrected by a merge, with labels, a late covariate and missing values."""
    draw, store = np.random.default_rng(1), Store(tmp_path)
    ds = pd.date_range("2024-01-01", periods=50, freq="h", unit="us")
    labels = ["b", "a", "é", "c", "a/1"]
    whole = pd.DataFrame({"unique_id": np.repeat(labels, 50), "ds": np.tile(ds, 5), "y": draw.normal(size=250)})
    whole["unique_id"] = whole["unique_id"].astype("str")
    for part in np.array_split(draw.permutation(250), 3):
        store.observations.merge("j", whole.iloc[part].reset_index(drop=True))
    store.observations.merge("j", whole.iloc[[3, 70, 200]].assign(y=[1.0, np.nan, 3.0], p=[1.0, 2.0, np.nan]))
    return store


@pytest.mark.parametrize(
    ("wanted", "query"),
    [
        (RowFilter(), "ds == ds"),
        (RowFilter("a", "b"), "'a' <= unique_id <= 'b'"),
        (RowFilter(since=pd.Timestamp("2024-01-02 03:00")), "ds >= '2024-01-02 03:00'"),
        (RowFilter("c", None, until=pd.Timestamp("2024-01-01 05:30")), "unique_id >= 'c' and ds <= '2024-01-01 05:30'"),
        (RowFilter("a", "é", but=("b", "c")), "unique_id not in ['b', 'c']"),
        (RowFilter("x", "y"), "unique_id == 'x'"),
    ],
)
def test_wanted_rows_are_what_a_filter_of_the_whole_table_gives(store: Store, wanted: RowFilter, query: str) -> None:
    """In order of (unique_id, ds); names compare as text, byte by byte."""
    found = scan(store.observations.latest("j"), ["y", "p", "absent"], wanted).to_pandas()
    expected = store.observations.read("j").query(query).reset_index(drop=True)
    found["unique_id"] = found["unique_id"].astype("str")
    assert list(found.columns) == ["unique_id", "ds", "y", "p"]
    pd.testing.assert_frame_equal(found, expected[["unique_id", "ds", "y", "p"]])


def test_names_and_reach_are_those_of_the_table(store: Store) -> None:
    """Names in the order in which text compares; the last stamp at most a millisecond late."""
    assert names(store.observations.latest("j")) == ["a", "a/1", "b", "c", "é"]
    first, last = reach(store.observations.latest("j")) or (None, None)
    assert first == pd.Timestamp("2024-01-01")
    assert pd.Timestamp("2024-01-03 01:00") <= last <= pd.Timestamp("2024-01-03 01:00:00.001")


def test_files_and_row_groups_elsewhere_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten days in ten files, the last day's; of that, the row groups with the series that are asked for."""
    monkeypatch.setattr("forecasting.storage.appending.GROUP", 24)
    store = Store(tmp_path)
    for day in pd.date_range("2024-01-01", periods=10):
        ds = pd.date_range(day, periods=24, freq="h", unit="us")
        labels = pd.array(np.repeat(["a", "b", "c"], 24), dtype="str")
        store.observations.merge("j", pd.DataFrame({"unique_id": labels, "ds": np.tile(ds, 3), "y": 1.0}))
    source, read, groups = store.observations.latest("j"), [], scanning._groups
    scanning.files(source)
    monkeypatch.setattr(scanning, "_groups", lambda *args: read.append(args[1]) or groups(*args))
    assert len(scan(source, ["y"], RowFilter("b", "b", since=pd.Timestamp("2024-01-10")))) == 24
    assert read == [[1]]
