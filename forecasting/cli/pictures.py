"""Pictures of characters: a sparkline of a series, and a forecast behind its history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

__all__ = ["picture", "sparkline"]

_BARS: Final = "▁▂▃▄▅▆▇█"
_NOTHING: Final = " "
_WIDTH, _HEIGHT = 72, 12


def sparkline(values: Sequence[float] | np.ndarray, width: int = 32) -> str:
    """The means of `width` equal parts of a series as bars; a part without a reading is blank."""
    import numpy as np

    found = _means(np.asarray(values, dtype=float), width)
    low, high = (np.nanmin(found), np.nanmax(found)) if np.isfinite(found).any() else (0.0, 0.0)
    scaled = 0 * found if high == low else (found - low) / (high - low) * (len(_BARS) - 1)
    return "".join(_NOTHING if np.isnan(each) else _BARS[round(each)] for each in scaled)


def picture(history: np.ndarray, middle: np.ndarray, low: np.ndarray, high: np.ndarray) -> list[str]:
    """Rows of text: the history as dots, the forecast as circles in its interval, and the scale at the left."""
    import numpy as np

    ahead = max(4, min(_WIDTH // 2, len(middle)))
    past = _means(history, _WIDTH - ahead)
    parts = [np.concatenate([np.full(len(past), np.nan), _means(each, ahead)]) for each in (low, middle, high)]
    bottom, top = np.nanmin([*past, *parts[0]]), np.nanmax([*past, *parts[2]])
    step = (top - bottom) / (_HEIGHT - 1) or 1.0
    cells = np.full((_HEIGHT, len(parts[0])), " ")
    for column in range(cells.shape[1]):
        lower, central, upper = (part[column] for part in parts)
        if column < len(past):
            _mark(cells, column, past[column], "·", bottom, step)
        else:
            first, last = (round((value - bottom) / step) for value in (lower, upper))
            cells[first : last + 1, column] = "░"
            _mark(cells, column, central, "●", bottom, step)
    names = {0: f"{bottom:.4g}", _HEIGHT - 1: f"{top:.4g}"}
    return [f"{names.get(row, ''):>10} ┤{''.join(cells[row])}" for row in range(_HEIGHT - 1, -1, -1)]


def _mark(cells: np.ndarray, column: int, value: float, sign: str, bottom: float, step: float) -> None:
    if value == value:  # not NaN
        cells[round((value - bottom) / step), column] = sign


def _means(values: np.ndarray, parts: int) -> np.ndarray:
    """The mean of each of at most so many parts; NaN where a part holds no reading."""
    import numpy as np

    found = [part[np.isfinite(part)] for part in np.array_split(values, min(parts, max(1, len(values))))]
    return np.array([part.mean() if len(part) else np.nan for part in found])
