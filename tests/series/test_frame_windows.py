"""Frames against a plain loop over cells, and the tables that no frame can hold."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.errors import DataError
from forecasting.series.clean import regular_grid
from forecasting.series.features import learn_features
from forecasting.series.frame_windows import FrameWindows, joint, place_windows
from forecasting.series.layout import Layout, cell_names, learn_layout
from forecasting.series.panel import Panel, build
from forecasting.series.scaling import Scaler
from forecasting.series.windows import slide

ROWS, COLUMNS, STEPS = 2, 3, 20


@pytest.fixture(params=["h", "MS"])
def table(request: pytest.FixtureRequest, make_table: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    """A grid of 2 × 3 cells: one is land, one begins late, one ends early, one has gaps."""
    draw = np.random.default_rng(3)
    readings = {name: draw.normal(size=STEPS) for name in cell_names(ROWS, COLUMNS) if name != "r1c1"}
    readings["r0c1"][5:8] = np.nan
    whole = make_table(readings, freq=request.param)
    step = whole.groupby("unique_id").cumcount()
    late, early = (whole["unique_id"] == "r0c2") & (step < 4), (whole["unique_id"] == "r1c2") & (step > 15)
    return whole[~late & ~early].reset_index(drop=True).assign(p=lambda rows: draw.normal(size=len(rows)))


@pytest.fixture
def job(table: pd.DataFrame, make_job: Callable[..., Job]) -> Job:
    """Context 4, horizon 2, a past covariate and the month as what is known ahead."""
    freq = "h" if table["ds"].iloc[1].day == 1 and table["ds"].iloc[1].hour == 1 else "MS"
    window = {"context": 4, "horizon": 2, "min_observed": 0.25}
    return make_job(
        {"freq": freq, "past": ["p"], "calendar": ["month"], "layout": "grid", "scale": "none"}, window=window
    )


def panel_of(table: pd.DataFrame, job: Job) -> Panel:
    """The panel of a table in units of its readings."""
    features = learn_features(table, job.series, time_zone=None).model_copy(update={"mask": True})
    return build(regular_grid(table, job.series), features, Scaler(covariates={"p": (0.0, 1.0)}))


def frames_of(table: pd.DataFrame, job: Job) -> FrameWindows:
    """All frames of a table."""
    layout = learn_layout(table, job.series)
    assert layout is not None
    return joint(slide(panel_of(table, job), job.window), layout)


def test_frames_equal_a_loop_over_cells(table: pd.DataFrame, job: Job) -> None:
    """Inputs and targets of every frame, cell by cell and step by step, from the table itself."""
    frames = frames_of(table, job)
    stamps = pd.DatetimeIndex(sorted(table["ds"].unique()))
    y, p = (table.pivot(index="ds", columns="unique_id", values=name).reindex(stamps) for name in ("y", "p"))
    batch, targets = (call(np.arange(len(frames))) for call in (frames.batch, frames.targets))
    assert batch["past"].shape == (len(frames), 4, ROWS, COLUMNS, len(frames.windows.panel.features.inputs))
    for frame, cutoff in enumerate(frames.cutoffs):
        for row in range(ROWS):
            for column in range(COLUMNS):
                cell = batch["past"][frame, :, row, column]
                ahead = targets[frame].reshape(2, ROWS, COLUMNS)[:, row, column]
                name = f"r{row}c{column}"
                if name not in y:
                    assert not cell.any()
                    assert np.isnan(ahead).all()
                    continue
                seen = np.arange(cutoff - 3, cutoff + 1)
                filled = np.nan_to_num(y[name].ffill().to_numpy()[seen])
                np.testing.assert_allclose(cell[:, 0], filled, rtol=1e-6)
                np.testing.assert_allclose(cell[:, 1], np.nan_to_num(p[name].ffill().to_numpy()[seen]), rtol=1e-6)
                span = np.flatnonzero(y[name].notna())
                inside = (seen >= span[0]) & (seen <= span[-1])
                np.testing.assert_array_equal(cell[:, 2:-1].any(axis=1), inside)  # its calendar, sine and cosine
                np.testing.assert_array_equal(cell[:, -1], y[name].notna().to_numpy()[seen])
                np.testing.assert_allclose(ahead, y[name].to_numpy()[cutoff + 1 : cutoff + 3], rtol=1e-6)


def test_frames_know_ahead_what_every_series_knows(table: pd.DataFrame, job: Job) -> None:
    """The calendar of the horizon is that of single windows with the same cutoff."""
    frames = frames_of(table, job)
    windows = frames.windows
    single = place_windows(windows, np.arange(len(windows)), frames.layout)
    ahead = single.frames.batch(np.arange(len(single.frames)))["future"]
    np.testing.assert_array_equal(ahead[single.frame], windows.batch(np.arange(len(windows)))["future"])


def test_previous_is_the_target_one_step_before(table: pd.DataFrame, job: Job) -> None:
    """Where both are readings, the second step's previous value is the first step's target."""
    frames = frames_of(table, job)
    everything = np.arange(len(frames))
    targets, previous = (call(everything).reshape(-1, 2, ROWS * COLUMNS) for call in (frames.targets, frames.previous))
    known = ~np.isnan(targets[:, 0])
    np.testing.assert_array_equal(previous[:, 1][known], targets[:, 0][known])


def test_placed_windows_stand_in_their_frames(table: pd.DataFrame, job: Job) -> None:
    """The past of a single window stands in its frame, at its place."""
    frames = frames_of(table, job)
    some = np.arange(0, len(frames.windows), 3)
    placed = place_windows(frames.windows, some, frames.layout)
    past = placed.frames.batch(np.arange(len(placed.frames)))["past"]
    cells = past.reshape(*past.shape[:2], -1, past.shape[-1])
    np.testing.assert_array_equal(cells[placed.frame, :, placed.place], frames.windows.batch(some)["past"])


def test_series_between_the_stamps_of_others_are_refused(
    make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]
) -> None:
    """Half an hour apart, two hourly series are no line."""
    table = pd.concat([make_table({"a": np.ones(9)}), make_table({"b": np.ones(9)}, start="2024-01-01 00:30")])
    job = make_job({"layout": "line"})
    layout = learn_layout(table, job.series)
    assert layout is not None
    panel = build(regular_grid(table, job.series), learn_features(table, job.series, time_zone=None), Scaler())
    with pytest.raises(DataError, match=r"share their stamps.*\n.*b begins at 2024-01-01T00:30"):
        joint(slide(panel, job.window), layout)


def test_a_missing_series_needs_a_mask(make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]) -> None:
    """A model that never saw a gap names the series that it lacks, and any that it does not know."""
    table, job = make_table({"a": np.arange(9.0), "x": np.arange(9.0)}), make_job({"layout": "line"})
    panel = build(regular_grid(table, job.series), learn_features(table, job.series, time_zone=None), Scaler())
    windows = slide(panel, job.window)
    for names, sentence in ((("a", "x", "z"), "lacks:\n  - z"), (("a", "b"), "no place among the 2 .*\n  - x")):
        frames = joint(windows, Layout(shape=(len(names),), unique_id=names))
        with pytest.raises(DataError, match=sentence):
            frames.batch(np.arange(1))
