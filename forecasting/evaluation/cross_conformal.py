"""Errors of a fitted model on spans that it was fitted on, by those of a ridge regression that had not seen them.

Cross-conformal prediction (Vovk 2015) along rolling origins would fit the model anew before each span. Fitting a ridge
takes seconds where a network takes minutes, and what makes one span harder to forecast than another is in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.bundle.assemble import deviations
from forecasting.evaluation.baselines import Linear, solve
from forecasting.evaluation.earlier_spans import EarlierSpan, errors_before
from forecasting.series.windows import Windows

__all__ = ["carried_over", "lent_errors"]


def lent_errors(spans: Sequence[EarlierSpan], ridge: Linear, judged: Windows, own: np.ndarray) -> np.ndarray:
    """Errors (B, H) that a model would have on all windows of the spans, had it not seen them; scaled.

    Its `own` errors (B, H) on the `judged` windows, which neither it nor the `ridge` has seen, are compared with those
    of the ridge, which is fitted anew before each span.
    """
    reference = judged.targets(np.arange(len(judged))) - ridge.forecast(judged)
    errors = errors_before(spans, lambda before: solve(before, ridge.penalty).forecast)
    return carried_over(errors, reference, own)


def carried_over(errors: np.ndarray, reference: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Errors (B, H) of a reference, as large as another's would be, whose `own` (B, H) stand beside the `reference`'s.

    At each step they get the median of its own, and their mean distance from it times the ratio of both.
    """
    center = np.nanmedian(own, axis=0)
    spread, known = (np.nanmean(deviations(one), axis=0) for one in (own, reference))
    ratio = spread / np.maximum(known, 1e-12)
    carried: np.ndarray = center + ratio * (errors - np.nanmedian(errors, axis=0))
    return carried
