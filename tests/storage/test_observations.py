"""Readings: the same rows twice are one row, corrections replace, every version can be read again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from forecasting.errors import DataError
from forecasting.storage.observations import Merged
from forecasting.storage.store import Store
from tests.storage.rows import table


def test_ingesting_twice_changes_nothing(tmp_path: Path) -> None:
    """No row and no version more; NaN equals NaN; the order of the rows does not matter."""
    store, first = Store(tmp_path), table([1, np.nan, 3])
    assert store.observations.version("j") is None
    assert store.observations.merge("j", first) == Merged(0, 3, 0)
    assert store.observations.merge("j", first[::-1]) == Merged(0, 0, 0)
    assert store.observations.version("j") == 0
    assert_frame_equal(store.observations.read("j"), first)


def test_corrections_replace_new_rows_join_and_absent_rows_stay(tmp_path: Path) -> None:
    """A value that became known, one that changed, one that was taken back, a new series; other rows are kept."""
    store = Store(tmp_path)
    store.observations.merge("j", table([1, np.nan, 3, 4, 5]))
    news = pd.concat([table([1, 2, 30, np.nan]), table([7], "b")], ignore_index=True)
    assert store.observations.merge("j", news) == Merged(1, 1, 3)
    expected = pd.concat([table([1, 2, 30, np.nan, 5]), table([7], "b")], ignore_index=True)
    assert_frame_equal(store.observations.read("j"), expected)


def test_versions_can_be_read_again(tmp_path: Path) -> None:
    """A run is reproduced from the version that it saw."""
    store = Store(tmp_path)
    for value in (1.0, 2.0, 3.0):
        store.observations.merge("j", table([value]))
    assert [store.observations.read("j", version)["y"].tolist() for version in (0, 1, 2)] == [[1.0], [2.0], [3.0]]
    with pytest.raises(DataError, match="no version 3; the latest is 2"):
        store.observations.read("j", 3)


def test_new_covariates_become_columns_and_missing_ones_stay(tmp_path: Path) -> None:
    """Old rows lack the new covariate; a later file without it does not wipe it out."""
    store = Store(tmp_path)
    store.observations.merge("j", table([1, 2]))
    wider = table([2, 3], start="2024-01-01 01:00").assign(temp=[20.0, 30.0], kind=["u", None])
    assert store.observations.merge("j", wider) == Merged(1, 1, 1)
    assert store.observations.merge("j", table([9])) == Merged(2, 0, 1)
    expected = table([9, 2, 3]).assign(temp=[np.nan, 20, 30], kind=pd.Series([None, "u", None], dtype="str"))
    assert_frame_equal(store.observations.read("j"), expected, check_like=True)
    assert store.observations.merge("j", wider) == Merged(2, 0, 0)


def test_rows_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """A covariate that was a number and is a label now; a key that occurs twice."""
    store = Store(tmp_path)
    store.observations.merge("j", table([1]).assign(p=1.0))
    with pytest.raises(
        DataError, match=r"do not fit the stored table[^-]*- column p holds double, the new rows large_string"
    ):
        store.observations.merge("j", table([2]).assign(p="high"))
    with pytest.raises(DataError, match=r"1 row\(s\) repeat a key \(unique_id, ds\)"):
        store.observations.merge("j", pd.concat([table([1]), table([2])]))
    assert store.observations.version("j") == 0
