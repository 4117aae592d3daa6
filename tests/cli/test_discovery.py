"""Commands for data that nobody has described: a commented job, and a forecast of it."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from forecasting.cli import discovery
from forecasting.config.job import load_job
from forecasting.config.selection import BUDGETS
from forecasting.inspection.findings import Question
from tests.cli.tiny import WAVE, Answer, rows
from tests.snippets import ROOT

Run = Callable[..., Answer]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file of one hourly series."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "load.csv").write_text(rows(WAVE), encoding="utf-8")
    return tmp_path


def test_init_writes_a_job_and_says_what_it_found(gatecast_here: Run, here: Path) -> None:
    """The job is in configs/ under the name of the file; table, sparkline, and next step on standard output."""
    answer = gatecast_here("init", "load.csv", "--horizon", 6)
    assert (answer.code, answer.err) == (0, "")
    job = load_job(here / "configs" / "load.yaml")
    assert (job.name, job.series.freq, job.window.horizon) == ("load", "h", 6)
    assert "all stamps lie on its grid" in answer.out
    assert "▁" in answer.out
    assert answer.out.rstrip().endswith("next: gatecast run configs/load.yaml")


def test_init_for_programs_names_value_reason_and_certainty(gatecast_here: Run) -> None:
    """One JSON object; what it guessed is not sure."""
    answer = gatecast_here("init", "load.csv", "--json", "--out", "job.yaml")
    found = json.loads(answer.out)
    assert found["job"] == "job.yaml"
    assert found["keys"]["series.freq"] == {"value": "h", "why": "all stamps lie on its grid", "sure": True}
    assert found["keys"]["window.horizon"]["sure"] is False


def test_init_replaces_no_job_that_says_something_else(gatecast_here: Run, here: Path) -> None:
    """Twice the same is fine; a job that was edited stays as it is."""
    path = here / "configs" / "load.yaml"
    assert gatecast_here("init", "load.csv").code == 0
    assert gatecast_here("init", "load.csv").code == 0
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    answer = gatecast_here("init", "load.csv")
    assert (answer.code, "name another file with --out" in answer.err) == (2, True)
    assert path.read_text(encoding="utf-8").endswith("# mine\n")


@pytest.mark.parametrize("command", ["init", "try"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(None, "there is no file load.csv", id="missing"),
        pytest.param("", "cannot read load.csv", id="empty"),
        pytest.param("unique_id,ds,y\n", "no column holds", id="no rows"),
        pytest.param("ds,y\n2026-01-01,1\n2026-01-02,2\n", "no series has three stamps", id="too short"),
        pytest.param(rows([*WAVE[:-1], "inf"]), "infinite", id="infinite"),
        pytest.param("ds,y\n2026-01-01,19,92\n2026-01-02,24,21\n", "3 cells, expected 2", id="unquoted comma"),
    ],
)
def test_a_file_that_cannot_be_forecast_is_told_in_one_sentence(
    gatecast_here: Run, here: Path, command: str, content: str | None, sentence: str
) -> None:
    """With exit code 1, before anything is trained or any home is made."""
    (here / "load.csv").unlink()
    if content is not None:
        (here / "load.csv").write_text(content, encoding="utf-8")
    answer = gatecast_here(command, "load.csv")
    assert answer.code == 1
    assert answer.message.count("error:") == 1
    assert sentence in answer.message
    assert not list(here.rglob("mlflow.db"))


def test_try_ends_with_a_table_a_picture_and_a_next_step(
    gatecast_here: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a home of its own: what it wrote is a job with a small budget, and its forecasts are stored there."""
    monkeypatch.setitem(BUDGETS, "fast", 1.0)
    monkeypatch.delenv("GATECAST_HOME")
    answer = gatecast_here("try", "load.csv", "--horizon", 4)
    assert answer.code == 0, answer.err
    config = here / ".gatecast-try" / "load.yaml"
    assert yaml.safe_load(config.read_text(encoding="utf-8"))["selection"] == {"budget": "fast"}
    assert "seasonal_naive" in answer.out
    assert "┤" in answer.out
    assert "●" in answer.out
    assert "next: GATECAST_HOME=.gatecast-try gatecast serve" in answer.out
    assert Path(answer.out.split("report: ")[1].split("\n")[0]).is_file()


@pytest.mark.parametrize(("typed", "value"), [("", "y"), ("2", "z"), ("w", "w")])
def test_a_question_takes_a_number_a_value_or_enter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, value: Any
) -> None:
    """Enter is the likeliest value; the reason stands above the choices, on standard error."""
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", lambda _: typed)
    assert discovery.asked(Question("source.columns.y", "y", "its name does not say", ("y", "z"))) == value
    printed = capsys.readouterr()
    assert "source.columns.y: its name does not say" in printed.err
    assert printed.out == ""


def test_the_tutorial_shows_what_init_writes(gatecast_here: Run, here: Path) -> None:
    """A file that begins like the one of the tutorial becomes the job that it prints, line by line."""
    page = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    (job,) = re.findall(r"```yaml\n(name: load.*?)```", page, flags=re.DOTALL)
    lines = [shown.splitlines()[0]]
    for number, stamp in enumerate(pd.date_range("2026-03-01", periods=24 * 40, freq="h")):
        for place, level in (("nord", 412.5), ("sued", 388.0)):
            cell = f"{level + 30 * math.sin(math.pi * number / 12):.1f}".replace(".", ",")
            lines.append(f"{stamp:%d.%m.%Y %H:%M};{place};{cell}")
    assert lines[:3] == shown.splitlines()
    (here / "load.csv").write_text("\n".join(lines), encoding="utf-8")
    assert gatecast_here("init", "load.csv", "--horizon", 24).code == 0
    written = (here / "configs" / "load.yaml").read_text(encoding="utf-8")
    assert [line for line in written.splitlines() if not line.startswith("#")] == job.splitlines()


@pytest.mark.parametrize(("columns", "signs"), [(80, 8), (100, 26), (200, 32)])
def test_a_sparkline_is_as_wide_as_the_terminal_leaves(
    gatecast_here: Run, monkeypatch: pytest.MonkeyPatch, columns: int, signs: int
) -> None:
    """Beside the other columns of its row it never breaks over two lines."""
    monkeypatch.setenv("COLUMNS", str(columns))
    answer = gatecast_here("init", "load.csv", "--horizon", 6)
    (row,) = [line for line in answer.out.splitlines() if "▁" in line]
    assert len(row.rstrip().split("   ")[-1]) == signs
