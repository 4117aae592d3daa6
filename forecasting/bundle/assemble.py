"""From a fitted model to a bundle: its residuals on held-out windows, its golden forecast, its files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.artifact import Bundle, Origin, read_graphs, write
from forecasting.bundle.cautions import extremes
from forecasting.bundle.conformal import calibrate
from forecasting.bundle.engine import Graphs
from forecasting.bundle.groups import groups_of, weights_of, widths_of
from forecasting.bundle.predictor import Predictor
from forecasting.bundle.spec import IntervalSpec, Spec, TableSpec, wanted_quantiles
from forecasting.config.job import Job
from forecasting.config.series import Window
from forecasting.errors import DataError
from forecasting.runtime.files import replace_folder
from forecasting.series.clean import regular_grid
from forecasting.series.features import Features
from forecasting.series.layout import Layout
from forecasting.series.moments import Moment
from forecasting.series.panel import Panel, build
from forecasting.series.scaling import Scaler
from forecasting.series.windows import Windows, evenly, slide

__all__ = ["NONE_EARLIER", "Earlier", "assemble", "deviations", "panel_of", "recalibrate", "renew", "spec_for"]

BATCH = 1024
MOST_WINDOWS = 20_000  # for residuals, evenly spread
MOST_PATHED = 2_000  # the same, if every window takes hundreds of sample paths; as many residuals as are kept
GOLDEN_WINDOWS = 4


class Earlier(NamedTuple):
    """The first windows of those that a model is calibrated on: they lie before the validation span.

    Where the model was fitted on them, `lent` (B, H) are errors of fits that had not seen them, scaled, NaN where there
    is no reading.
    """

    size: int  # how many
    lent: np.ndarray | None = None


NONE_EARLIER = Earlier(0)

Extremes = tuple[tuple[float, float], ...]


def spec_for(
    job: Job,
    model: str,
    features: Features,
    scaler: Scaler,
    *,
    context: int,
    quantiles: tuple[float, ...] | None = None,
    layout: Layout | None = None,
) -> Spec:
    """The spec of a model of this job; forecasts show the head's quantiles and the bounds of the job's levels.

    A model with `quantiles` of its own gives only these, for the whole horizon at once; without, it is the network.
    """
    network = quantiles is None
    return Spec(
        job=job.name,
        model=model,
        baseline=not network,
        head=job.head.name if network else "quantile",
        table=TableSpec.of(job.series),
        features=features,
        scaler=scaler,
        layout=layout if network else None,
        context=context,
        horizon=job.window.horizon,
        block=job.window.block if network else None,
        paths=job.forecast.paths,
        quantiles=job.head.quantiles if quantiles is None else quantiles,
        wanted=wanted_quantiles(job),
        missing_ahead=job.forecast.missing_ahead,
        max_age=job.forecast.max_age,
        intervals=IntervalSpec(by=job.forecast.calibrate.by, half_life=job.forecast.calibrate.half_life),
    )


def assemble(
    directory: Path,
    spec: Spec,
    graphs: Graphs,
    held_out: Windows,
    *,
    earlier: Earlier = NONE_EARLIER,
    origin: Origin,
    weights_file: Path | None = None,
) -> Path:
    """Write the bundle of `graphs`, calibrated on windows that it was not fitted on; raises DataError if there are
    none.

    The windows that are `earlier` than the validation span count only if errors there are larger.
    """
    if not len(held_out):
        raise DataError(
            f"no window of {spec.context} + {spec.horizon} steps to calibrate {spec.model} on; bring more data"
        )
    spec = spec.model_copy(update={"extremes": _widened(spec.extremes, extremes(held_out.panel))})
    predictor = Predictor(spec, graphs)
    most = MOST_PATHED if predictor.feeds_back else MOST_WINDOWS
    chosen = evenly(len(held_out), most)
    blocks = np.array_split(chosen, 1 if spec.layout else -(-len(chosen) // BATCH))
    base = np.concatenate([predictor.windows(held_out, block) for block in blocks])
    points = base[..., len(spec.quantiles) // 2]
    y = _actuals(held_out.targets(chosen), chosen, points, earlier)
    counted = _counted(y - points, chosen < earlier.size)
    chosen, base, y = chosen[counted], base[counted], y[counted]
    golden = predictor.batch(held_out, chosen[:: max(1, len(chosen) // GOLDEN_WINDOWS)][:GOLDEN_WINDOWS])
    return write(
        directory,
        spec,
        graphs,
        calibration=calibrate(
            y,
            base,
            spec.quantiles,
            groups=groups_of(spec, held_out, chosen),
            weights=weights_of(spec, held_out, chosen),
            widths=widths_of(spec, held_out, chosen),
            series=held_out.panel.series_of(held_out.rows(chosen)),
        ),
        golden={name: golden[name] for name in predictor.inputs},
        origin=origin,
        weights_file=weights_file,
    )


def _actuals(y: np.ndarray, chosen: np.ndarray, points: np.ndarray, earlier: Earlier) -> np.ndarray:
    """The targets (B, H) of the chosen windows; where errors are lent, what would lie so far from the `points`."""
    first = chosen < earlier.size
    if earlier.lent is not None:
        y[first] = points[first] + earlier.lent[chosen[first]]
    return y


def _counted(errors: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Which of the errors (B, H) count (B,): all, or none of the earlier ones, if these are not larger."""
    if earlier.all() or not earlier.any():
        return np.ones(len(errors), dtype=bool)
    larger = np.nanmean(deviations(errors[earlier])) > np.nanmean(deviations(errors[~earlier]))
    counted: np.ndarray = ~earlier | larger
    return counted


def deviations(errors: np.ndarray) -> np.ndarray:
    """The absolute deviations (B, H) of errors from the median of their step."""
    found: np.ndarray = np.abs(errors - np.nanmedian(errors, axis=0))
    return found


def _widened(known: Extremes, found: Extremes) -> Extremes:
    """The extremes of both."""
    pairs = zip(known or found, found, strict=True)
    return tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs)


def recalibrate(
    bundle: Bundle, table: pd.DataFrame, since: Moment, directory: Path, *, min_observed: float = 0.5
) -> Path:
    """Write the same model with the residuals of every window after `since`, which it was never fitted on.

    A window counts if at least the share `min_observed` of its context was read, the job's `window.min_observed`. The
    weights stay the same, and so does the verdict on them. `table` must be clean. A model of symbols has no residuals.
    """
    spec = bundle.spec
    if not spec.quantiles:
        replace_folder(directory, lambda draft: shutil.copytree(bundle.path, draft, dirs_exist_ok=True))
        return directory
    panel = panel_of(spec, table)
    window = Window(context=spec.context, horizon=spec.horizon, min_observed=min_observed)
    return renew(bundle, slide(panel, window, max_gap=spec.series.max_gap, begin=panel.rows_at(since)), directory)


def panel_of(spec: Spec, table: pd.DataFrame) -> Panel:
    """A clean table as a model reads it: its features, scaled, every series padded at its begin by a context."""
    return build(regular_grid(table, spec.series), spec.features, spec.scaler, context=spec.context, every_row=True)


def renew(bundle: Bundle, held_out: Windows, directory: Path, *, earlier: Earlier = NONE_EARLIER) -> Path:
    """Write the same model calibrated on other windows, as `assemble` does."""
    kept = bundle.manifest.weights_file
    return assemble(
        directory,
        bundle.spec,
        read_graphs(bundle.path),
        held_out,
        earlier=earlier,
        origin=bundle.manifest.origin,
        weights_file=bundle.path / kept if kept else None,
    )
