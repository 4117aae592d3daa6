"""Which windows share their residuals, how much the residuals of a window count, and how wide they are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecasting.bundle.spec import Spec
from forecasting.series.windows import Windows

__all__ = ["groups_of", "weights_of", "widths_of"]

_UNKNOWN = "?"
_USUAL = 2.5  # spread of a context, in scales of its series: more than that is another level than was learned


def groups_of(spec: Spec, windows: Windows, indices: npt.NDArray[np.intp]) -> list[str] | None:
    """The group of each window (B,): its series, or the label of its series; none where all are one group."""
    by, panel = spec.intervals.by, windows.panel
    if by == "all":
        return None
    series = panel.series_of(windows.rows(indices))
    if by == "series":
        return [str(name) for name in panel.unique_id[series]]
    labels = (_UNKNOWN, *spec.features.vocabulary[by])
    codes = panel.codes[series, spec.features.static_labels.index(by)]
    return [labels[code] for code in codes]


def weights_of(spec: Spec, windows: Windows, indices: npt.NDArray[np.intp]) -> npt.NDArray[np.float64] | None:
    """How much the residuals of each window count (B,): half as much for every half-life that its cutoff is older.

    Older in steps on which any window has its cutoff. None where all count alike. Residuals of the past keep less of
    their word where the world changes (Barber, Candès, Ramdas and Tibshirani 2023, section 2).
    """
    if spec.intervals.half_life is None:
        return None
    stamps = windows.panel.stamps[windows.rows(np.arange(len(windows)))]
    steps = np.unique(stamps)
    age = len(steps) - 1 - np.searchsorted(steps, stamps[indices])
    return np.asarray(0.5 ** (age / spec.intervals.half_life))


def widths_of(spec: Spec, windows: Windows, indices: npt.NDArray[np.intp]) -> npt.NDArray[np.float64] | None:
    """How many times as wide as usual the residuals of each window are (B,): 1 while its series keeps its scale.

    None where series are not scaled.
    Where a context spreads over more than 2.5 times the scale that its series had while it was learned, residuals grow
    with it (locally weighted conformal prediction: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018, section 5.2).
    So do those of a series that never changed while it was learned.
    """
    if spec.table.scale == "none":
        return None
    read = windows.context_targets(indices).astype(np.float64)
    known = ~np.isnan(read)
    count = np.maximum(known.sum(axis=1), 1)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite has no finite forecast either
        mean = np.where(known, read, 0.0).sum(axis=1) / count
        squares = np.where(known, read - mean[:, None], 0.0) ** 2
        return np.asarray(np.maximum(np.sqrt(squares.sum(axis=1) / count) / _USUAL, 1.0))
