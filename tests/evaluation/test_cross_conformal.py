"""Errors on spans before the validation span: of fits that have not seen them, against loops and by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from forecasting.bundle.artifact import Origin, open_bundle
from forecasting.config.job import Job
from forecasting.evaluation import baselines
from forecasting.evaluation.baselines import Fit, ridge, solve
from forecasting.evaluation.cross_conformal import carried_over, lent_errors
from forecasting.evaluation.earlier_spans import EarlierSpan, earlier_spans, errors_before, with_earlier
from forecasting.series.clean import clean
from forecasting.series.folds import Fold, folds
from forecasting.series.prepare import Prepared, prepare
from forecasting.series.windows import Windows

CONTEXT, HORIZON, VALIDATION = 6, 3, 20


class World(NamedTuple):
    """A clean table, its job and fold, what a fit may see, and the spans before the validation span."""

    table: pd.DataFrame
    job: Job
    fold: Fold
    data: Prepared
    spans: list[EarlierSpan]


Worlds = Callable[[dict[str, np.ndarray]], World]


@pytest.fixture
def world_of(make_table: Callable[..., pd.DataFrame], make_job: Callable[..., Job]) -> Worlds:
    """Builds the world of some series."""

    def build(readings: dict[str, np.ndarray]) -> World:
        model = {"name": "auto"}
        job = make_job(model=model, backtest={"windows": 5}, train={"validation": VALIDATION})
        table = clean(make_table(readings), job.series).table
        fold = folds(table, job)[0]
        data = prepare(table, job, fold)
        return World(table, job, fold, data, earlier_spans(data.valid, job.window, None, fold.fit_until))

    return build


@pytest.fixture
def noise() -> dict[str, np.ndarray]:
    """One series of 160 readings with memory, without gaps; it scatters less from the validation span on."""
    draw = np.random.default_rng(3)
    scatter = np.where(np.arange(163) < 130, 1.5, 1.0)
    return {"a": 20 + np.convolve(scatter * draw.normal(size=163), [0.5, 1, 0.5, 0.25], "valid")}


def cutoffs(windows: Windows) -> list[int]:
    """The row of the last reading of each context."""
    return [int(row) for row in windows.rows(np.arange(len(windows)))]


def test_spans_lie_right_before_the_validation_span(world_of: Worlds, noise: dict[str, np.ndarray]) -> None:
    """Every window whose targets lie within a span is in it, and every one whose targets end before it may be learned
    from."""
    world = world_of(noise)
    border = len(noise["a"]) - HORIZON - 4 - VALIDATION - 1  # 5 cutoffs, the last one a horizon before the end
    assert len(world.spans) == 2
    for number, span in enumerate(world.spans, 1):
        begin, end = border - number * VALIDATION, border - (number - 1) * VALIDATION
        rows = range(CONTEXT - 1, len(noise["a"]))
        assert cutoffs(span.held_out) == [row for row in rows if row >= begin and row + HORIZON <= end]
        assert cutoffs(span.before) == [row for row in rows if row + HORIZON <= begin]


def test_a_span_with_too_little_before_it_is_left_out(world_of: Worlds, noise: dict[str, np.ndarray]) -> None:
    """The fit before the second would have fewer windows than there are to validate on."""
    assert len(world_of({"a": noise["a"][:90]}).spans) == 1
    assert not world_of({"a": noise["a"][:60]}).spans


def test_errors_are_those_of_a_ridge_that_has_not_seen_the_span(world_of: Worlds, noise: dict[str, np.ndarray]) -> None:
    """Against scikit-learn on lists of lags, window by window."""
    data, spans = (world := world_of(noise)).data, world.spans
    target = data.train.panel.target
    given = errors_before(spans, lambda before: solve(before, 10.0).forecast)

    expected = []
    for span in spans:
        lags, ahead = [], []
        for row in cutoffs(span.before):
            lags.append(target[row - CONTEXT + 1 : row + 1] - target[row])
            ahead.append(target[row + 1 : row + 1 + HORIZON] - target[row])
        fitted = Ridge(alpha=10.0).fit(np.array(lags), np.array(ahead))
        for row in cutoffs(span.held_out):
            made = fitted.predict([target[row - CONTEXT + 1 : row + 1] - target[row]])[0] + target[row]
            expected.append(target[row + 1 : row + 1 + HORIZON] - made)
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_nothing_after_a_span_changes_its_errors(world_of: Worlds, noise: dict[str, np.ndarray]) -> None:
    """Readings after the earlier span are replaced; scaled as before, its errors stay the same."""
    world = world_of(noise)
    last = world.spans[1]
    end = max(cutoffs(last.held_out)) + HORIZON
    before = errors_before([last], lambda windows: solve(windows, 1.0).forecast)
    world.data.train.panel.target[end + 1 :] = 1e3
    world.data.train.panel.observed[end + 1 :] = 1e3
    np.testing.assert_array_equal(errors_before([last], lambda windows: solve(windows, 1.0).forecast), before)


def test_carried_errors_have_the_center_and_the_width_of_a_models_own() -> None:
    """A model whose errors are twice the reference's, and 5 more, by hand; a missing reading stays missing."""
    reference = np.array([[-1.0], [0.0], [1.0]])
    errors = np.array([[10.0], [13.0], [17.0], [np.nan]])
    carried = carried_over(errors, reference, 2 * reference + 5)
    np.testing.assert_allclose(carried[:3, 0], [-1.0, 5.0, 13.0])
    assert np.isnan(carried[3, 0])


def test_a_ridge_lends_itself_its_own_errors(world_of: Worlds, noise: dict[str, np.ndarray]) -> None:
    """Beside itself it is neither better nor worse: only the medians of both spans are brought together."""
    data, spans = (world := world_of(noise)).data, world.spans
    judged = data.valid
    linear = solve(data.train, 1.0)
    own = judged.targets(np.arange(len(judged))) - linear.forecast(judged)
    lent = lent_errors(spans, linear, judged, own)
    errors = errors_before(spans, lambda before: solve(before, 1.0).forecast)
    np.testing.assert_allclose(lent, errors - np.median(errors, axis=0) + np.median(own, axis=0))


@pytest.mark.parametrize("name", ["ridge", "naive"])
def test_a_baseline_is_calibrated_on_all_three_spans(
    name: str, world_of: Worlds, noise: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """A ridge with the errors of ridges that had not seen a span, naive with its own everywhere."""
    table, job, fold, data, spans = world_of(noise)
    fit = Fit(data.train, data.valid, 1)
    penalty = ridge(fit).penalty
    windows = with_earlier(spans, data.valid)
    late = len(data.valid)
    if name == "ridge":
        errors = [
            errors_before(spans, lambda before: solve(before, penalty).forecast),
            data.valid.targets(np.arange(late)) - solve(data.train, penalty).forecast(data.valid),
        ]
    else:
        errors = [windows.targets(np.arange(len(windows))) - windows.observed(np.arange(len(windows)))[:, -1:, 0]]
    baselines.fit_all([name], table, job, fold, {name: tmp_path / name}, Origin())
    given = open_bundle(tmp_path / name).calibration.residuals[:, 0]
    np.testing.assert_allclose(given, np.sort(np.concatenate(errors), axis=0).T, atol=1e-4)


@pytest.mark.parametrize(("before", "ratio"), [(3.0, (2.0, 4.0)), (0.3, (1.0, 1.0))], ids=["louder", "quieter"])
def test_earlier_spans_widen_intervals_and_never_narrow_them(
    before: float, ratio: tuple[float, float], world_of: Worlds, tmp_path: Path
) -> None:
    """Readings scatter three times as much before the validation span, or a third: the 80 % interval of naive."""
    draw = np.random.default_rng(1)
    late = np.arange(400) >= 400 - HORIZON - 4 - VALIDATION
    _, job, _, data, spans = world_of({"a": np.where(late, 1.0, before) * draw.normal(size=400)})
    widths = {}
    for name, earlier in (("with", spans), ("without", [])):
        baselines.fit("naive", data, job, tmp_path / name, spans=earlier, origin=Origin())
        low, high = np.nanquantile(open_bundle(tmp_path / name).calibration.residuals[:, 0], [0.1, 0.9], axis=-1)
        widths[name] = float((high - low).mean())
    assert ratio[0] <= widths["with"] / widths["without"] <= ratio[1]
