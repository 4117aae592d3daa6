"""The outcome of a run: one sentence for a person, one object for a program, flat values for MLflow."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from forecasting.config.job import Job
from forecasting.config.network import Stacked
from forecasting.report.outcome import Outcome, summary
from forecasting.report.results import parameters, records


def outcome(**changes: Any) -> Outcome:
    """A refused network while version 3 stays live."""
    rules = [
        {"rule": "finite", "figure": 0.0, "bound": 0.0, "passed": True, "sentence": "all is finite"},
        {"rule": "beats_naive", "figure": -0.1, "bound": 0.0, "passed": False, "sentence": "wql is worse than naive"},
        {"rule": "size", "figure": 200.0, "bound": 100.0, "passed": False, "sentence": "the bundle has 200 MB"},
    ]
    content: dict[str, Any] = {
        "name": "buoy",
        "run_id": "4711",
        "version": 4,
        "model": None,
        "promoted": False,
        "fallback": False,
        "champion": 3,
        "verdict": rules,
        "leaderboard": [{"model": "stacked", "wql": 0.2}, {"model": "naive", "wql": 0.1}],
        "forecasts": {},
        "report": "report.html",
    }
    return Outcome(**(content | changes))


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, " Version 3 stays the champion."),
        (
            {"champion": 5, "model": "ridge", "fallback": True},
            " The best baseline, ridge, serves in its place as version 5.",
        ),
        ({"champion": None}, " Nothing is live, since there is no champion and gate.fallback is none."),
    ],
)
def test_refusal_gives_every_reason_and_says_who_serves(changes: dict[str, Any], end: str) -> None:
    """Nobody is told that a network is better when it is not."""
    said = summary(outcome(**changes))
    assert said == f"stacked was refused: wql is worse than naive; the bundle has 200 MB.{end}"


def test_promotion_is_one_sentence() -> None:
    """The model, and the version that it is now."""
    said = summary(outcome(promoted=True, model="stacked", champion=4))
    assert said == "stacked passed every rule and is the champion, version 4."


def test_outcome_survives_its_way_through_a_file() -> None:
    """What `recall` reads is what `conclude` wrote; unknown keys and changes are refused."""
    one = outcome()
    assert Outcome.model_validate_json(one.model_dump_json(indent=1)) == one
    with pytest.raises(ValidationError):
        one.version = 5
    with pytest.raises(ValidationError, match="extra"):
        Outcome.model_validate({**one.model_dump(), "bogus": 1})


def test_records_are_json_without_nan() -> None:
    """What is not finite is null, stamps are ISO 8601, and ten digits are kept."""
    table = pd.DataFrame(
        {
            "model": ["a", "b", "c"],
            "wql": [0.1234567891, np.nan, np.inf],
            "cutoff": pd.to_datetime(["2026-01-01 06:00"] * 3).as_unit("us"),
        }
    )
    rows = records(table)
    assert [row["wql"] for row in rows] == [0.1234567891, None, None]
    assert rows[0]["cutoff"].startswith("2026-01-01T06:00:00")
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows


def test_parameters_are_flat_and_leave_the_schedule_out(make_job: Callable[..., Job]) -> None:
    """Section and key, one value each; lists as JSON; the same names for every job of the same kind."""
    job = make_job(schedule={"training": "0 6 * * *"}, model={"name": "stacked", "params": {"units": [4]}})
    flat = parameters(job)
    assert (flat["name"], flat["window.horizon"], flat["source.kind"]) == ("job", 3, "synthetic")
    assert json.loads(str(flat["model.params"])) == Stacked(units=(4,)).model_dump(mode="json")
    assert flat["head.quantiles"] == "[0.1, 0.5, 0.9]"
    assert not [key for key in flat if "schedule" in key]
    assert all(isinstance(value, str | int | float) for value in flat.values())
