"""Commands of a job: one JSON object, one clear message, and nothing half-written."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from forecasting.storage.store import Store
from tests.cli.tiny import WAVE, Answer, rows

OUTCOME = {
    *("name", "run_id", "version", "promoted", "model", "fallback", "champion"),
    *(
        "verdict",
        "leaderboard",
        "forecasts",
        "report",
        "challengers",
        "members",
        "final_fit",
        "notes",
        "next_steps",
        "series",
    ),
}


def test_schema_is_printed_as_it_is_shipped(gatecast_here: Callable[..., Answer]) -> None:
    """For editors: one JSON object, on standard output."""
    answer = gatecast_here("schema")
    assert (answer.code, answer.err) == (0, "")
    shipped = Path(__file__).parents[2] / "configs" / "job.schema.json"
    assert answer.out == shipped.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        pytest.param(None, "no file matches source.path", id="missing file"),
        pytest.param(
            "time,value\n2026-01-01,1\n", "has no column ds, y; its columns are: time, value", id="wrong columns"
        ),
        pytest.param("", "data.csv", id="empty file"),
        pytest.param("unique_id,ds,y\n", "data.csv holds no rows", id="no rows"),
        pytest.param(rows([1.0]), "fewer than 2 readings", id="one row"),
        pytest.param(rows([""] * 300), "no series has", id="no reading at all"),
        pytest.param(rows([*WAVE[:-1], "inf"]), "infinite", id="infinite"),
        pytest.param(rows([*WAVE[:-1], "high"]), "high", id="no number"),
        pytest.param("unique_id,ds,y\na,yesterday,1\n", "yesterday", id="no stamp"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_unusable_data_end_with_1_and_one_clear_message(
    gatecast_here: Callable[..., Answer],
    config: Callable[..., Path],
    home: Path,
    command: str,
    csv: str | None,
    message: str,
) -> None:
    """What is wrong, no traceback, nothing on standard output that looks like a result, nothing half-written."""
    answer = gatecast_here(command, config(csv), "--json")
    assert answer.code == 1
    assert answer.message.count("error:") == 1
    assert "unexpected" not in answer.err
    assert "Traceback" not in answer.err
    assert message in answer.err + answer.out
    assert not (home / "mlflow.db").exists()
    assert not [path for path in home.rglob(".*") if path.is_dir()]  # drafts
    if command == "run":
        assert answer.out == ""
        assert (home / "tables").exists() == (csv == rows([1.0]))  # one row is good enough to be stored, not to train


def test_run_prints_one_json_object_with_the_documented_keys(finished: Any) -> None:
    """And the same run as tables: leaderboard, verdict, a sentence, where things are."""
    outcome = finished.outcome
    assert set(outcome) == OUTCOME
    assert (outcome["name"], outcome["promoted"], outcome["fallback"]) == ("tiny", False, True)
    assert outcome["champion"] == outcome["forecasts"]["version"]
    assert {"rule", "figure", "bound", "passed", "sentence"} == set(outcome["verdict"][0])
    assert outcome["leaderboard"][0]["model"] == "stacked"
    assert {"naive", "seasonal_naive", "drift", "ridge"} <= {row["model"] for row in outcome["leaderboard"]}
    assert set(outcome["forecasts"]) == {
        *("table", "rows", "model", "version", "failed", "failures", "coverage", "warnings")
    }
    assert Path(outcome["report"]).is_file()
    assert finished.stderr.splitlines()[0] == "· reading the source"


def test_documented_keys_are_those_of_the_outcome() -> None:
    """docs/cli.md lists every key of the object and no other."""
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    section = text.split("`--json` prints one object:")[1].split("\n## ")[0]
    named = {
        key.strip(" `")
        for line in section.splitlines()
        if line.startswith("| `")
        for key in line.split("|")[1].split(",")
    }
    assert named == OUTCOME


def test_train_on_the_same_data_recalls_the_run(
    gatecast_here: Callable[..., Answer], finished: Any, place: Path
) -> None:
    """The same object again, exit code 0: a baseline is live."""
    answer = gatecast_here("train", finished.config, "--json")
    assert answer.code == 0
    assert json.loads(answer.out) == finished.outcome

    tables = gatecast_here("train", finished.config)
    assert tables.code == 0
    assert "stacked was refused: " in tables.out
    assert f"report: {finished.outcome['report']}" in tables.out


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")
def test_nothing_promoted_and_nothing_live_ends_with_3(
    gatecast_here: Callable[..., Answer], finished: Any, home: Path, tmp_path: Path
) -> None:
    """With `gate.fallback: none` the result is printed all the same, and the reason is on standard error."""
    content = yaml.safe_load(finished.config.read_text())
    content["gate"] = {"fallback": "none"}
    content["train"]["epochs"] = 1
    path = tmp_path / "none.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")

    answer = gatecast_here("run", path, "--json")

    outcome = json.loads(answer.out)
    assert answer.code == 3
    assert (outcome["champion"], outcome["model"], outcome["promoted"]) == (None, None, False)
    assert outcome["forecasts"] == {"rows": 0, "reason": "nothing is live"}
    assert "there is no champion and gate.fallback is none" in answer.err
    assert "Traceback" not in answer.err
    assert not (home / "tables" / "tiny" / "forecasts").exists()
    listed = json.loads(gatecast_here("models", "tiny", "--json").out)["tiny"]
    assert [(row["version"], row["aliases"], row["verdict"]) for row in listed] == [(1, "challenger", "refused")]


def test_ingest_twice_changes_nothing(gatecast_here: Callable[..., Answer], config: Callable[..., Path]) -> None:
    """New rows are counted once, a corrected one once."""
    path = config(rows(WAVE))
    answers = [json.loads(gatecast_here("ingest", path, "--json").out) for _ in range(2)]
    assert [(a["version"], a["inserted"], a["updated"]) for a in answers] == [(0, 300, 0), (0, 0, 0)]
    assert set(answers[0]) == {"name", "version", "inserted", "updated", "table", "notes"}
    assert Path(answers[0]["table"], "_delta_log").is_dir()

    config(rows([*WAVE[:-1], 99.0]))
    third = json.loads(gatecast_here("ingest", path, "--json").out)
    assert (third["inserted"], third["updated"]) == (0, 1)


def test_a_file_of_what_is_known_ahead_is_a_file(
    gatecast_here: Callable[..., Answer], config: Callable[..., Path], home: Path
) -> None:
    """Without the column of readings: new stamps bring the covariate, stored readings stay, and a note says so."""
    known = pd.read_csv(io.StringIO(rows(WAVE))).assign(wind=1.0)
    path = config(known.to_csv(index=False), series={"freq": "h", "future": ["wind"]})
    assert gatecast_here("ingest", path).code == 0
    hours = pd.Timestamp("2026-01-01") + np.arange(298, 304) * pd.Timedelta("1h")
    config(
        pd.DataFrame({"unique_id": "a", "ds": hours, "wind": 2.0}).to_csv(index=False),
        series={"freq": "h", "future": ["wind"]},
    )
    answer = json.loads(gatecast_here("ingest", path, "--json").out)
    assert (answer["inserted"], answer["updated"]) == (4, 2)
    assert answer["notes"] == ["1 series bring no reading, but values that are known ahead (series a)"]
    stored = Store(home).observations.read("tiny").tail(7)
    np.testing.assert_array_equal(stored["wind"], [1, 2, 2, 2, 2, 2, 2])
    np.testing.assert_array_equal(stored["y"], [*WAVE[-3:], *[np.nan] * 4])


def test_what_is_known_ahead_needs_readings_first_and_no_misspelled_column(
    gatecast_here: Callable[..., Answer], config: Callable[..., Path]
) -> None:
    """Nothing is stored of a job without a reading; a column that is nearly the reading's is a mistake."""
    ahead = "unique_id,ds,wind{0}\na,2026-01-01 00:00,1{1}\na,2026-01-01 01:00,2{1}\n"
    series = {"freq": "h", "future": ["wind"]}
    answer = gatecast_here("ingest", config(ahead.format("", ""), series=series))
    assert answer.message == "error: no observations of tiny are stored; read them with: gatecast ingest CONFIG"
    source = {
        "kind": "file",
        "path": str(config(ahead.format(",loud", ",5")).parent / "data.csv"),
        "columns": {"y": "load"},
    }
    answer = gatecast_here("ingest", config(series=series, source=source))
    assert "has no column load (did you mean loud?)" in answer.message


def test_check_proves_that_nothing_leaks(gatecast_here: Callable[..., Answer], finished: Any, place: Path) -> None:
    """Every finding is that nothing moved; the live model is among them, and nothing is written."""
    before = sorted(path for path in place.rglob("*") if "cache" not in path.parts)
    answer = gatecast_here("check", finished.config, "--leakage", "--json")
    found = json.loads(answer.out)
    assert answer.code == 0, answer.err
    assert set(found) == {"title", "findings", "failed"}
    assert found["failed"] == ""
    assert {row["what"] for row in found["findings"]} >= {"scaler", "training windows", "forecasts of ridge"}
    assert not any(row["moved"] for row in found["findings"])
    assert sorted(path for path in place.rglob("*") if "cache" not in path.parts) == before


def test_backtest_writes_all_tables(
    gatecast_here: Callable[..., Answer], finished: Any, place: Path, tmp_path: Path
) -> None:
    """The champion and every baseline on the run's own origins, with the run's own figures for the baselines."""
    file = tmp_path / "new" / "tables.json"
    answer = gatecast_here("backtest", finished.config, "--json", file)
    assert answer.code == 0, answer.err
    tables = json.loads(file.read_text())
    assert set(tables) == {"name", "leaderboard", "series", "step", "window"}
    board = {row["model"]: row for row in tables["leaderboard"]}
    assert set(board) == {"champion", "naive", "seasonal_naive", "drift", "ridge"}
    for row in finished.outcome["leaderboard"]:
        if row["model"] in board:
            assert board[row["model"]]["wql"] == pytest.approx(row["wql"])
    assert {row["step"] for row in tables["step"]} == {1, 2, 3, 4}
    assert len({row["cutoff"] for row in tables["window"]}) == 10

    few = gatecast_here("backtest", finished.config, "--model", "drift", "--model", "1")
    assert "drift" in few.out
    assert "ridge" not in few.out
    wrong = gatecast_here("backtest", finished.config, "--model", "newest")
    assert (wrong.code, "tiny has no version or alias newest; it has:" in wrong.err) == (1, True)
