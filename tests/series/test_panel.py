"""Panels: filled causally, laid on the right stamps, padded where asked, labels and unseen series included."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from forecasting.config.job import Job
from forecasting.config.series import Series
from forecasting.series import panel as module
from forecasting.series.clean import clean, regular_grid
from forecasting.series.features import Features, learn_features
from forecasting.series.panel import Panel, build, join
from forecasting.series.scaling import Scaler, fit

Tables = Callable[..., pd.DataFrame]
NAN = np.nan
FREQS = [
    ("5min", "2024-01-01 00:10"),
    ("h", "2024-01-01 00:30"),  # hours need not begin at their own
    ("D", "2024-02-27"),
    ("B", "2024-01-04 16:00"),
    ("ME", "2024-01-31"),
    ("MS", "2024-01-01"),
    ("QS", "2024-01-01"),
    ("W-SUN", "2024-01-07"),
]


def plain(table: pd.DataFrame, freq: str = "h", **options: int) -> Panel:
    """The panel of unscaled readings alone."""
    return build(table, Features(freq=freq), Scaler(), **options)


def test_missing_values_are_filled_with_the_last_one_of_the_same_series(make_table: Tables) -> None:
    """Never with a later one, never with another series', zero before the first; the target keeps its NaN."""
    table = make_table({"a": [NAN, 1, NAN, NAN, 4, NAN], "b": [NAN, NAN, 7]})
    panel = plain(table)
    assert panel.observed[:, 0].tolist() == [0, 1, 1, 1, 4, 4, 0, 0, 7]
    assert np.array_equal(panel.target, table["y"].astype("float32"), equal_nan=True)


def test_later_values_change_no_earlier_row(rich: tuple[pd.DataFrame, Job]) -> None:
    """Rows up to any moment are the same whatever comes after it, covariates and labels included."""
    table, job = rich
    grid = regular_grid(clean(table, job.series).table, job.series)
    features, scaler = learn_features(grid, job.series, time_zone=None), fit(grid, job.series)
    changed, draw = grid.copy(), np.random.default_rng(0)
    moment = pd.Timestamp("2024-01-04 12:00")
    later = (grid["ds"] > moment).to_numpy()
    for name in ("y", "p"):
        changed.loc[later, name] = np.where(draw.random(later.sum()) < 0.5, NAN, draw.normal(size=later.sum()))
    changed.loc[later, "label"] = None
    one, other = build(grid, features, scaler), build(changed, features, scaler)
    earlier = one.stamps <= np.datetime64(moment)
    assert 0 < earlier.sum() < len(earlier)
    assert np.array_equal(one.observed[earlier], other.observed[earlier])
    assert not np.array_equal(one.observed, other.observed)


@pytest.mark.parametrize(("freq", "start"), FREQS)
def test_stamps_are_those_of_the_table_with_padding_and_horizon(freq: str, start: str, make_table: Tables) -> None:
    """Rows before the first and after the last reading continue the grid of their own series."""
    table = make_table({"a": np.arange(9), "b": np.arange(4)}, freq, start)
    assert plain(table, freq).stamps.tolist() == table["ds"].to_numpy().tolist()
    whole = plain(table, freq, context=3, horizon=2, every_row=True)
    for i, length in enumerate([9, 4]):
        own = whole.stamps[whole.offsets[i] : whole.offsets[i + 1]]
        assert own[2:-2].tolist() == pd.date_range(start, periods=length, freq=freq).tolist()
        assert own.tolist() == pd.date_range(own[0], periods=length + 4, freq=freq).tolist()


@pytest.mark.parametrize(("freq", "start"), FREQS)
def test_rows_at_is_the_last_row_at_or_before_the_stamp(freq: str, start: str, make_table: Tables) -> None:
    """Against a loop over the stamps, on the grid and between, before the first and after the last; -1 is none."""
    later = pd.date_range(start, periods=5, freq=freq)[-1]
    table = pd.concat([make_table({"a": np.arange(9)}, freq, start), make_table({"b": [1, 2]}, freq, str(later))])
    panel = plain(table.reset_index(drop=True), freq)
    grid = pd.date_range(start, periods=12, freq=freq)
    for stamp in [*grid, *(grid - pd.Timedelta(1, "min")), *(grid + pd.Timedelta(7, "s"))]:
        expected = [-1, -1]
        for row, own in enumerate(panel.stamps):
            if own <= np.datetime64(stamp):
                expected[0 if row < 9 else 1] = row
        assert panel.rows_at(stamp).tolist() == expected


def test_padding_makes_the_last_reading_a_cutoff(make_table: Tables) -> None:
    """Context 4: two readings get two rows before them, five get none, and trailing rows known ahead count for none."""
    table = make_table({"a": [1, 2], "b": [1, 2, 3, 4, 5], "c": [1, NAN, NAN]})
    panel = plain(table, context=4, horizon=2)
    assert panel.lengths.tolist() == [2 + 2 + 2, 5 + 2, 3 + 3 + 2]
    assert panel.observed[:6, 0].tolist() == [0, 0, 1, 2, 2, 2]
    assert panel.stamps[0] == np.datetime64("2023-12-31T22:00")
    assert np.isnan(panel.target[[0, 1, 4, 5]]).all()
    assert panel.series_of(np.array([5, 6, 12, 13])).tolist() == [0, 1, 1, 2]


def test_every_row_can_be_a_cutoff_where_asked(make_table: Tables) -> None:
    """One row less than the context before each series, however long it is."""
    panel = plain(make_table({"a": [1, 2], "b": [1, 2, 3, 4, 5]}), context=4, every_row=True)
    assert panel.lengths.tolist() == [5, 8]
    assert panel.rows_at(pd.Timestamp("2024-01-01")).tolist() == [3, 8]


def test_labels_become_one_channel_each_and_one_for_unknown_ones(make_table: Tables) -> None:
    """A missing past label is the last one; a missing label known ahead stays missing."""
    table = make_table({"a": [1, 2, 3, 4]}).assign(
        past=pd.array(["v", None, "u", "new"], dtype="str"), ahead=pd.array(["x", "new", None, "y"], dtype="str")
    )
    features = Features(
        freq="h", past=("past",), future=("ahead",), vocabulary={"past": ("u", "v"), "ahead": ("x", "y")}
    )
    panel = build(table, features, Scaler())
    assert features.observed == ("y", "past=u", "past=v", "past=?")
    assert panel.observed[:, 1:].tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert np.array_equal(panel.ahead, [[1, 0, 0], [0, 0, 1], [NAN] * 3, [0, 1, 0]], equal_nan=True)


def test_what_is_known_ahead_is_never_filled_and_the_calendar_never_missing(make_table: Tables) -> None:
    """Appended rows have no covariate yet, but a date."""
    table = make_table({"a": [1, 2]}).assign(f=[3.0, NAN])
    features = Features(freq="h", future=("f",), calendar=("hour",))
    panel = build(table, features, Scaler(covariates={"f": (1.0, 2.0)}), horizon=2)
    assert np.array_equal(panel.ahead[:, 0], [1.0, NAN, NAN, NAN], equal_nan=True)
    angle = 2 * np.pi * np.arange(4) / 24
    np.testing.assert_allclose(panel.ahead[:, 1:], np.stack([np.sin(angle), np.cos(angle)], axis=1), atol=1e-6)


def test_static_values_are_one_row_a_series(make_table: Tables) -> None:
    """Numbers are standardized, a missing one is the mean; unknown and missing labels have code 0."""
    table = make_table({"a": [1, 2], "b": [3], "c": [4]}).assign(
        area=[1.0, 1.0, NAN, 5.0], kind=pd.array(["u", "u", "w", None], dtype="str")
    )
    features = Features(freq="h", static=("area", "kind"), vocabulary={"kind": ("u", "v")})
    panel = build(table, features, Scaler(covariates={"area": (3.0, 2.0)}))
    assert panel.static.tolist() == [[-1.0], [0.0], [1.0]]
    assert panel.codes.tolist() == [[1], [0], [0]]
    assert features.cardinalities == (3,)


def test_unseen_series_take_the_pooled_scale(make_table: Tables) -> None:
    """Known ones their own."""
    scaler = Scaler(unique_id=("b",), location=(10.0,), scale=(2.0,), pooled=(1.0, 4.0))
    panel = build(make_table({"a": [5], "b": [14]}), Features(freq="h"), scaler)
    assert panel.target.tolist() == [1.0, 2.0]
    assert [panel.location.tolist(), panel.scale.tolist()] == [[1.0, 10.0], [4.0, 2.0]]


def test_features_are_learned_from_the_rows_given(make_table: Tables) -> None:
    """Vocabularies in order, a mask where a reading is missing, and the same after a JSON round trip."""
    table = make_table({"a": [1, NAN, 3]}).assign(c=pd.array(["z", None, "m"], dtype="str"))
    series = Series(freq="h", past=("c",), categorical=("c",))
    features = learn_features(table, series, time_zone="Europe/Berlin")
    assert features.vocabulary == {"c": ("m", "z")}
    assert [features.mask, learn_features(table[:1], series, time_zone=None).mask] == [True, False]
    assert features.inputs == ("y", "c=m", "c=z", "c=?", "observed")
    assert Features.model_validate_json(features.model_dump_json()) == features


@pytest.mark.parametrize(("freq", "zone"), [("h", "America/New_York"), ("D", None), ("B", None), ("ME", None)])
def test_only_stamps_with_a_time_have_a_zone(freq: str, zone: str | None, make_table: Tables) -> None:
    """A day is a plain date: read as UTC midnight, Monday in New York would be Sunday."""
    series = Series(freq=freq, calendar=("day_of_week",))
    assert learn_features(make_table({"a": [1.0]}), series, time_zone="America/New_York").time_zone == zone


def test_blocks_of_series_make_the_same_panel(rich: tuple[pd.DataFrame, Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """Built series by series, or in one piece: all arrays agree, padding and horizon included."""
    table, job = rich
    grid = regular_grid(clean(table, job.series).table, job.series)
    features, scaler = learn_features(grid, job.series, time_zone=None), fit(grid, job.series)
    whole = build(grid, features, scaler, context=200, horizon=3)
    monkeypatch.setattr(module, "_BLOCK", 1)
    blocks = build(grid, features, scaler, context=200, horizon=3)
    parts = [build(grid[grid["unique_id"] == name], features, scaler, context=200, horizon=3) for name in "abc"]
    for other in (blocks, join(parts)):
        for name in ("unique_id", "offsets", "start", "observed", "target", "ahead", "static", "codes", "scale"):
            values = getattr(whole, name)
            assert np.array_equal(values, getattr(other, name), equal_nan=values.dtype.kind == "f"), name
