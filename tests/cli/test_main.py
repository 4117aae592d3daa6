"""The command line: exit codes, one clear message, one JSON object, and nothing half-written."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml

from forecasting.cli import main as cli
from forecasting.storage.store import Store

COMMANDS = ("run", "ingest", "check", "train", "backtest", "forecast", "promote", "rollback", "models", "schema")
OUTCOME = {
    *("name", "run_id", "version", "promoted", "model", "fallback", "champion"),
    *("verdict", "leaderboard", "forecasts", "report", "challengers", "final_fit"),
}


class Answer(NamedTuple):
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What is said of the error: standard error without the steps of the progress."""
        lines = [line for line in self.err.splitlines() if not line.startswith("·")]
        return "\n".join(lines)


@pytest.fixture
def gatecast_here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs a command in this process, the child's part too: a process of its own takes seconds, others test it."""

    def call_here(function: str, *args: Any, timeout: float | None = None, **named: Any) -> Any:
        module, name = function.split(":")
        return getattr(importlib.import_module(module), name)(*args, **named)

    monkeypatch.setattr("forecasting.runtime.child.call", call_here)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # the command line's framework sets its own

    def run(*arguments: Any) -> Answer:
        monkeypatch.setattr(sys, "argv", ["gatecast", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, out, err)

    return run


@pytest.fixture
def place(finished: Any, home: Path) -> Path:
    """A copy of the finished home as the home of this test."""
    shutil.copytree(finished.home, home)
    return home


@pytest.fixture
def config(tmp_path: Path) -> Callable[..., Path]:
    """Writes a job of hourly rows of a CSV file, with other keys put in or over."""

    def write(csv: str | None = None, **sections: Any) -> Path:
        if csv is not None:
            (tmp_path / "data.csv").write_text(csv, encoding="utf-8")
        content = {
            "name": "tiny",
            "source": {"kind": "file", "path": str(tmp_path / "data.csv")},
            "series": {"freq": "h"},
            "window": {"context": 12, "horizon": 4},
            "backtest": {"windows": 5},
        }
        path = tmp_path / "job.yaml"
        path.write_text(yaml.safe_dump({**content, **sections}), encoding="utf-8")
        return path

    return write


def rows(values: list[Any], name: str = "a") -> str:
    """A CSV file of one series."""
    stamps = pd.date_range("2026-01-01", periods=len(values), freq="h")
    return "unique_id,ds,y\n" + "".join(f"{name},{ds},{y}\n" for ds, y in zip(stamps, values, strict=True))


# Usage


def test_help_is_instant_and_names_every_command(gatecast: list[str]) -> None:
    """It loads nothing heavy; without arguments the help comes too, as an error of usage."""
    code = (
        "import sys; sys.argv = ['gatecast', '--help']\nfrom forecasting.cli.main import main\ntry: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "print(*{'tensorflow','keras','mlflow','prefect','pandas','numpy','sklearn','onnxruntime'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-2:] == ["0", ""]
    assert all(f"  {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments", [["bogus"], ["run"], ["run", "x.yaml", "--bogus"], ["promote", "tiny", "newest"], ["forecast"]]
)
def test_wrong_usage_ends_with_2(gatecast_here: Callable[..., Answer], arguments: list[str]) -> None:
    """Unknown commands and options, missing or unreadable arguments: said on standard error, nothing on the other."""
    answer = gatecast_here(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "Traceback" not in answer.err
    assert answer.err


# Configuration: 2


@pytest.mark.parametrize("command", ["run", "ingest", "check", "train", "backtest", "forecast"])
def test_bad_configuration_lists_every_violation_once(
    gatecast_here: Callable[..., Answer], config: Callable[..., Path], home: Path, command: str
) -> None:
    """Unknown keys with the valid ones, wrong types and wrong values, all in one message of every command."""
    path = config(window={"contxt": 5, "horizon": 0}, epochs=3, head={"quantiles": [0.9, 0.1]})
    answer = gatecast_here(command, path)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("error:") == 1
    assert "has 5 violations:" in answer.err
    for part in ("window.contxt: unknown key (did you mean context?)", "window.context: this key is required"):
        assert part in answer.err
    for part in ("window.horizon: ", "epochs: unknown key", "head.quantiles: must increase strictly"):
        assert part in answer.err
    assert "Traceback" not in answer.err
    assert not home.exists()


def test_unknown_names_are_listed_together(
    gatecast_here: Callable[..., Answer], config: Callable[..., Path], home: Path
) -> None:
    """Metric, baseline, frequency, calendar feature, network and head are looked up before anything is read."""
    gate, named = {"primary": "accuracy", "baselines": ["naive", "arima"]}, {"name": "transformer"}
    series = {"freq": "fortnight", "calendar": ["moon"]}
    answer = gatecast_here("ingest", config(series=series, gate=gate, model=named, head=named))
    assert (answer.code, answer.out) == (2, "")
    for part in ("6 violations", "accuracy", "arima", "fortnight", "moon", "model.name: ", "head.name: "):
        assert part in answer.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [1,", "is not valid YAML"),
        ("- a\n- b\n", "must hold a mapping with the keys name, source"),
        ("", "must hold a mapping"),
        (None, "cannot read the configuration"),
    ],
)
def test_unreadable_configuration_is_one_sentence(
    gatecast_here: Callable[..., Answer], tmp_path: Path, text: str | None, message: str
) -> None:
    """No YAML, no mapping, no file."""
    path = tmp_path / "job.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    answer = gatecast_here("run", path)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert "Traceback" not in answer.err


def test_wrong_configuration_is_answered_without_anything_heavy(
    gatecast: list[str], config: Callable[..., Path], home: Path
) -> None:
    """In a real process, before TensorFlow, Prefect, MLflow or pandas is loaded, and without a word of the data."""
    path = config(model={"name": "stacked", "params": {"unit": [4], "cell": "lsmt", "dropout": 2}})
    code = (
        f"import sys; sys.argv = ['gatecast', 'run', {str(path)!r}]\n"
        "from forecasting.cli.main import main\ntry: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "print(*{'tensorflow','keras','mlflow','prefect','pandas','numpy','plotly'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["2", ""]
    assert done.stderr.count("error:") == 1
    for part in ("3 violations", "params.unit: unknown key (did you mean units?)", "params.cell", "params.dropout"):
        assert part in done.stderr
    assert "data.csv" not in done.stderr
    assert not home.exists()


def test_schema_is_printed_as_it_is_shipped(gatecast_here: Callable[..., Answer]) -> None:
    """For editors: one JSON object, on standard output."""
    answer = gatecast_here("schema")
    assert (answer.code, answer.err) == (0, "")
    shipped = Path(__file__).parents[2] / "configs" / "job.schema.json"
    assert answer.out == shipped.read_text(encoding="utf-8")


# Data: 1

WAVE = [float(i % 24) for i in range(300)]


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


def test_debug_gives_the_traceback(gatecast: list[str], config: Callable[..., Path]) -> None:
    """Wherever it stands among the arguments."""
    done = subprocess.run([*gatecast, "--debug", "ingest", str(config())], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "SourceError" in done.stderr


def test_a_home_that_is_a_file_is_named(
    gatecast_here: Callable[..., Answer], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is configuration too."""
    home.write_text("here", encoding="utf-8")
    answer = gatecast_here("models")
    assert answer.code == 2
    assert "GATECAST_HOME must name a directory" in answer.err
    assert "Traceback" not in answer.err


def test_commands_on_an_empty_home_say_what_to_do(
    gatecast_here: Callable[..., Answer], finished: Any, config: Callable[..., Path]
) -> None:
    """Nothing stored, nothing registered: each says which command comes first, or that there is nothing."""
    for command in ("train", "backtest"):
        answer = gatecast_here(command, finished.config)
        assert answer.code == 1
        assert "no observations of tiny are stored; read them with: gatecast ingest CONFIG" in answer.err
    answer = gatecast_here("forecast", finished.config)
    assert (answer.code, "no model named tiny is registered" in answer.err) == (1, True)
    for arguments in (["models", "tiny"], ["promote", "tiny", 1], ["rollback", "tiny"]):
        answer = gatecast_here(*arguments)
        assert answer.code == 1
        assert "tiny" in answer.message
        assert answer.message.count("\n") == 0
    assert gatecast_here("models").out == "no model is registered yet; register one with: gatecast run CONFIG\n"
    assert json.loads(gatecast_here("models", "--json").out) == {}


# The run


def test_run_prints_one_json_object_with_the_documented_keys(finished: Any) -> None:
    """And the same run as tables: leaderboard, verdict, a sentence, where things are."""
    outcome = finished.outcome
    assert set(outcome) == OUTCOME
    assert (outcome["name"], outcome["promoted"], outcome["fallback"]) == ("tiny", False, True)
    assert outcome["champion"] == outcome["forecasts"]["version"]
    assert {"rule", "figure", "bound", "passed", "sentence"} == set(outcome["verdict"][0])
    assert outcome["leaderboard"][0]["model"] == "stacked"
    assert {"naive", "seasonal_naive", "drift", "ridge"} <= {row["model"] for row in outcome["leaderboard"]}
    assert set(outcome["forecasts"]) == {"table", "rows", "model", "version"}
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
    assert "there is no champion, and gate.fallback is none" in answer.err
    assert "Traceback" not in answer.err
    assert not (home / "tables" / "tiny" / "forecasts").exists()
    listed = json.loads(gatecast_here("models", "tiny", "--json").out)["tiny"]
    assert [(row["version"], row["aliases"], row["verdict"]) for row in listed] == [(1, "challenger", "refused")]


def test_ingest_twice_changes_nothing(gatecast_here: Callable[..., Answer], config: Callable[..., Path]) -> None:
    """New rows are counted once, a corrected one once."""
    path = config(rows(WAVE))
    answers = [json.loads(gatecast_here("ingest", path, "--json").out) for _ in range(2)]
    assert [(a["version"], a["inserted"], a["updated"]) for a in answers] == [(0, 300, 0), (0, 0, 0)]
    assert set(answers[0]) == {"name", "version", "inserted", "updated", "table"}
    assert Path(answers[0]["table"], "_delta_log").is_dir()

    config(rows([*WAVE[:-1], 99.0]))
    third = json.loads(gatecast_here("ingest", path, "--json").out)
    assert (third["inserted"], third["updated"]) == (0, 1)


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


def test_forecast_as_of_then_is_a_vintage_of_its_own(
    gatecast_here: Callable[..., Answer], finished: Any, place: Path, tmp_path: Path
) -> None:
    """Stored once however often it is made, and written whole to a file of either kind."""
    for name, written in (("x.csv", 12), ("new/x.parquet", 0)):
        answer = gatecast_here(
            *("forecast", finished.config, "--at", "2020-01-10T05:00:00", "--out", tmp_path / name, "--json")
        )
        assert answer.code == 0, answer.err
        result = json.loads(answer.out)
        assert set(result) == {"name", "model", "version", "rows", "written", "failed", "failures"}
        assert (result["rows"], result["written"], result["failed"]) == (12, written, 0)
    read = {"csv": pd.read_csv(tmp_path / "x.csv"), "parquet": pd.read_parquet(tmp_path / "new" / "x.parquet")}
    stored = Store(place).forecasts.read("tiny", cutoff=pd.Timestamp("2020-01-10 05:00"))
    for table in read.values():
        assert pd.to_datetime(table["cutoff"]).unique().tolist() == [pd.Timestamp("2020-01-10 05:00")]
        assert table["q0.5"].to_numpy() == pytest.approx(stored["q0.5"].to_numpy())
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.parquet"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "x.bad", "--at", "2020-01-08"], 2, "else it must be one of .csv, .parquet"),
        (["--at", "1999-01-01"], 1, "no reading at or before 1999-01-01"),
        (["--at", "soon"], 2, "Invalid value for '--at'"),
        (["--model", "newest"], 1, "tiny has no version or alias newest; it has:"),
    ],
)
def test_forecast_that_cannot_be_made_leaves_nothing(
    gatecast_here: Callable[..., Answer],
    finished: Any,
    place: Path,
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """It says why, with its exit code, and stores no vintage."""
    before = len(Store(place).forecasts.read("tiny"))
    answer = gatecast_here("forecast", finished.config, *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert message in answer.err
    assert "Traceback" not in answer.err
    assert len(Store(place).forecasts.read("tiny")) == before


def test_promote_and_roll_back_by_hand(gatecast_here: Callable[..., Answer], finished: Any, place: Path) -> None:
    """The refused network goes live by hand and back; the list says who is who."""
    live = finished.outcome["champion"]
    other = 3 - live
    assert gatecast_here("promote", "tiny", other) == (0, f"tiny: version {other} is the champion\n", "")
    listed = {row["version"]: row for row in json.loads(gatecast_here("models", "tiny", "--json").out)["tiny"]}
    assert {version: row["aliases"] for version, row in listed.items()} == {live: "previous", other: "champion"}
    assert gatecast_here("rollback", "tiny") == (0, f"tiny: version {live} is the champion\n", "")
    assert json.loads(gatecast_here("models", "--json").out).keys() == {"tiny"}
    shown = gatecast_here("models", "tiny").out
    assert "champion" in shown
    assert "stacked" in shown
    for arguments in (["promote", "tiny", 9], ["promote", "tinny", 1], ["rollback", "tinny"], ["models", "tinny"]):
        answer = gatecast_here(*arguments)
        assert (answer.code, answer.out) == (1, "")
        assert "Traceback" not in answer.err


def test_environment_of_a_child_is_not_needed(gatecast: list[str], finished: Any, place: Path, tmp_path: Path) -> None:
    """A live forecast needs no training package: it works where importing TensorFlow or Keras fails."""
    for package in ("tensorflow", "keras"):
        (tmp_path / f"{package}.py").write_text("raise ImportError('not installed')\n", encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [*gatecast, "forecast", str(finished.config), "--json"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 12
