"""What a run would pass over in silence is said in sentences."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from forecasting.batch.part_files import Failure, Part
from forecasting.batch.vintages import Absent, Vintage
from forecasting.bundle.artifact import Origin
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.evaluation.judging import Judgment
from forecasting.lifecycle.promotion import Decision
from forecasting.report.notes import notes, of_live
from forecasting.runtime.workspace import Workspace
from forecasting.series.clean import clean
from forecasting.series.folds import folds
from forecasting.series.prepare import prepare
from forecasting.series.validate import validate
from forecasting.storage import ingestion
from forecasting.storage.snapshot import Snapshot
from forecasting.training.records import Fitted


def test_every_silence_is_a_sentence(
    tmp_path: Path, make_job: Callable[..., Job], make_table: Callable[..., pd.DataFrame]
) -> None:
    """Series without a forecast, a stray reading, a short series, a borrowed scale; none of them twice."""
    job, workspace = make_job({"min_length": 3}, backtest={"windows": 4}, train={"validation": 10}), Workspace(tmp_path)
    raw = make_table({"a": range(60), "flat": [5.0] * 60, "short": [1.0, 2.0]})
    stray = pd.concat([raw, make_table({"a": [1.0]}, start="2034-05-30")], ignore_index=True)
    ingestion.record(workspace, job.name, validate(stray, job.series), clean(raw, job.series))
    cleaned = clean(raw, job.series)
    cut = folds(cleaned.table, job)
    data = Snapshot(0, "", cleaned.table, cleaned.decisions, cut, job)
    path = baselines.fit("naive", prepare(cleaned.table, job, cut[0]), job, tmp_path / "naive", origin=Origin())
    failures = tuple(Failure(unique_id=name, reason="no reading") for name in ("b", "c", "d", "e"))
    part = Part(path=tmp_path / "part", rows=3, series=1, sha256="", failures=failures, seconds={})
    vintage, fitted = Vintage((part,), 0, "naive", 1), Fitted(path, pd.DataFrame(), ())
    found = notes(workspace, job, data, fitted, vintage)
    assert found[0] == "4 of 2 series have no forecast: b (no reading), c (no reading), d (no reading), …"
    assert "a has a reading at 2034-05-30 00:00:00" in found[1]
    assert found[2] == "1 series left out: fewer than 3 readings"
    assert found[3] == f"1 series never changed up to {cut[-1].fit_until}, so their scale is the panel's: flat"
    assert len(found) == 4
    curves = pd.DataFrame({"gradient_norm": [0.1, 1e-8, 3e-9], "clipped": [1.0, 0.8, 0.6]})
    vanished, clipped = notes(workspace, job, data, Fitted(path, curves, ()), vintage)[4:]
    assert vanished.startswith("gradients vanished: their norm was below 1e-07 in 2 of 3 checks")
    assert clipped.startswith("70% of the gradients were longer than train.clip_norm (1) and were clipped")
    tried = pd.DataFrame({"settings": ["deep", "wide", "ridge"], "gradient_norm": [1e-9, 0.1, np.nan]})
    of_search = notes(workspace, job, data, Fitted(path, pd.DataFrame(), (), tried), vintage)
    assert of_search[4:] == ["gradients vanished in 1 of 2 networks of the search, below 1e-07 at the end: deep"]
    calm = pd.DataFrame({"gradient_norm": [np.nan, 0.1, 0.2], "clipped": [np.nan, 1.0, 0.1]})
    assert notes(workspace, job, data, Fitted(path, calm, ()), vintage) == found
    assert notes(workspace, job, data, fitted, Absent("nothing is live")) == found[1:]


def test_a_last_fit_is_suggested_where_the_job_can_have_one(make_job: Callable[..., Job]) -> None:
    """A job that asks for a last fit already needs no advice."""
    passed = Decision(cast(Judgment, None), 1, "net", fallback=False)
    until = pd.Timestamp("2026-03-01")
    fitted = "the live network was fitted on readings up to 2026-03-01 00:00:00"

    def said(**sections: Any) -> list[str]:
        return of_live(make_job(**sections), passed, until, None)

    assert said() == said(model="auto") == [f"{fitted}; train.final_fit: true adds a fit on all of them"]
    assert said(train={"final_fit": True}) == [fitted]
