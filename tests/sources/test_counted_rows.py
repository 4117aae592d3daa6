"""Text files without any column of time."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecasting import sources
from forecasting.config.job import Job
from forecasting.errors import SourceError


@pytest.mark.parametrize("named", [True, False])
def test_rows_are_a_step_apart_from_the_start(named: bool, tmp_path: Path, make_job: Callable[..., Job]) -> None:
    """A wide file of two detectors, an empty cell and an empty row; columns are chosen by name or taken all."""
    (tmp_path / "speeds.csv").write_text("7,3\n60.5,1\n,2\n,\n61,4\n", encoding="utf-8")
    columns = {"layout": "wide", **({"y": ["3", "7"]} if named else {})}
    source = {"kind": "file", "path": str(tmp_path / "speeds.csv"), "start": "2024-03-01 12:00", "columns": columns}
    table = sources.read(make_job({"freq": "5min"}, source=source))
    wide = table.pivot(index="ds", columns="unique_id", values="y")
    assert wide.index.tolist() == pd.date_range("2024-03-01 12:00", periods=4, freq="5min").tolist()
    assert wide["7"].tolist()[::3] == [60.5, 61.0]
    assert wide["7"].isna().tolist() == [False, True, True, False]
    assert wide["3"].tolist()[:2] == [1.0, 2.0]


def test_an_unknown_column_is_named_all_the_same(tmp_path: Path, make_job: Callable[..., Job]) -> None:
    """The made-up column of stamps is no excuse for one that lacks."""
    (tmp_path / "speeds.csv").write_text("a\n1\n", encoding="utf-8")
    source = {"kind": "file", "path": str(tmp_path / "speeds.csv"), "start": "2024-03-01", "columns": {"y": "b"}}
    with pytest.raises(SourceError, match="has no column b"):
        sources.read(make_job(source=source))
