"""A job of symbols from its text to its vintage, by the command line alone."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.storage.store import Store

_JOB = """
name: book
source: {kind: text, path: "*.txt", unit: word}
series: {freq: s}
window: {context: 8, horizon: 6}
model: {name: in_step, params: {cell: gru, units: [8], inputs: one_hot}}
head: {name: categorical}
train: {epochs: 6, batch_size: 4, learning_rate: 0.05, seed: 1}
backtest: {windows: 10, step: 6}
gate: {baselines: [unigram]}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, gatecast: list[str]) -> tuple[Path, dict[str, Any]]:
    """A folder in which `gatecast run` was run on two ragged texts, and what it said."""
    folder = tmp_path_factory.mktemp("book")
    sentences = "Doug saw Jane . Jane saw Spot . Spot saw Doug . "
    (folder / "long.txt").write_text(sentences * 30, encoding="utf-8")
    (folder / "short.txt").write_text(sentences * 5, encoding="utf-8")
    (folder / "book.yaml").write_text(_JOB, encoding="utf-8")
    return folder, json.loads(command(folder, gatecast, "run", "book.yaml", "--json"))


def command(folder: Path, gatecast: list[str], *arguments: str) -> str:
    """The standard output of one command, run in the folder."""
    environment = {**os.environ, "GATECAST_HOME": str(folder / "home")}
    done = subprocess.run(
        [*gatecast, *arguments], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_network_beats_frequencies_and_goes_live(place: tuple[Path, dict[str, Any]]) -> None:
    """In a text that repeats itself the network is promoted, and every n-gram stands on the leaderboard."""
    outcome = place[1]
    assert outcome["promoted"], outcome["verdict"]
    board = {row["model"]: row["nats"] for row in outcome["leaderboard"]}
    assert list(board) == ["in_step", "unigram", "bigram", "trigram"]
    assert board["in_step"] < 0.5 * board["unigram"]


def test_the_continuation_is_a_vintage_and_stands_in_the_report(place: tuple[Path, dict[str, Any]]) -> None:
    """Each text is continued from its own end; the report tells the words of the longer one."""
    folder, outcome = place
    stored = Store(folder / "home").forecasts.read("book")
    assert stored.groupby("unique_id").size().to_dict() == {"long": 6, "short": 6}
    ends = stored.groupby("unique_id")["cutoff"].first()
    assert ends["long"] - ends["short"] == pd.Timedelta(seconds=12 * 25)
    told = " ".join(stored.loc[stored["unique_id"] == "long"].sort_values("step")["symbol"])
    assert told in Path(outcome["report"]).read_text(encoding="utf-8")


def test_a_prompt_is_continued_and_not_stored(place: tuple[Path, dict[str, Any]], gatecast: list[str]) -> None:
    """At temperature 0 the text goes on as it always does."""
    asked = ("forecast", "book.yaml", "--prompt", "Spot saw Doug . Doug saw", "--length", "6", "--temperature", "0")
    told = command(place[0], gatecast, *asked)
    assert told.strip() == "Spot saw Doug . Doug saw Jane . Jane saw Spot ."
    assert len(Store(place[0] / "home").forecasts.read("book")) == 12
