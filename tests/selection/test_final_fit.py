"""The last fit of an ensemble: every member on all readings, and nothing else changed."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from forecasting.bundle.artifact import Bundle, Origin, open_bundle, read_graphs
from forecasting.bundle.engine import Engine
from forecasting.config.job import Job
from forecasting.evaluation.baselines import ALPHAS, Fit, ridge, solve
from forecasting.nn.exporters.ensemble import separated
from forecasting.selection.auto import fit_auto
from forecasting.selection.final_fit import fit_finally
from forecasting.selection.members import watch
from forecasting.series.folds import Fold
from forecasting.series.prepare import Learned, prepare
from tests.selection.small import made

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")


class Twins(NamedTuple):
    """A judged ensemble, its last fit, and what both were given."""

    job: Job
    table: pd.DataFrame
    fold: Fold
    judged: Bundle
    last: Bundle


@pytest.fixture(scope="module")
def twins(short: None, tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """An ensemble of all candidates, whatever the choice says, so that every kind of member has a last fit."""
    job, table, fold = made()
    work = tmp_path_factory.mktemp("last")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("forecasting.selection.auto.bagged", lambda _y, found, *_: np.full(len(found), 1 / len(found)))
        judged = open_bundle(fit_auto(table, job, fold, work / "judged", origin=Origin()).bundle)
    last = open_bundle(fit_finally(table, job, fold, judged, work / "last").bundle)
    return Twins(job, table, fold, judged, last)


def forecasts(bundle: Bundle, twins: Twins) -> dict[str, np.ndarray]:
    """What every member says (B, H, Q) about the validation windows, scaled."""
    windows = watch(prepare(twins.table, twins.job, twins.fold)).reading(bundle.spec.context)
    batch = windows.batch(np.arange(len(windows)))
    graphs = separated(read_graphs(bundle.path).model, len(bundle.spec.members))
    return {
        member.title: Engine(graph, threads=1).run(batch)["quantiles"]
        for member, graph in zip(bundle.spec.members, graphs, strict=True)
    }


def test_everything_but_the_weights_is_the_twins(twins: Twins) -> None:
    """Members, shares, scaler, and residuals; the origin names the last reading and the steps of the members."""
    assert twins.last.spec == twins.judged.spec
    np.testing.assert_array_equal(twins.last.calibration.residuals, twins.judged.calibration.residuals)
    assert twins.last.manifest.weights != twins.judged.manifest.weights
    origin = twins.last.manifest.origin
    assert origin.fit_until == twins.table["ds"].max()
    assert origin.steps == sum(one.fit.steps for one in twins.last.spec.members if one.fit)


def test_fitted_members_change_and_fixed_maps_stay(twins: Twins) -> None:
    """The ridge and the networks have seen more readings; seasonal naive and theta learn nothing from them."""
    before, after = forecasts(twins.judged, twins), forecasts(twins.last, twins)
    kinds = {one.title: one.model for one in twins.last.spec.members}
    assert {"ridge", "ridge, context 48"} <= set(kinds)
    assert {"ridge", "seasonal_naive", "theta", "segrnn"} <= set(kinds.values())
    stays = {title for title in kinds if np.array_equal(before[title], after[title])}
    assert {kinds[title] for title in stays} == {"seasonal_naive", "theta"}


@pytest.mark.parametrize(("title", "context"), [("ridge", 24), ("ridge, context 48", 48)])
def test_a_ridge_of_all_readings_has_the_judged_penalty_and_spread(title: str, context: int, twins: Twins) -> None:
    """As scikit-learn fits it to every window, with the penalty that the validation windows chose."""
    job = twins.job.model_copy(update={"window": twins.job.window.model_copy(update={"context": context})})
    data = prepare(twins.table, job, twins.fold)
    end = twins.table["ds"].max()
    learned = Learned(data.features, data.scaler, data.layout)
    everything = prepare(twins.table, job, Fold(end, end, twins.fold.cutoffs), learned=learned).train

    def design(windows: object) -> tuple[np.ndarray, np.ndarray]:
        indices = np.arange(len(windows))  # type: ignore[arg-type]
        batch, y = windows.batch(indices), windows.targets(indices).astype(float)  # type: ignore[attr-defined]
        past, last = batch["past"].astype(float), batch["past"][:, -1:, 0].astype(float)
        past[:, :, 0] -= last
        return np.hstack([past.reshape(len(y), -1), batch["future"].reshape(len(y), -1)]), y - last

    x, y = design(data.valid)
    solved = [Ridge(alpha=alpha).fit(*design(data.train)) for alpha in ALPHAS]
    chosen = ALPHAS[int(np.argmin([np.abs(one.predict(x) - y).mean() for one in solved]))]
    reference = Ridge(alpha=chosen).fit(*design(everything)).predict(x)
    linear = solve(everything, ridge(Fit(data.train, data.valid, 24)).penalty)
    batch = data.valid.batch(np.arange(len(data.valid)))
    ours = batch["past"].reshape(len(y), -1) @ linear.weights + batch["future"].reshape(len(y), -1) @ linear.ahead
    np.testing.assert_allclose(ours + linear.bias - batch["past"][:, -1:, 0], reference, atol=1e-4)

    before, after = forecasts(twins.judged, twins)[title], forecasts(twins.last, twins)[title]
    np.testing.assert_allclose(after[..., 1] - batch["past"][:, -1:, 0], reference, atol=1e-4)
    np.testing.assert_allclose(np.diff(after, axis=-1), np.diff(before, axis=-1), atol=1e-5)
