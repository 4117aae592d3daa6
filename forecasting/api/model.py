"""A model in the hand: it forecasts, draws, and is saved as a bundle."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from forecasting.api.notices import tell
from forecasting.api.tables import Edge, Names, read, read_ahead
from forecasting.bundle.cautions import Caution
from forecasting.bundle.forecaster import open_forecaster
from forecasting.bundle.spec import Spec, level_quantiles
from forecasting.columns import CUTOFF, DS, SCENARIO, STEP, UNIQUE_ID, Y, quantile_column
from forecasting.config.job import Job
from forecasting.config.series import Window
from forecasting.config.source import FileSource
from forecasting.errors import ConfigError, DataError
from forecasting.runtime.files import replace_folder
from forecasting.series.dataset import Dataset
from forecasting.series.folds import Fold

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from forecasting.insight.attribution import Explanation
    from forecasting.insight.gates import Gates
    from forecasting.insight.importance import Importance
    from forecasting.insight.reach import Reach
    from forecasting.insight.units import Units

__all__ = ["FittedModel", "JudgedFits", "open_model"]


class JudgedFits(NamedTuple):
    """The fits that a backtest may judge: of a job on its folds, one bundle a fold."""

    job: Job
    folds: tuple[Fold, ...]
    bundles: tuple[Path, ...]

    def fits(self, data: Dataset) -> bool:
        """Whether these fits are those of the folds of `data`."""
        return len(self.folds) == len(data.folds) and all(map(_alike, self.folds, data.folds))


class FittedModel:
    """A network, an ensemble, or a baseline that forecasts; `fit` and `open` make one.

    `notes` are sentences about what was left out of its table or stood out in it; `judged` are the fits that a backtest
    on the same table judges.
    """

    def __init__(
        self,
        bundle: Path,
        *,
        judged: JudgedFits | None = None,
        table: pd.DataFrame | None = None,
        edge: Edge | None = None,
        alias: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        """Open the bundle; raises ArtifactError if anything is wrong with it."""
        self._forecaster = open_forecaster(bundle)
        self.judged = judged
        self._table, self._edge = table, edge or Edge()
        self.name = alias or self.spec.model
        self.notes = tuple(notes)

    @property
    def spec(self) -> Spec:
        """What the model reads and forecasts.

        Examples:
            >>> model.spec.horizon
            4
        """
        return self._forecaster.spec

    @property
    def bundle(self) -> Path:
        """The folder of its bundle.

        Examples:
            >>> (model.bundle / "manifest.json").exists()
            True
        """
        return self._forecaster.bundle.path

    def __repr__(self) -> str:
        """Name, horizon, and how many series it has learned from."""
        count = "" if self._table is None else f", {self._table[UNIQUE_ID].nunique():,} series"
        return f"<{self.name}: {self.spec.horizon} steps of {self.spec.series.freq} ahead{count}>"

    def predict(
        self,
        df: Any = None,
        h: int | None = None,
        future: Any | Mapping[str, Any] = None,
        level: Sequence[int] | None = (80,),
    ) -> Any:
        """Forecast every series of `df` from its last reading on: a long table in the library of `df`.

        `df` has the columns of the table that was fitted, and is that table by default. `h` is the number of steps, by
        default the horizon. `future` holds what is known ahead: `unique_id`, `ds`, and the covariates. The columns are
        `unique_id`, `ds`, the median under the model's name, and the ends of central intervals of `level` percent:
        `auto`, `auto-lo-80`, `auto-hi-80`. Of alternatives, `future={"base": table, "heatwave": other}`, each has its
        forecast, one below the other, and the column `scenario` names it. What a forecast stands on, such as filled
        values, is logged as a warning, and stands in `attrs["warnings"]` of a pandas table. Raises DataError that lists
        every fault of the tables, ConfigError if the model cannot go beyond its horizon.

        Examples:
            >>> model.predict(level=[80, 95]).columns.tolist()[2:]
            ['stacked', 'stacked-lo-80', 'stacked-hi-80', 'stacked-lo-95', 'stacked-hi-95']
        """
        table, edge = self._history(df)
        levels = tuple(level or ())
        if not isinstance(future, Mapping):
            return self._told(edge, {"": self._warned(table, h, future, levels)}, levels)
        if not future:
            raise DataError("future names no alternative; give one table, or a dict of tables by their names")
        return self._told(
            edge, {str(name): self._warned(table, h, ahead, levels) for name, ahead in future.items()}, levels
        )

    def plot(
        self,
        df: Any = None,
        h: int | None = None,
        future: Any = None,
        level: Sequence[int] | None = (80,),
        *,
        unique_id: Any = None,
    ) -> go.Figure:
        """Draw the forecast of one series behind its last readings, as a Plotly figure.

        The arguments are those of `predict`; `unique_id` picks the series, by default the first one. Raises DataError
        for a series that is not in the table.

        Examples:
            >>> [trace.name for trace in model.plot().data]
            ['readings', 'q0.9', 'q0.1', 'forecast']
        """
        from forecasting.report.figures import forecast as figure

        history = _series_of(self._history(df)[0], unique_id)
        return figure(history, self._warned(history, h, future, tuple(level or ()))[0], height=320)

    def reach(self, df: Any = None) -> Reach:
        """How far back the model looks: how strongly each step ahead depends on each lag of each input.

        Over windows of `df`, by default the table that was fitted; members of an ensemble apart. Raises DataError that
        lists every fault of the table, ConfigError for a model of symbols.

        Examples:
            >>> found = model.reach()
            >>> found.weights["y"].shape == (model.spec.horizon, model.spec.context)
            True
        """
        from forecasting.insight.reach import reach
        from forecasting.insight.sample import differentiable, windows_of

        forecaster, (table, _) = differentiable(self._forecaster, self.name), self._history(df)
        return reach(forecaster, windows_of(forecaster, table))

    def explain(self, df: Any = None, *, unique_id: Any = None) -> Explanation:
        """What moved the forecast of one series, by default the first one: the contribution of each reading.

        `df` is as in `predict`. Raises DataError for a series that is not in the table, ConfigError for a model of
        symbols.

        Examples:
            >>> why = model.explain()
            >>> bool(abs(sum(by.sum() for by in why.by_lag.values()) - (why.forecast - why.baseline).sum()) < 0.1)
            True
        """
        from forecasting.insight.attribution import explain
        from forecasting.insight.sample import differentiable

        forecaster, (table, _) = differentiable(self._forecaster, self.name), self._history(df)
        series = _series_of(table, unique_id)
        return explain(forecaster, series if self.spec.layout is None else table, series[UNIQUE_ID].iloc[0])

    def gates(self, df: Any = None, *, unique_id: Any = None) -> Gates:
        """What the recurrent cells do while the model reads one series, by default the first one, up to its end.

        Gates and states of every unit at every step, for each layer, next to the readings; `df` is as in `predict`.
        Raises DataError for a series that is not in the table.

        >>> cell = model.gates().cells[0]
        >>> cell.gates["forget"].shape == (len(cell.ds), cell.units)
        True
        """
        from forecasting.insight.gates import gates

        table, _ = self._history(df)
        series = _series_of(table, unique_id)
        return gates(self._forecaster, series if self.spec.layout is None else table, series[UNIQUE_ID].iloc[0])

    def plot_gates(self, df: Any = None, *, unique_id: Any = None) -> go.Figure:
        """Draw `gates` below the readings, as a Plotly figure.

        >>> "forget gate" in [trace.name for trace in model.plot_gates().data]
        True
        """
        from forecasting.report.gates import picture

        return picture(self.gates(df, unique_id=unique_id))

    def importance(self, df: Any = None) -> Importance:
        """How much worse the forecasts become when one covariate comes from another window.

        Over windows of `df`, by default the table that was fitted; those after the fit where there are enough. Raises
        DataError that lists every fault of the table, ConfigError for a model without covariates or of symbols.

        >>> found = model.importance()
        >>> "calendar" in found.rises, found.loss > 0
        (True, True)
        """
        from forecasting.insight.importance import importance
        from forecasting.insight.sample import differentiable, windows_of

        forecaster, (table, _) = differentiable(self._forecaster, self.name), self._history(df)
        return importance(forecaster, windows_of(forecaster, table))

    def units(self, df: Any = None) -> Units:
        """Which hidden units track something that has a name: the hour, the level, a covariate, the place in a line.

        Over windows of `df`, by default the table that was fitted. Raises DataError that lists every fault of the
        table, or if it has too few windows.

        >>> found = model.units()
        >>> found.total, "hour" in found.signals
        (4, True)
        """
        from forecasting.insight.units import units

        return units(self._forecaster, self._history(df)[0])

    def save(self, directory: str | Path) -> Path:
        """Write the model as a bundle, a folder of plain data files; a bundle in its place is replaced whole.

        Raises ConfigError for a folder that holds other files.

        Examples:
            >>> fc.open(model.save(folder / "boiler")).spec == model.spec
            True
        """
        target = Path(directory).absolute()
        if target.exists() and any(target.iterdir()) and not (target / "manifest.json").exists():
            raise ConfigError(f"{target} holds other files; save the model in a folder of its own")
        source = self.bundle
        replace_folder(target, lambda draft: shutil.copytree(source, draft, dirs_exist_ok=True))
        return target

    def _history(self, df: Any) -> tuple[pd.DataFrame, Edge]:
        if df is not None:
            table, edge, _ = read(df, self._job, self._edge.names)
            return table, edge
        if self._table is None:
            raise DataError("a model that was opened has no table; give it the readings to forecast from")
        return self._table, self._edge

    def _warned(
        self, table: pd.DataFrame, h: int | None, future: Any, levels: tuple[int, ...]
    ) -> tuple[pd.DataFrame, tuple[Caution, ...]]:
        ahead = None if future is None else read_ahead(future, self._job, self._edge.names)
        if ahead is not None:
            ahead = ahead[ahead[UNIQUE_ID].isin(table[UNIQUE_ID].unique())]
        if self.spec.symbols is not None:
            return self._forecaster.warned(table, ahead, horizon=h)
        return self._forecaster.warned(table, ahead, levels=levels, horizon=h)

    def _told(
        self, edge: Edge, made: Mapping[str, tuple[pd.DataFrame, tuple[Caution, ...]]], levels: tuple[int, ...]
    ) -> Any:
        """The forecasts of all alternatives as one table, and what they stand on."""
        parts = [
            self._named(table, levels).assign(**({SCENARIO: name} if name else {})) for name, (table, _) in made.items()
        ]
        said = [f"{name}: {one.message}" if name else one.message for name, (_, found) in made.items() for one in found]
        tell(said)
        table = edge.out(pd.concat(parts, ignore_index=True))
        if said and isinstance(table, pd.DataFrame):
            table.attrs["warnings"] = said
        return table

    def _named(self, forecast: pd.DataFrame, levels: tuple[int, ...]) -> pd.DataFrame:
        """The columns by the names that people of forecasting libraries know."""
        if self.spec.symbols is not None:
            return forecast.drop(columns=[CUTOFF, STEP])
        columns = {self.name: forecast[quantile_column(0.5)]}
        for level in levels:
            low, high = level_quantiles((level,))
            columns |= {f"{self.name}-lo-{level:g}": forecast[quantile_column(low)]}
            columns |= {f"{self.name}-hi-{level:g}": forecast[quantile_column(high)]}
        return forecast[[UNIQUE_ID, DS]].assign(**columns)

    @property
    def _job(self) -> Job:
        """How tables are read: as the job says, else as the bundle remembers it."""
        if self.judged is not None:
            return self.judged.job
        return _remembered(self.spec)


def open_model(
    directory: str | Path, *, id_col: str = UNIQUE_ID, time_col: str = DS, target_col: str = Y
) -> FittedModel:
    """Open a saved model, or any other bundle; raises ArtifactError if anything is wrong with it.

    Examples:
        >>> fc.open(model.save(folder / "boiler")).predict(df).equals(model.predict(df))
        True
    """
    return FittedModel(Path(directory), edge=Edge(Names(id_col, time_col, target_col)))


def _series_of(table: pd.DataFrame, unique_id: Any) -> pd.DataFrame:
    """The rows of a series, by default of the first one; raises DataError if there is none of that name."""
    first = table[UNIQUE_ID].iloc[0]
    series = table[table[UNIQUE_ID] == str(first if unique_id is None else unique_id)]
    if series.empty:
        raise DataError(f"the table has no series {unique_id}; the first one is {first}")
    return series


def _remembered(spec: Spec) -> Job:
    """The part of the job that tables are read by; a bundle keeps no other, and needs to pass no rules again."""
    source = FileSource(path="", time_zone=spec.features.time_zone)
    window = Window(context=spec.context, horizon=spec.horizon)
    return Job.model_construct(name=spec.job, source=source, series=spec.series, window=window)


def _alike(one: Fold, other: Fold) -> bool:
    return one[:2] == other[:2] and one.cutoffs.equals(other.cutoffs)
