"""The spans right before the validation span: where fits that have not seen them show how large errors become."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from forecasting.config.series import Window
from forecasting.series.moments import Moment
from forecasting.series.windows import Windows, at_rows, evenly, slide

__all__ = ["SPANS", "EarlierSpan", "count_of", "earlier_spans", "errors_before", "thinned", "with_earlier"]

SPANS: Final = 2
MOST_WINDOWS: Final = 6_000  # of each span, evenly spread


class EarlierSpan(NamedTuple):
    """The windows of a span, and those that a fit may learn from before it."""

    before: Windows
    held_out: Windows


def earlier_spans(valid: Windows, window: Window, max_gap: int | None, since: Moment) -> list[EarlierSpan]:
    """The two spans right before the validation span, the latest first, each as long as it.

    The validation span follows `since`, the last stamp that a fit learns from. A span is left out, with all before it,
    if its fit would have fewer windows than there are to validate on.
    """
    panel = valid.panel
    border = panel.rows_at(since)
    length = int((panel.offsets[1:] - 1 - border).max())
    spans: list[EarlierSpan] = []
    for number in range(1, SPANS + 1):
        begin, end = border - number * length, border - (number - 1) * length
        before = slide(panel, window, max_gap=max_gap, end=begin)
        held_out = slide(panel, window, max_gap=max_gap, begin=begin, end=end)
        if len(before) < len(valid) or not len(held_out):
            break
        spans.append(EarlierSpan(before, thinned(held_out)))
    return spans


def errors_before(
    spans: Sequence[EarlierSpan], fit: Callable[[Windows], Callable[[Windows], np.ndarray]]
) -> np.ndarray:
    """Actual minus forecast (B, H) of all windows of the spans, by a fit to the windows before each, scaled.

    NaN where there is no reading. There must be a span.
    """
    errors = [span.held_out.targets(np.arange(len(span.held_out))) - fit(span.before)(span.held_out) for span in spans]
    return np.concatenate(errors)


def count_of(spans: Sequence[EarlierSpan]) -> int:
    """The number of their windows."""
    return sum(len(span.held_out) for span in spans)


def with_earlier(spans: Sequence[EarlierSpan], valid: Windows) -> Windows:
    """The windows of the spans, and then those of the validation span."""
    if not spans:
        return valid
    parts = [*(span.held_out for span in spans), thinned(valid)]
    rows = np.concatenate([part.rows(np.arange(len(part))) for part in parts])
    return at_rows(valid.panel, rows, context=valid.context, horizon=valid.horizon)


def thinned(windows: Windows) -> Windows:
    """At most 6,000 of them, evenly spread."""
    rows = windows.rows(evenly(len(windows), MOST_WINDOWS))
    return at_rows(windows.panel, rows, context=windows.context, horizon=windows.horizon)
