"""Models of numbers: from a history to quantiles of its future."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.ahead import fill_ahead
from forecasting.bundle.cautions import Caution, cautions, filled
from forecasting.bundle.fast_path import Readings, windows_of
from forecasting.bundle.forecasts import QuantileForecasts
from forecasting.bundle.generation import Generator
from forecasting.bundle.groups import groups_of, widths_of
from forecasting.bundle.protocol import Forecaster
from forecasting.bundle.spec import level_quantiles
from forecasting.columns import Y
from forecasting.errors import ArtifactError, ConfigError, DataError
from forecasting.series.clean import clean, regular_grid
from forecasting.series.moments import Cutoffs
from forecasting.series.panel import Panel, build
from forecasting.series.validate import validate
from forecasting.series.windows import Windows, at_rows

__all__ = ["QuantileForecaster"]

BATCH = 1024  # windows per call of the engine: large enough to fill the cores, small enough for any memory


class Latest(NamedTuple):
    """The windows at the last readings, and the warnings about what they hold."""

    windows: Windows
    cautions: tuple[Caution, ...]


class QuantileForecaster(Forecaster):
    """A bundle that forecasts quantiles: networks and baselines alike."""

    @property
    def generator(self) -> Generator:
        """None: raises ConfigError."""
        raise ConfigError(f"{self.spec.job} forecasts numbers; only a model of symbols continues a text")

    def check(self) -> None:
        """Forecast the golden inputs; raises ArtifactError if the result does not fit the spec or is not finite."""
        spec, batch = self.spec, self.bundle.golden
        found = self.bundle.predictor.quantiles(batch)
        if not np.isfinite(found).all():
            raise ArtifactError("its forecasts are not finite")
        places = 1 if spec.layout is None else spec.layout.places
        steps = {"past": spec.context, "future": spec.horizon}
        wanted = (len(batch["past"]), spec.horizon * places, len(spec.quantiles))
        if found.shape != wanted or any(batch[name].shape[1] != steps[name] for name in steps if name in batch):
            raise ArtifactError("the shapes of its graph differ from its specification")

    def reaching(self, horizon: int) -> QuantileForecaster:
        """The same model for a horizon of this length, which may exceed the trained one.

        Beyond it, the model continues from its own forecasts, and intervals have the residuals of the last calibrated
        step. Raises ConfigError if the model cannot.
        """
        if horizon <= self.spec.horizon:
            return self
        predictor, calibration = self.bundle.predictor.reaching(horizon), self.bundle.calibration.reaching(horizon)
        return QuantileForecaster(
            self.bundle._replace(spec=predictor.spec, predictor=predictor, calibration=calibration)
        )

    def warned(
        self,
        history: pd.DataFrame | Readings,
        future: pd.DataFrame | None = None,
        *,
        levels: tuple[int, ...] | None = None,
        horizon: int | None = None,
    ) -> tuple[pd.DataFrame, tuple[Caution, ...]]:
        """Every series is forecast, however short (`min_length` is for training); see `Forecaster.warned`.

        For more steps than trained, see `reaching`.
        """
        steps = self.spec.horizon if horizon is None else horizon
        able = self.reaching(steps)
        windows, found = able.latest(_joined(history, future), steps=steps)
        return able.windows(windows, able.wanted_of(levels)).until(steps).table(), found

    def wanted_of(self, levels: tuple[int, ...] | None) -> tuple[float, ...]:
        """The quantiles that bound central intervals of these levels, and the median; by default those configured."""
        return self.spec.wanted if levels is None else tuple(sorted({0.5, *level_quantiles(levels)}))

    def latest(
        self,
        history: pd.DataFrame | Readings,
        *,
        steps: int | None = None,
        guard: Callable[[pd.DataFrame], None] | None = None,
    ) -> Latest:
        """The window at the last reading of every series, and the warnings on it; raises DataError that lists every
        fault.

        Values known ahead are needed for so many `steps`, by default for the horizon, unless the job has them filled;
        later ones that are missing count as their mean. Whole, regular readings take the fast path; others are
        validated and cleaned as in training.
        `guard` sees the table before that work, and may refuse it.
        """
        needed = steps or self.spec.horizon
        if isinstance(history, pd.DataFrame):
            return self._cleaned(history, needed)
        windows = windows_of(history, self.spec)
        if windows is not None:
            return Latest(windows, cautions(self.spec, windows, needed))
        table = history.table()
        if guard is not None:
            guard(table)
        return self._cleaned(table, needed)

    def _cleaned(self, table: pd.DataFrame, steps: int) -> Latest:
        series = self.spec.series.model_copy(update={"min_length": 1})
        validate(table, series).raise_for_errors()
        grid = regular_grid(clean(table, series).table, self.spec.series)
        grid, ahead = fill_ahead(grid, self.spec, steps)
        windows = self._at_last_reading(self._panel(grid))
        self._check_known_ahead(windows, steps)
        return Latest(windows, (*ahead, *filled(grid, self.spec), *cautions(self.spec, windows, steps)))

    def at(self, table: pd.DataFrame, cutoffs: Cutoffs, wanted: tuple[float, ...] | None = None) -> QuantileForecasts:
        """Forecast every series at each of `cutoffs` from the readings known then; `table` must be clean.

        `wanted` are the quantiles, by default the bundle's own. A series without a reading up to a cutoff has no
        forecast there; a missing value known ahead is replaced by its mean, as in training.
        """
        panel = self._panel(regular_grid(table, self.spec.series), every_row=True)
        spec = self.spec
        ends = panel.offsets[1:] - spec.horizon
        rows = [self._observed_rows(panel, panel.rows_at(cutoff), ends) for cutoff in cutoffs]
        found = np.concatenate([np.empty(0, dtype=np.int64), *rows])
        return self.windows(at_rows(panel, found, context=spec.context, horizon=spec.horizon), wanted)

    def windows(self, windows: Windows, wanted: tuple[float, ...] | None = None) -> QuantileForecasts:
        """Forecast windows of a panel that was built with this bundle's features and scaler."""
        quantiles = wanted or self.spec.wanted
        size = BATCH if self.spec.layout is None else max(len(windows), 1)  # a frame in two blocks would be read twice
        blocks = [self._block(windows, indices, quantiles) for indices in windows.batches(size)]
        panel, rows = windows.panel, windows.rows(np.arange(len(windows)))
        steps = rows[:, None] + np.arange(1, self.spec.horizon + 1)
        empty = np.empty((0, self.spec.horizon, len(quantiles)))
        return QuantileForecasts(
            panel.unique_id[panel.series_of(rows)],
            panel.stamps[rows],
            panel.stamps[steps],
            np.concatenate(blocks) if blocks else empty,
            quantiles,
        )

    def scaled(self, windows: Windows, indices: np.ndarray) -> np.ndarray:
        """The model's own quantiles (B, H, Q) in the scaled space, before calibration."""
        return self.bundle.predictor.windows(windows, indices)

    def _block(self, windows: Windows, indices: np.ndarray, quantiles: tuple[float, ...]) -> np.ndarray:
        return self.finish(self.scaled(windows, indices), windows, indices, quantiles)

    def finish(
        self, base: np.ndarray, windows: Windows, indices: np.ndarray, quantiles: tuple[float, ...]
    ) -> np.ndarray:
        """From the model's own quantiles (B, H, Q) to calibrated ones (B, H, A) in units of the target."""
        spec, panel = self.spec, windows.panel
        groups, widths = groups_of(spec, windows, indices), widths_of(spec, windows, indices)
        scaled = self.bundle.calibration.apply(base, quantiles, groups, widths)
        series = panel.series_of(windows.rows(indices))
        location, scale = (values[series][:, None, None] for values in (panel.location, panel.scale))
        values = spec.scaler.invert(scaled.astype(np.float64), location, scale)
        values = np.clip(values, spec.series.lower, spec.series.upper)
        rounded: np.ndarray = np.round(values) if spec.series.integer else values
        return rounded

    def _panel(self, grid: pd.DataFrame, *, every_row: bool = False) -> Panel:
        return build(
            grid,
            self.spec.features,
            self.spec.scaler,
            context=self.spec.context,
            horizon=self.spec.horizon,
            every_row=every_row,
        )

    def _at_last_reading(self, panel: Panel) -> Windows:
        real = ~np.isnan(panel.target)
        last = np.maximum.accumulate(np.where(real, np.arange(len(real)), -1))[panel.offsets[1:] - 1]
        last = last[last >= panel.offsets[:-1]]  # a series without any reading has none
        return at_rows(panel, last, context=self.spec.context, horizon=self.spec.horizon)

    def _observed_rows(self, panel: Panel, rows: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The cutoff rows that lie on the series' own grid and have a reading at or before them."""
        inside = (rows >= panel.offsets[:-1] + self.spec.context - 1) & (rows < ends)
        rows, first = rows[inside], panel.offsets[:-1][inside]
        real = np.concatenate([[0], np.cumsum(~np.isnan(panel.target))])
        seen: np.ndarray = rows[real[rows + 1] > real[first]]
        return seen

    def _check_known_ahead(self, windows: Windows, steps: int) -> None:
        features = self.spec.features
        if not features.future:
            return
        indices = np.arange(len(windows))
        lacking = np.isnan(windows.known_ahead(indices)[:, :steps]).any(axis=1)  # (B, F)
        if not lacking.any():
            return
        panel = windows.panel
        violations = [
            f"{panel.unique_id[panel.series_of(windows.rows(indices[[window]]))[0]]}: "
            + ", ".join(name for name, lacks in zip(features.known_ahead, lacking[window], strict=True) if lacks)
            for window in np.flatnonzero(lacking.any(axis=1))[:10]
        ]
        raise DataError(
            f"{int(lacking.any(axis=1).sum())} series lack values that must be known for the next"
            f" {steps} steps; add them as rows without {Y}, or in the future table:",
            violations,
        )


def _joined(history: pd.DataFrame | Readings, future: pd.DataFrame | None) -> pd.DataFrame | Readings:
    if future is None:
        return history
    table = history if isinstance(history, pd.DataFrame) else history.table()
    return pd.concat([table, future], ignore_index=True)
