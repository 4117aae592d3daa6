"""Warnings about the windows behind a forecast, one sentence per kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from forecasting.bundle.spec import Spec
from forecasting.columns import UNIQUE_ID, Y
from forecasting.series.frequency import offset_of
from forecasting.series.panel import Panel
from forecasting.series.windows import Windows

__all__ = ["Caution", "cautions", "extremes", "filled", "merged", "of_series", "stale", "stale_ends"]

_SHOWN: Final = 10  # series of one warning
_LEAST: Final = 0.5  # share of the context that should hold readings
_BEYOND: Final = 0.5  # of the width of what was read: so far outside of it is far


class Caution(NamedTuple):
    """One kind of warning: its text, the number of affected series, and some of their names."""

    kind: str
    what: str
    affected: int
    series: tuple[str, ...]

    @property
    def message(self) -> str:
        """The warning in a sentence."""
        more = ", …" if self.affected > len(self.series) else ""
        return f"{self.affected} series {self.what}: {', '.join(self.series)}{more}"

    def plain(self) -> dict[str, Any]:
        """The warning for JSON."""
        return {"kind": self.kind, "message": self.message, "count": self.affected, "series": list(self.series)}


def cautions(spec: Spec, windows: Windows, steps: int) -> tuple[Caution, ...]:
    """The warnings on these windows of a model's panel, forecast for so many steps."""
    found = [*_short(spec, windows), *_far(spec, windows), *_unknown(spec, windows), *_later(spec, windows, steps)]
    rows = windows.rows(np.arange(len(windows)))
    return (*found, *stale(_names(windows), windows.panel.stamps[rows], spec))


def stale(names: Sequence[str], ends: np.ndarray, spec: Spec) -> list[Caution]:
    """The series that ended more than `max_age` steps before the newest reading, or before now where the job says so.

    Without `max_age` it is one horizon, and only the series are compared: data of the past are no fault.
    """
    old, what = stale_ends(ends, spec)
    return _of("stale", what, names, old)


def stale_ends(ends: np.ndarray, spec: Spec) -> tuple[np.ndarray, str]:
    """Which ends (B,) of series are stale, (B,), and how that is said."""
    if not len(ends):
        return np.zeros(0, dtype=bool), ""
    newest = pd.Timestamp(ends.max())
    if spec.max_age is not None:
        newest = max(newest, pd.Timestamp(datetime.now(UTC).replace(tzinfo=None)))
    age = spec.horizon if spec.max_age is None else spec.max_age
    least = (newest - age * offset_of(spec.features.freq)).to_datetime64()
    what = f"ended more than {age} steps before {newest:%Y-%m-%d %H:%M}, and are forecast from there on"
    return ends < least, what


def filled(grid: pd.DataFrame, spec: Spec) -> list[Caution]:
    """The series of a regular grid with a covariate that was missing in the last context, and was filled."""
    names = [name for name in (*spec.features.past, *spec.features.future) if grid[name].isna().any()]
    if not names:
        return []
    place, code = np.arange(len(grid)), pd.factorize(grid[UNIQUE_ID])[0]
    last = pd.Series(np.where(grid[Y].notna(), place, -1)).groupby(code).transform("max").to_numpy()
    context = grid[(place <= last) & (place > last - spec.context)]
    missing = context[names].isna().groupby(context[UNIQUE_ID], sort=False).any()
    columns = [name for name in names if missing[name].any()]
    what = f"lack values of {', '.join(columns)} in their context, which were filled"
    return _of("filled", what, [str(name) for name in missing.index], missing.any(axis=1).to_numpy())


def of_series(kind: str, what: str, names: Sequence[str]) -> Caution:
    """The warning that all of these series give."""
    return Caution(kind, what, len(names), tuple(names[:_SHOWN]))


def merged(found: Iterable[Caution]) -> tuple[Caution, ...]:
    """One warning of each kind and wording."""
    together: dict[tuple[str, str], Caution] = {}
    for one in found:
        before = together.get((one.kind, one.what), one._replace(affected=0, series=()))
        series = (*before.series, *one.series)[:_SHOWN]
        together[one.kind, one.what] = before._replace(affected=before.affected + one.affected, series=series)
    return tuple(together.values())


def extremes(panel: Panel) -> tuple[tuple[float, float], ...]:
    """The least and the greatest value of every observed channel of a panel, scaled."""
    if not len(panel.observed):
        return ()
    pairs = zip(panel.observed.min(axis=0).tolist(), panel.observed.max(axis=0).tolist(), strict=True)
    return tuple((low, high) for low, high in pairs)


def _short(spec: Spec, windows: Windows) -> list[Caution]:
    real = 1 - np.isnan(windows.context_targets(np.arange(len(windows)))).mean(axis=1)
    what = f"have readings at fewer than half of the {spec.context} steps that the model reads"
    return _of("short_context", what, _names(windows), real < _LEAST)


def _far(spec: Spec, windows: Windows) -> list[Caution]:
    """Values far outside of everything that the model has read; bundles without extremes say nothing."""
    if not spec.extremes:
        return []
    low, high = np.array(spec.extremes).T
    margin = _BEYOND * (high - low)
    values = windows.observed(np.arange(len(windows)))  # (B, T, channels)
    far = ((values < low - margin) | (values > high + margin)).any(axis=1)
    named = [name for name, any_far in zip(spec.features.observed, far.any(axis=0), strict=True) if any_far]
    what = f"hold values of {', '.join(named)} far outside of anything that the model was made from"
    return _of("out_of_range", what, _names(windows), far.any(axis=1))


def _unknown(spec: Spec, windows: Windows) -> list[Caution]:
    """Labels that the model does not know, static ones or in the context."""
    everything, panel = np.arange(len(windows)), windows.panel
    found = {
        name: panel.codes[panel.series_of(windows.rows(everything)), place] == 0
        for place, name in enumerate(spec.features.static_labels)
    }
    for place, channel in enumerate(spec.features.observed):
        if channel.endswith("=?"):
            found[channel[:-2]] = (windows.observed(everything)[:, :, place] > 0).any(axis=1)
    named = [name for name, lacks in found.items() if lacks.any()]
    what = f"have no label of {', '.join(named)} that the model knows"
    return _of("unknown_label", what, _names(windows), np.logical_or.reduce([found[name] for name in named] or [[]]))


def _later(spec: Spec, windows: Windows, steps: int) -> list[Caution]:
    """Values known ahead that are missing behind the steps that were asked for."""
    if not spec.features.future or steps >= spec.horizon:
        return []
    lacking = np.isnan(windows.known_ahead(np.arange(len(windows)))[:, steps:]).any(axis=(1, 2))
    what = f"lack values known ahead behind step {steps}, which count as their mean"
    return _of("filled", what, _names(windows), lacking)


def _names(windows: Windows) -> list[str]:
    panel = windows.panel
    return [str(name) for name in panel.unique_id[panel.series_of(windows.rows(np.arange(len(windows))))]]


def _of(kind: str, what: str, names: Sequence[str], mask: np.ndarray) -> list[Caution]:
    if not np.any(mask):
        return []
    some = np.flatnonzero(mask)
    return [Caution(kind, what, len(some), tuple(names[place] for place in some[:_SHOWN]))]
