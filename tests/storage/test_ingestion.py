"""What waits in a spool joins the readings, and the report of the last ingestion comes back as it was kept."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.runtime.workspace import Workspace
from forecasting.series.clean import clean
from forecasting.series.validate import validate
from forecasting.storage.ingestion import merge_left, merge_spool, recall, record, static_changes
from forecasting.storage.observations import ObservationTables
from forecasting.storage.spool import Spool
from tests.storage.rows import table as rows

SERIES = Series(freq="h", upper=100)


def keep(home: Path, table: pd.DataFrame) -> None:
    """Validate, clean and record `table` for the job `sales`."""
    record(Workspace(home), "sales", validate(table, SERIES), clean(table, SERIES))


def test_violations_and_decisions_come_back(home: Path, make_table: Callable[..., pd.DataFrame]) -> None:
    """The same rows, with the same columns, also for another job's absence."""
    table = make_table({"a": [1, 2, 999, np.nan, 5], "ü": [1, 2, 3]})
    keep(home, table)
    kept, decisions = recall(Workspace(home), "sales"), clean(table, SERIES).decisions
    pd.testing.assert_frame_equal(kept.decisions, decisions, check_dtype=False)
    assert kept.violations["message"].tolist() == [v.message for v in validate(table, SERIES).violations]
    assert kept.violations["ids"].tolist() == [list(v.ids) for v in validate(table, SERIES).violations]
    assert recall(Workspace(home), "other").decisions.empty


def test_a_job_never_ingested_has_empty_tables(home: Path) -> None:
    """With their columns, so that a report can show them."""
    nothing = recall(Workspace(home), "sales")
    assert nothing.violations.columns.tolist() == ["rule", "severity", "count", "message", "ids", "rows"]
    assert nothing.decisions.columns.tolist() == ["decision", "count", "series", "note"]
    assert len(nothing.violations) == len(nothing.decisions) == 0


def test_the_last_ingestion_replaces_the_one_before(home: Path, make_table: Callable[..., pd.DataFrame]) -> None:
    """A table without fault leaves an empty report, and no draft beside it."""
    keep(home, make_table({"a": [1, 999, 3]}))
    keep(home, make_table({"a": [1, 2, 3]}))
    assert recall(Workspace(home), "sales").decisions.empty
    assert recall(Workspace(home), "sales").violations.empty
    assert [path.name for path in (home / "tables" / "sales").iterdir()] == ["ingestion.json"]


def test_a_writer_that_dies_leaves_the_report_before(
    home: Path, make_table: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new report takes the old one's place whole, or not at all."""
    keep(home, make_table({"a": [1, 999, 3]}))
    before = recall(Workspace(home), "sales")
    monkeypatch.setattr(os, "replace", _die)
    with pytest.raises(KeyboardInterrupt):
        keep(home, make_table({"a": [1, 2, 3]}))
    monkeypatch.undo()
    pd.testing.assert_frame_equal(recall(Workspace(home), "sales").decisions, before.decisions)


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_static_covariates_that_change_are_noted(
    home: Path, make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]
) -> None:
    """Of the series whose stored value is another one; new series and missing values change nothing."""
    stored = ObservationTables(Workspace(home))
    job = make_job({"static": ["kind"], "categorical": ["kind"]})
    table = make_table({"a": [1, 2], "b": [3, 4]})
    table["kind"] = pd.array(["small", "small", "big", "big"], dtype="str")
    assert static_changes(stored, job, table) == []
    stored.merge(job.name, table)
    later = make_table({"a": [1], "b": [2], "c": [3]}, start="2024-01-02")
    later["kind"] = pd.array(["big", None, "big"], dtype="str")
    (note,) = static_changes(stored, job, later)
    assert (note.rule, note.severity, note.count, note.ids) == ("static_changed", "note", 1, ("a",))
    assert "kind changes for 1 stored series (a); the latest value counts" in note.message
    stored.merge(job.name, later)
    assert static_changes(stored, job, later) == []


@pytest.fixture
def spool(home: Path) -> Spool:
    """The spool of the job."""
    return Spool(Workspace(home).spool("job"), 10**6)


def test_what_waits_is_merged_once_and_the_latest_row_counts(
    home: Path, make_job: Callable[..., Job], spool: Spool
) -> None:
    """Of two rows of one key the later one; a merge that was killed before it deleted its file changes nothing more."""
    stored, job = ObservationTables(Workspace(home)), make_job()
    spool.append(rows([1.0, 2.0]))
    spool.append(rows([3.0], "b"))
    spool.append(rows([7.0]))
    (path,) = spool.take()
    content = path.read_bytes()
    assert merge_spool(stored, job, spool) == 3
    version = stored.version("job")
    path.write_bytes(content)
    assert merge_spool(stored, job, spool) == 0
    assert (spool.take(), stored.version("job")) == ([], version)
    assert stored.read("job")["y"].tolist() == [7.0, 2.0, 3.0]


def test_values_known_ahead_take_no_reading_away(home: Path, make_job: Callable[..., Job], spool: Spool) -> None:
    """They come without readings of their series, between others, in the order of their coming."""
    stored, job = ObservationTables(Workspace(home)), make_job({"future": ["f"]})
    spool.append(rows([1.0, 2.0]).assign(f=[10.0, 20.0]))
    spool.append(rows([np.nan, np.nan, np.nan]).assign(f=[11.0, 21.0, 31.0]))
    spool.append(rows([5.0], "b").assign(f=[50.0]))
    spool.append(rows([9.0]).assign(f=[12.0]))
    merge_spool(stored, job, spool)
    table = stored.read("job")
    assert table["f"].tolist() == [12.0, 21.0, 31.0, 50.0]
    assert table["y"].fillna(-1).tolist() == [9.0, 2.0, -1.0, 5.0]


def test_a_spool_is_left_to_the_process_that_holds_it(home: Path, make_job: Callable[..., Job], spool: Spool) -> None:
    """One that nobody holds is merged; without a spool nothing happens."""
    workspace, job = Workspace(home), make_job()
    stored = ObservationTables(workspace)
    assert merge_left(Workspace(home / "other"), stored, job) == 0
    spool.append(rows([1.0]))
    hold = "\n".join(
        [
            "import sys",
            "from pathlib import Path",
            "from forecasting.runtime.locks import spool_lock",
            "with spool_lock(Path(sys.argv[1]), 'job', 0): print('held', flush=True); sys.stdin.read()",
        ]
    )
    command = [sys.executable, "-c", hold, str(workspace.locks)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert merge_left(workspace, stored, job) == 0
        holder.communicate()
    assert merge_left(workspace, stored, job) == 1
