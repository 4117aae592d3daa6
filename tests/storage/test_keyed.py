"""What the monitor keeps: rows are replaced by key, in tables of their own."""

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from forecasting.errors import DataError
from forecasting.storage.store import Store


def verdicts(**columns: object) -> pd.DataFrame:
    """Two verdicts on version 1."""
    until = pd.to_datetime(["2024-01-02", "2024-01-01"]).as_unit("us")
    return pd.DataFrame({"version": 1, "until": until, "verdict": "fine", "acted": ["", ""], **columns}).astype(
        {"verdict": "str", "acted": "str"}
    )


def test_rows_of_the_same_key_are_replaced_and_others_stay(tmp_path: Path) -> None:
    """In order of the keys; a new column is missing in older rows; the same rows twice change nothing."""
    store = Store(tmp_path)
    assert store.verdicts.read("j").empty
    store.verdicts.keep("j", verdicts())
    store.verdicts.keep("j", verdicts(acted=["then", ""], note="n").head(1))
    store.verdicts.keep("j", verdicts(acted=["then", ""], note="n").head(1))
    kept = store.verdicts.read("j")
    assert kept["until"].tolist() == sorted(verdicts()["until"])
    assert kept["acted"].tolist() == ["", "then"]
    assert kept["note"].isna().tolist() == [True, False]


def test_keys_are_those_of_the_subject_and_unique(tmp_path: Path) -> None:
    """Scores and verdicts are two tables; a key that repeats is refused, and nothing is written."""
    store = Store(tmp_path)
    store.verdicts.keep("j", verdicts())
    assert store.scores.read("j").empty
    with pytest.raises(DataError, match=r"1 row\(s\) repeat a key \(version, until, verdict\)"):
        store.verdicts.keep("j", pd.concat([verdicts().head(1), verdicts().head(1)]))
    with pytest.raises(DataError, match="column version holds int64, the new rows large_string"):
        store.verdicts.keep("j", verdicts().astype({"version": "str"}))
    assert_frame_equal(store.verdicts.read("j"), verdicts().sort_values("until", ignore_index=True))
