"""The Python on the pages of the documentation runs, from its first block to its last."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.snippets import ROOT, named, snippets

PAGES = [ROOT / "docs" / "python.md", ROOT / "docs" / "index.md"]
FIVE_LINES, *BLOCKS = [one for one in snippets(*PAGES) if one.language == "python"]


@pytest.fixture
def given(examples: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a reader has at hand: a folder with a table and a job, a fitted model, newer readings, prices to come."""
    monkeypatch.chdir(tmp_path)
    df = examples["df"]
    df.to_csv("readings.csv", index=False)
    Path("configs").mkdir()
    boiler = {
        "name": "boiler",
        "source": {"kind": "file", "path": "readings.csv", "columns": {"unique_id": "unique_id"}},
        "series": {"freq": "h"},
        **{key: examples["job"].model_dump(mode="json")[key] for key in ("model", "train", "backtest")},
        "window": {"context": 12, "horizon": 4},
    }
    Path("configs/boiler.yaml").write_text(yaml.safe_dump(boiler), encoding="utf-8")
    ahead = pd.date_range(df["ds"].iloc[-20], periods=80, freq="h")
    prices = pd.DataFrame({"unique_id": "a", "ds": ahead, "price": 10.0})
    return {**examples, "newer": df.iloc[:-20], "prices": prices}


def test_both_pages_begin_with_the_same_five_lines() -> None:
    """The first page shows what the guide explains."""
    assert FIVE_LINES.text in [one.text for one in BLOCKS]


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.text != FIVE_LINES.text], ids=named)
def test_a_block_runs_as_it_is_printed(block: Any, given: dict[str, Any]) -> None:
    """With the names that the blocks before it have made."""
    if "id_col" in block.text:
        given["df"] = given["df"].rename(columns={"unique_id": "sensor", "ds": "time", "y": "value"})
    exec(block.text, given)


def test_five_lines_draw_a_forecast(given: dict[str, Any]) -> None:
    """From the file to a figure with the forecast and both of its intervals, a day ahead."""
    exec(FIVE_LINES.text.replace("\nmodel.plot", "\nfigure = model.plot"), given)
    traces = {trace.name: trace for trace in given["figure"].data}
    assert set(traces) == {"readings", "forecast", "q0.025", "q0.1", "q0.9", "q0.975"}
    assert len(traces["forecast"].x) == 24
