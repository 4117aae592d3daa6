"""Which windows share their residuals, and how much the residuals of a window count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecasting.bundle.spec import Spec
from forecasting.series.windows import Windows

__all__ = ["groups_of", "weights_of"]

_UNKNOWN = "?"


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
