"""A small report with every section."""

import numpy as np
import pandas as pd
import pytest

from forecasting.bundle.spec import MemberSpec, Spec, TableSpec
from forecasting.evaluation.breakdown import SizeGroups, WorstSeries
from forecasting.insight.reach import MemberReach, Reach
from forecasting.report.page import Report
from forecasting.report.sections import Breakdown
from forecasting.report.texts import Text
from forecasting.series.features import Features
from forecasting.series.scaling import Scaler


def forecasts(name: str, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Three hours ahead of a cutoff."""
    return pd.DataFrame(
        {
            "unique_id": name,
            "ds": pd.date_range(cutoff, periods=4, freq="h", unit="us")[1:],
            "cutoff": cutoff,
            "step": [1, 2, 3],
            "q0.1": [1.0, 1.0, 1.0],
            "q0.5": [2.0, 2.5, 3.0],
            "q0.9": [4.0, 5.0, 6.0],
        }
    )


def reach() -> Reach:
    """An ensemble of two members that looks back 3 of 12 steps, at two inputs."""
    members = tuple(
        MemberSpec(model="ridge", title=f"ridge {weight}", weight=weight, context=12) for weight in (0.25, 0.75)
    )
    spec = Spec(
        job="buoy",
        model="auto",
        table=TableSpec(freq="h"),
        features=Features(freq="h", past=("wind",)),
        scaler=Scaler(),
        context=12,
        horizon=2,
        quantiles=(0.5,),
        wanted=(0.5,),
        members=members,
    )
    weights = np.zeros((2, 12))
    weights[:, :3] = [[3.0, 2.0, 1.0], [2.0, 2.0, 2.0]]
    found = {"y": weights, "wind": weights / 3}
    return Reach(spec, found, 64, tuple(MemberReach(member, found) for member in members))


def errors() -> Breakdown:
    """Three quantiles of two models, five series of which two are shown, and two groups."""
    quantiles = pd.DataFrame(
        {
            "model": ["stacked"] * 3 + ["naive"] * 3,
            "quantile": [0.1, 0.5, 0.9] * 2,
            "below": [0.2, 0.4, 0.85, 0.1, 0.5, 0.9],
            "at_most": [0.2, 0.6, 0.85, 0.1, 0.5, 0.9],
        }
    )
    worst = pd.DataFrame(
        {"unique_id": ["west", "east"], "share": [0.25, 0.5], "stacked": [3.0, 0.5], "naive": [2.0, 1.0]}
    ).assign(against=[0.5, -0.5])
    sizes = pd.DataFrame({"low": [1.0, 20.0], "high": [2.0, 30.5], "series": [2, 3], "share": [0.2, 0.8]})
    return Breakdown(
        "stacked",
        "naive",
        "wql",
        quantiles,
        {"80": 0.65},
        WorstSeries(worst, series=5, worse=1, undefined=1),
        SizeGroups(sizes.assign(stacked=[0.3, 0.1], naive=[0.2, 0.2]), left_out=2),
    )


@pytest.fixture
def content() -> Report:
    """A small report with every section."""
    stamps = pd.date_range("2026-01-01", periods=200, freq="h", unit="us")
    history = pd.DataFrame({"unique_id": "north", "ds": stamps, "y": np.sin(np.arange(200) / 4)})
    models = ["stacked", "naive"]
    return Report(
        job="buoy",
        promoted=False,
        summary="stacked does not beat naive",
        facts={"run": "4711", "data version": "3"},
        history=history,
        forecasts=forecasts("north", stamps[-1]),
        verdict=pd.DataFrame(
            {
                "rule": ["finite", "beats_naive"],
                "figure": [np.nan, -0.0123],
                "bound": [0.0, 0.0],
                "passed": [True, False],
                "sentence": ["all finite", "worse than naive"],
            }
        ),
        leaderboard=pd.DataFrame(
            {"model": models, "mae": [3.0, 1.0], "wql": [0.2, 0.3], "coverage": [0.9, 0.72], "bias": [0.5, -0.1]}
        ),
        by_step=pd.DataFrame(
            {"model": np.repeat(models, 3), "step": [1, 2, 3] * 2, "wql": np.arange(6.0), "coverage": [0.8] * 6}
        ),
        examples=forecasts("north", stamps[100]),
        texts=[Text("hamlet", "to be or ", "not to be")],
        curves=pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [2.5, 1.5]}),
        validation=pd.DataFrame({"rule": ["gaps"], "severity": ["warning"], "count": [3], "ids": [("north", "south")]}),
        decisions=pd.DataFrame({"decision": ["sorted"], "count": [12]}),
        config="name: buoy\n",
        reach=reach(),
        gates=pd.DataFrame({"layer": ["layer 1, LSTM of 8 units"], "gate": ["forget"], "closed, %": [12.5]}),
        errors=errors(),
    )
