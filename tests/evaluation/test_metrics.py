"""Metrics against hand-computed values, a plain loop, utilsforecast and the published table of M4."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import ConfigError, GatecastError
from forecasting.evaluation.metrics import METRICS, Scored, primary_metric, revision, summarise, table

QUANTILES = (0.1, 0.5, 0.8)


def make(
    *, seed: int = 0, series: int = 3, cutoffs: int = 5, horizon: int = 4, missing: float = 0.2, model: str = "net"
) -> Scored:
    """Random windows of a few series at common cutoffs, one hour apart, some actuals missing."""
    random = np.random.default_rng(seed)
    windows = series * cutoffs
    y = random.normal(3, 2, (windows, horizon))
    y[random.random(y.shape) < missing] = np.nan
    start = np.datetime64("2024-01-01", "us")
    return Scored(
        model=model,
        unique_id=np.repeat([f"s{i}" for i in range(series)], cutoffs),
        cutoff=np.tile(start + np.arange(cutoffs) * np.timedelta64(1, "h"), series),
        y=y,
        forecast=np.sort(random.normal(3, 2, (windows, horizon, len(QUANTILES))), axis=-1),
        quantiles=QUANTILES,
        scale=np.repeat(random.uniform(0.5, 2, series), cutoffs),
        squared_scale=np.repeat(random.uniform(0.5, 2, series), cutoffs),
    )


def naive_metrics(scored: Scored, cells: list[tuple[int, int]]) -> dict[str, float]:
    """Every metric over the given (window, step) cells, one number at a time."""
    rows = []
    for n, h in cells:
        y, quantiles = scored.y[n, h], scored.forecast[n, h]
        if np.isnan(y):
            continue
        error = quantiles[1] - y
        pinball = [
            tau * (y - q) if y >= q else (1 - tau) * (q - y) for tau, q in zip(QUANTILES, quantiles, strict=True)
        ]
        rows.append(
            {
                "size": abs(y),
                "crps": 2 * sum(pinball) / len(pinball),
                "mae": abs(error),
                "mse": error**2,
                "mase": abs(error) / scored.scale[n],
                "rmsse": error**2 / scored.squared_scale[n],
                "smape": 200 * abs(error) / (abs(y) + abs(quantiles[1])),
                "coverage": float(quantiles[0] <= y <= quantiles[-1]),
                "width": quantiles[-1] - quantiles[0],
                "bias": error,
            }
        )
    mean = pd.DataFrame(rows).mean()
    mean["wql"] = mean["crps"] / mean["size"]
    mean["rmse"] = mean["mse"] ** 0.5
    mean["rmsse"] **= 0.5
    return {name: mean[name] for name in METRICS}


def test_metrics_match_hand_computed_values() -> None:
    """One window of two steps, computed on paper."""
    scored = Scored(
        model="net",
        unique_id=np.array(["a"]),
        cutoff=np.array(["2024-01-01"], "datetime64[us]"),
        y=np.array([[10.0, 2.0]]),
        forecast=np.array([[[6.0, 8.0, 9.0], [1.0, 3.0, 5.0]]]),
        quantiles=(0.1, 0.5, 0.9),
        scale=np.array([0.5]),
        squared_scale=np.array([0.625]),
    )
    expected = {
        "mae": 1.5,
        "mse": 2.5,
        "rmse": 2.5**0.5,
        "mase": 3.0,
        "rmsse": 2.0,
        "smape": 100 * (2 / 9 + 1 / 2.5) / 2,
        "crps": 2 * ((0.4 + 1 + 0.9) + (0.1 + 0.5 + 0.3)) / 6,
        "wql": 2 * ((0.4 + 1 + 0.9) + (0.1 + 0.5 + 0.3)) / 3 / 12,
        "coverage": 0.5,
        "width": 3.5,
        "bias": -0.5,
    }
    assert summarise(scored) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # in a docstring of utilsforecast, at its first import
def test_metrics_agree_with_utilsforecast_per_series() -> None:
    """The peer library gives the same figures for every series, missing actuals dropped."""
    from utilsforecast import losses

    scored = make(seed=4)
    long, train = peer_tables(scored)
    names = {"net": [f"q{tau}" for tau in QUANTILES]}
    taus = np.array(QUANTILES)
    season = {"seasonality": 1, "train_df": train}
    expected = {
        "mae": losses.mae(long, ["net"]),
        "mse": losses.mse(long, ["net"]),
        "rmse": losses.rmse(long, ["net"]),
        "bias": losses.bias(long, ["net"]),
        "smape": losses.smape(long, ["net"]).assign(net=lambda peer: 200 * peer["net"]),  # the peer's is 0 to 1
        "mase": losses.mase(long, ["net"], **season),
        "rmsse": losses.rmsse(long, ["net"], **season),
        "crps": losses.mqloss(long, names, taus).assign(net=lambda peer: 2 * peer["net"]),
        "wql": losses.scaled_crps(long, names, taus),
        "coverage": losses.coverage(long, ["net"], level=70),
    }
    ours = table([scale_from(scored, train)], "series").set_index("unique_id")
    for name, peer in expected.items():
        theirs = peer.set_index("unique_id")["net"].reindex(ours.index)
        np.testing.assert_allclose(ours[name], theirs, rtol=1e-12, err_msg=name)


def peer_tables(scored: Scored) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The actuals and forecasts as utilsforecast reads them, and a made-up training table."""
    long = pd.DataFrame(
        {
            "unique_id": np.repeat(scored.unique_id, scored.y.shape[1]),
            "y": scored.y.ravel(),
            **{f"q{tau}": scored.forecast[..., index].ravel() for index, tau in enumerate(QUANTILES)},
        }
    )
    long["net"], long["net-lo-70"], long["net-hi-70"] = long["q0.5"], long["q0.1"], long["q0.8"]
    random = np.random.default_rng(1)
    train = pd.DataFrame({"unique_id": np.repeat(np.unique(scored.unique_id), 30), "ds": np.tile(np.arange(30), 3)})
    return long.dropna(ignore_index=True), train.assign(y=random.normal(size=len(train)))


def scale_from(scored: Scored, train: pd.DataFrame) -> Scored:
    """`scored` with the scales of the training table, lag 1."""
    change = train.groupby("unique_id")["y"].diff()
    absolute, squared = change.abs().groupby(train["unique_id"]).mean(), (change**2).groupby(train["unique_id"]).mean()
    return replace(
        scored,
        scale=absolute.loc[scored.unique_id].to_numpy(),
        squared_scale=squared.loc[scored.unique_id].to_numpy(),
    )


@pytest.mark.parametrize(
    ("by", "label", "cells"),
    [
        ("model", None, lambda n, h, scored: "net"),
        ("series", "unique_id", lambda n, h, scored: scored.unique_id[n]),
        ("step", "step", lambda n, h, scored: h + 1),
        ("window", "cutoff", lambda n, h, scored: scored.cutoff[n]),
    ],
)
def test_table_matches_a_plain_loop(by: str, label: str | None, cells: Callable[[int, int, Scored], object]) -> None:
    """Each table holds, per group, what a loop over its cells gives."""
    scored = make(seed=2)
    groups: dict[object, list[tuple[int, int]]] = {}
    for n, h in np.ndindex(scored.y.shape):
        groups.setdefault(cells(n, h, scored), []).append((n, h))

    ours = table([scored], by)  # type: ignore[arg-type]

    assert list(ours.columns) == ["model", *([label] if label else []), *METRICS]
    assert len(ours) == len(groups)
    for _, row in ours.iterrows():
        key = row[label] if label else "net"
        key = key.to_datetime64() if isinstance(key, pd.Timestamp) else key
        assert {name: row[name] for name in METRICS} == pytest.approx(naive_metrics(scored, groups[key]))


def test_table_stacks_models_in_the_order_given() -> None:
    """Several models give one tidy table."""
    ours = table([make(model="b"), make(model="a", seed=1)], "step")
    assert ours["model"].tolist() == ["b"] * 4 + ["a"] * 4
    assert ours["step"].tolist() == [1, 2, 3, 4] * 2


def test_metrics_ignore_what_was_forecast_where_there_is_no_actual() -> None:
    """A finite forecast of a missing actual changes no metric."""
    scored = make(seed=5)
    other = np.where(np.isnan(scored.y)[..., None], 1e6, scored.forecast)
    assert np.isnan(scored.y).any()
    assert summarise(replace(scored, forecast=other)) == pytest.approx(summarise(scored))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("observed", [True, False])
def test_metrics_never_ignore_a_forecast_that_is_not_finite(value: float, observed: bool) -> None:
    """One bad number in any quantile makes every metric NaN, also where there is no actual."""
    scored = make(seed=5)
    window, step = np.argwhere(np.isnan(scored.y) != observed)[0]
    forecast = scored.forecast.copy()
    forecast[window, step, 2] = value
    broken = replace(scored, forecast=forecast)
    assert all(np.isnan(figure) for figure in summarise(broken).values())
    assert table([broken], "step")["mae"].isna().tolist() == [index == step for index in range(4)]


def test_scaled_metrics_leave_out_series_without_a_scale() -> None:
    """A series that was constant in training has no MASE and does not spoil that of the others."""
    scored = make(seed=6)
    rest = scored.unique_id != "s1"
    flat = replace(
        scored,
        scale=np.where(rest, scored.scale, 0),
        squared_scale=np.where(rest, scored.squared_scale, np.nan),
    )
    cells = [(int(n), h) for n in np.flatnonzero(rest) for h in range(4)]
    expected = naive_metrics(scored, cells)
    assert summarise(flat)["mase"] == pytest.approx(expected["mase"])
    assert summarise(flat)["rmsse"] == pytest.approx(expected["rmsse"])
    assert np.isnan(table([flat], "series").set_index("unique_id").loc["s1", ["mase", "rmsse"]].astype(float)).all()


def test_metrics_of_a_point_forecast_have_no_interval() -> None:
    """The median alone has neither coverage nor width, instead of a coverage of nothing."""
    scored = make()
    alone = summarise(replace(scored, forecast=scored.forecast[..., 1:2], quantiles=(0.5,)))
    assert np.isnan(alone["coverage"])
    assert np.isnan(alone["width"])
    assert alone["crps"] == pytest.approx(alone["mae"])  # as the pinball loss of the median is half the error


def test_smape_of_zero_for_zero_is_zero() -> None:
    """Forecasting 0 where 0 came true is no error."""
    scored = make(missing=0)
    nothing = replace(scored, y=np.zeros_like(scored.y), forecast=np.zeros_like(scored.forecast))
    assert summarise(nothing)["smape"] == 0


@given(factor=st.floats(1e-3, 1e3), seed=st.integers(0, 50))
def test_relative_metrics_do_not_depend_on_the_unit(factor: float, seed: int) -> None:
    """Metres or millimetres: relative metrics stay, absolute ones scale along."""
    scored = make(seed=seed)
    scaled = replace(
        scored,
        y=factor * scored.y,
        forecast=factor * scored.forecast,
        scale=factor * scored.scale,
        squared_scale=factor**2 * scored.squared_scale,
    )
    before, after = summarise(scored), summarise(scaled)
    power = {"mse": 2} | dict.fromkeys(("mae", "rmse", "crps", "width", "bias"), 1)
    assert after == pytest.approx({name: before[name] * factor ** power.get(name, 0) for name in METRICS}, rel=1e-6)
    assert revision(scaled, freq_step=1) == pytest.approx(revision(scored, freq_step=1))


def test_perfect_forecast_scores_zero_wherever_less_is_better() -> None:
    """Every metric that ranks models has its best value, 0, at the truth."""
    scored = make(missing=0)
    figures = summarise(replace(scored, forecast=np.repeat(scored.y[..., None], 3, axis=-1)))
    assert {name: figures[name] for name, metric in METRICS.items() if metric.lower_is_better} == pytest.approx(
        {name: 0 for name, metric in METRICS.items() if metric.lower_is_better}
    )


@pytest.mark.parametrize("name", ["wqll", "coverage", "bias"])
def test_metric_that_cannot_rank_is_refused(name: str) -> None:
    """The error lists the metrics that can."""
    with pytest.raises(ConfigError, match=rf"'{name}'.*wql, mae, mse, rmse, mase, rmsse, smape, crps$"):
        primary_metric(name)


def test_table_of_nothing_is_refused() -> None:
    """No model, no table."""
    with pytest.raises(GatecastError, match="no scored forecast"):
        table([], "model")


def test_scored_lists_every_shape_that_does_not_fit() -> None:
    """One error names all violations: what came and what was expected."""
    scored = make()
    with pytest.raises(GatecastError) as error:
        replace(scored, scale=scored.scale[:3], forecast=scored.forecast[..., :2], quantiles=(0.5, 0.1, 0.9))
    message = str(error.value)
    assert "forecast has shape (15, 4, 2), expected (15, 4, 3)" in message
    assert "scale has shape (3,), expected (15,)" in message
    assert "[0.5, 0.1, 0.9] must increase strictly" in message


def test_revision_matches_hand_computed_value() -> None:
    """Two cutoffs one step apart: the second forecast moves the shared dates by 1 and 3; mean actual 4."""
    scored = make(series=1, cutoffs=2, horizon=3, missing=0)
    point = np.array([[9.0, 1.0, 2.0], [2.0, 5.0, 7.0]])
    scored = replace(scored, forecast=np.repeat(point[..., None], 3, axis=-1), y=np.full((2, 3), -4.0))
    assert revision(scored, freq_step=1) == pytest.approx(2 / 4)
    assert revision(scored, freq_step=2) == pytest.approx(0.0)
    assert np.isnan(revision(scored, freq_step=3))


def test_revision_matches_a_plain_loop_in_any_order_of_windows() -> None:
    """Only windows of the same series whose cutoffs are neighbors are compared; a missing cutoff is no neighbor."""
    scored = make(seed=8, cutoffs=6)
    random = np.random.default_rng(0)
    keep = random.permutation([row for row in range(18) if row != 9])
    shuffled = Scored(
        scored.model,
        *(getattr(scored, name)[keep] for name in ("unique_id", "cutoff", "y", "forecast")),
        scored.quantiles,
        *(getattr(scored, name)[keep] for name in ("scale", "squared_scale")),
    )
    moved = [
        abs(scored.forecast[row, h + 1, 1] - scored.forecast[row + 1, h, 1])
        for row in range(17)
        if scored.unique_id[row] == scored.unique_id[row + 1] and 9 not in (row, row + 1)
        for h in range(3)
    ]
    expected = np.mean(moved) / np.nanmean(np.abs(shuffled.y))
    assert revision(shuffled, freq_step=1) == pytest.approx(expected)


def test_revision_of_a_single_cutoff_is_unknown() -> None:
    """Nothing is forecast twice."""
    assert np.isnan(revision(make(cutoffs=1), freq_step=1))


PUBLISHED = {  # the M4 competition's own table: sMAPE and MASE
    ("Naive", "Hourly"): (43.003, 11.608),
    ("sNaive", "Hourly"): (13.912, 1.193),
    ("Naive", "Weekly"): (9.161, 2.777),
    ("sNaive", "Weekly"): (9.161, 2.777),
}


@pytest.mark.parametrize("period", ["Hourly", "Weekly"])
def test_metrics_reproduce_the_published_table_of_m4(datasets: Path, period: str) -> None:
    """The competition's forecasts, scored here, give the competition's figures to the last published digit."""
    season = {"Hourly": 24, "Weekly": 1}[period]
    actual = pd.read_csv(datasets / f"m4/{period}-test.csv.gz", index_col=0)
    train = pd.read_csv(datasets / f"m4/{period}-train.csv.gz", index_col=0).loc[actual.index].to_numpy(float)
    change = np.abs(train[:, season:] - train[:, :-season])
    for method in ("Naive", "sNaive"):
        submitted = pd.read_csv(datasets / f"m4/forecasts/submission-{method}.zip", index_col=0)
        forecast = submitted.loc[actual.index].to_numpy(float)[:, : actual.shape[1], None]
        scored = Scored(
            model=method,
            unique_id=actual.index.to_numpy(),
            cutoff=np.full(len(actual), np.datetime64("2017-01-01", "us")),
            y=actual.to_numpy(float),
            forecast=forecast,
            quantiles=(0.5,),
            scale=np.nanmean(change, axis=1),
            squared_scale=np.nanmean(change**2, axis=1),
        )
        figures = summarise(scored)
        assert (round(figures["smape"], 3), round(figures["mase"], 3)) == PUBLISHED[method, period]
