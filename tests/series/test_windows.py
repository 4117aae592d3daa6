"""Windows against a plain loop over pandas slices: which ones there are, and what each of them holds."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.config.job import Job
from forecasting.config.series import Window
from forecasting.series.clean import clean, regular_grid
from forecasting.series.features import Features, learn_features
from forecasting.series.panel import Panel, build
from forecasting.series.scaling import Scaler, fit
from forecasting.series.windows import Windows, at_rows, slide

NAN = np.nan
READINGS = st.lists(st.one_of(st.just(NAN), st.just(1.0), st.just(2.0)), min_size=1, max_size=30)


def panel_of(series: list[list[float]]) -> Panel:
    """A panel of unscaled hourly series."""
    readings = {f"s{i}": y for i, y in enumerate(series)}
    grid = pd.DataFrame(
        {
            "unique_id": np.repeat(list(readings), [len(y) for y in series]),
            "ds": np.concatenate([pd.date_range("2024", periods=len(y), freq="h", unit="us") for y in series]),
            "y": np.concatenate([np.asarray(y, dtype=float) for y in series]),
        }
    ).astype({"unique_id": "str", "ds": "datetime64[us]"})
    return build(grid, Features(freq="h", mask=True), Scaler())


def cutoffs_of(y: list[float], window: Window, max_gap: int, begin: int, end: int, least: int) -> Iterator[int]:
    """The cutoffs of one series, one row at a time: no row of a window may lie in a long gap or outside the readings.

    `stride` counts anew after every interruption by such rows.
    """
    known = pd.Series(y[: end + 1])
    missing = known.isna()
    length = missing.groupby((~missing).cumsum()).transform("sum")
    outside = known.ffill().isna() | known.bfill().isna()
    barred = (missing & ((length > max_gap) | outside)).to_numpy()
    since = 0
    for cutoff in range(len(known)):
        low, high = cutoff - window.context + 1, cutoff + window.horizon
        if cutoff < begin or low < 0 or high >= len(known) or barred[low : high + 1].any():
            since = 0
            continue
        context, ahead = known[low : cutoff + 1], known[cutoff + 1 : high + 1]
        if since % window.stride == 0 and context.count() >= least and ahead.count() > 0:
            yield cutoff
        since += 1


@given(
    series=st.lists(READINGS, min_size=1, max_size=3),
    context=st.integers(1, 6),
    horizon=st.integers(1, 4),
    stride=st.integers(1, 3),
    max_gap=st.one_of(st.none(), st.integers(0, 5)),
    draws=st.data(),
)
def test_slide_finds_exactly_the_windows_of_a_plain_loop(
    series: list[list[float]], context: int, horizon: int, stride: int, max_gap: int | None, draws: st.DataObject
) -> None:
    """For any gaps, strides, borders and shares of readings; none crosses a series, a long gap or a border."""
    least = draws.draw(st.integers(1, context))
    bordered = draws.draw(st.booleans())
    begin = [draws.draw(st.integers(-1, len(y) - 1)) if bordered else -1 for y in series]
    end = [draws.draw(st.integers(-1, len(y) - 1)) if bordered else len(y) - 1 for y in series]
    window = Window(context=context, horizon=horizon, stride=stride, min_observed=least / context)
    panel = panel_of(series)
    offsets = panel.offsets[:-1]

    def rows(positions: list[int]) -> np.ndarray:
        return np.where(np.array(positions) < 0, -1, offsets + positions)

    windows = slide(panel, window, max_gap=max_gap, begin=rows(begin), end=rows(end))
    longest = context if max_gap is None else max_gap
    expected = [
        int(offsets[i]) + cutoff
        for i, y in enumerate(series)
        for cutoff in cutoffs_of(y, window, longest, begin[i], end[i], least)
    ]
    assert windows.rows(np.arange(len(windows))).tolist() == expected


def test_slide_without_borders_uses_every_row() -> None:
    """Two series of 5 and 4 rows, context 2, horizon 1: cutoffs at rows 1 to 3, and 6 to 7."""
    windows = slide(panel_of([[1.0] * 5, [2.0] * 4]), Window(context=2, horizon=1))
    assert windows.rows(np.arange(len(windows))).tolist() == [1, 2, 3, 6, 7]


def test_a_horizon_without_a_reading_is_no_window() -> None:
    """Row 0 is followed by two missing steps: nothing could be learned from it."""
    windows = slide(panel_of([[1.0, NAN, NAN, 1.0, 1.0, 1.0]]), Window(context=1, horizon=2), max_gap=2)
    assert windows.rows(np.arange(len(windows))).tolist() == [3]


def test_min_observed_is_met_by_exactly_its_share() -> None:
    """7 readings of 25 are 28 percent, although 0.28 · 25 is a little more than 7 in floating point."""
    y = [1.0] * 6 + [NAN] * 18 + [1.0, 1.0]
    window = Window(context=25, horizon=1, min_observed=0.28)
    assert len(slide(panel_of([y]), window, max_gap=20)) == 1


def test_batches_hold_what_pandas_slices_hold(rich: tuple[pd.DataFrame, Job]) -> None:
    """Every array of every window: target, covariates, labels, calendar, mask, static values, and what comes next."""
    table, job = rich
    grid = regular_grid(clean(table, job.series).table, job.series)
    features, scaler = learn_features(grid, job.series, time_zone=None), fit(grid, job.series)
    windows = slide(build(grid, features, scaler), job.window)
    indices = np.random.default_rng(0).permutation(len(windows))[:200]
    batch, y, ahead = windows.batch(indices), windows.targets(indices), windows.known_ahead(indices)
    assert features.inputs == (*"yp", "label=high", "label=low", "label=?", "f", "hour_sin", "hour_cos", "observed")
    assert {name: values.dtype for name, values in batch.items()} == {
        **dict.fromkeys(("past", "future", "static"), np.dtype("float32")),
        "codes": np.dtype("int32"),
    }
    reference = {name: _channels(rows, scaler, str(name)) for name, rows in grid.groupby("unique_id")}
    for k, row in enumerate(windows.rows(indices)):
        frame = grid.iloc[row]
        channels = reference[frame["unique_id"]]
        at = channels.index.get_loc(frame["ds"])
        context, after = channels.iloc[at - 5 : at + 1], channels.iloc[at + 1 : at + 4]
        numbers = {"rtol": 1e-5, "atol": 1e-6}
        np.testing.assert_allclose(batch["past"][k], context[list(features.inputs)].fillna(0.0), **numbers)
        np.testing.assert_allclose(batch["future"][k], after[list(features.known_ahead)].fillna(0.0), **numbers)
        np.testing.assert_allclose(ahead[k], after[list(features.known_ahead)], **numbers)
        np.testing.assert_allclose(y[k], after["target"], **numbers)
        area = {"a": 1.0, "b": 2.0, "c": 5.0}[frame["unique_id"]]
        np.testing.assert_allclose(batch["static"][k], scaler.apply_covariate("area", np.array([area])), **numbers)
        assert batch["codes"][k].tolist() == [2 if frame["unique_id"] == "b" else 1]


def _channels(rows: pd.DataFrame, scaler: Scaler, name: str) -> pd.DataFrame:
    """All channels of one series, computed column by column."""
    location, scale = scaler.of(pd.Index([name], dtype="str"))
    angle = 2 * np.pi * rows["ds"].dt.hour / 24
    target = (rows["y"] - location[0]) / scale[0]
    label = rows["label"].ffill()
    return pd.DataFrame(
        {
            "y": target.ffill().fillna(0.0),
            "p": ((rows["p"] - scaler.covariates["p"][0]) / scaler.covariates["p"][1]).ffill().fillna(0.0),
            **{f"label={value}": (label == value).astype(float) for value in ("high", "low")},
            "label=?": 0.0,
            "f": (rows["f"] - scaler.covariates["f"][0]) / scaler.covariates["f"][1],
            "hour_sin": np.sin(angle),
            "hour_cos": np.cos(angle),
            "observed": rows["y"].notna().astype(float),
            "target": target,
        }
    ).set_index(rows["ds"])


def test_absent_inputs_have_no_key() -> None:
    """A job of readings alone has no known-ahead, static or label input."""
    windows = slide(panel_of([[1.0] * 9]), Window(context=3, horizon=2))
    assert set(windows.batch(np.arange(2))) == {"past"}


def test_batches_cover_all_windows_once_and_the_last_may_be_smaller() -> None:
    """17 windows in blocks of 5."""
    windows = slide(panel_of([[1.0] * 20]), Window(context=3, horizon=1))
    blocks = list(windows.batches(5))
    assert [len(block) for block in blocks] == [5, 5, 5, 2]
    assert np.concatenate(blocks).tolist() == list(range(17))


def test_windows_of_any_order_and_none_at_all() -> None:
    """Indices may repeat and come in any order; no index gives empty arrays of the right shape."""
    windows = slide(panel_of([list(np.arange(9.0)), list(np.arange(20.0, 30.0))]), Window(context=3, horizon=2))
    batch = windows.batch(np.array([8, 0, 0]))
    assert batch["past"][:, :, 0].tolist() == [[23, 24, 25], [0, 1, 2], [0, 1, 2]]
    assert windows.targets(np.array([8])).tolist() == [[26, 27]]
    assert windows.batch(np.array([], dtype=int))["past"].shape == (0, 3, 2)


def test_at_rows_takes_the_cutoffs_that_it_is_given() -> None:
    """One window per row, in that order."""
    windows = at_rows(panel_of([list(np.arange(9.0))]), np.array([6, 2]), context=3, horizon=2)
    assert windows.batch(np.arange(2))["past"][:, :, 0].tolist() == [[4, 5, 6], [0, 1, 2]]
    assert windows.targets(np.arange(2)).tolist() == [[7, 8], [3, 4]]


@pytest.mark.parametrize("gaps", [0, 50])
def test_windows_of_millions_of_rows_take_a_few_numbers(gaps: int) -> None:
    """Five million rows: two numbers per run of windows, a run per stretch between gaps; batches share the panel."""
    rows = 5_000_000
    target = np.zeros(rows, dtype=np.float32)
    target[np.linspace(1000, rows - 1000, gaps).astype(int)] = NAN
    none = np.empty((rows, 0), dtype=np.float32)
    one = np.empty((1, 0), dtype=np.float32)
    panel = Panel(
        features=Features(freq="h"),
        unique_id=np.array(["a"]),
        offsets=np.array([0, rows]),
        start=np.array(["2000-01-01"], dtype="datetime64[us]"),
        observed=np.nan_to_num(target)[:, None],
        target=target,
        ahead=none,
        static=one,
        codes=one.astype(np.int32),
        location=np.zeros(1),
        scale=np.ones(1),
    )
    windows = slide(panel, Window(context=96, horizon=24, min_observed=1.0))
    assert len(windows) == rows - 96 - 24 + 1 - gaps * 96
    assert windows.first.size + windows.count.size <= 2 * (gaps + 1)
    assert windows.panel is panel
    assert _held(windows) == {"panel", "context", "horizon", "first", "count", "stride"}


def _held(windows: Windows) -> set[str]:
    return set(vars(windows)) - {"_ends"}
