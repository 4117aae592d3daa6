"""Errors of a fitted model on spans that it was fitted on, by those of a ridge regression that had not seen them.

Cross-conformal prediction (Vovk 2015) along rolling origins would fit the model anew before each span. Fitting a ridge
takes seconds where a network takes minutes, and what makes one span harder to forecast than another is in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.evaluation.baselines import solve
from forecasting.evaluation.earlier_spans import EarlierSpan, errors_before
from forecasting.series.windows import Windows

__all__ = ["carried_over", "lent_errors"]


def lent_errors(
    spans: Sequence[EarlierSpan], train: Windows, judged: Windows, own: np.ndarray, *, penalty: float
) -> np.ndarray:
    """Errors (B, H) that a model would have on all windows of the spans, had it not seen them; scaled.

    Its `own` errors (B, H) on the `judged` windows, which it has not seen, are compared with those of a ridge with this
    penalty, fitted to the windows `train`.
    """
    actuals = judged.targets(np.arange(len(judged)))
    reference = actuals - solve(train, penalty).forecast(judged)
    errors = errors_before(spans, lambda before: solve(before, penalty).forecast)
    return carried_over(errors, reference, own)


def carried_over(errors: np.ndarray, reference: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Errors (B, H) of a reference, as large as another's would be, whose `own` (B, H) stand beside the `reference`'s.

    At each step they get the median of its own, and their mean distance from it times the ratio of both.
    """
    center = np.nanmedian(own, axis=0)
    ratio = _spread(own) / np.maximum(_spread(reference), 1e-12)
    carried: np.ndarray = center + ratio * (errors - np.nanmedian(errors, axis=0))
    return carried


def _spread(errors: np.ndarray) -> np.ndarray:
    spread: np.ndarray = np.nanmean(np.abs(errors - np.nanmedian(errors, axis=0)), axis=0)
    return spread
