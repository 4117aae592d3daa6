"""Has the world changed: recent values against a reference, with thresholds from permuted blocks of the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from forecasting.bundle.numerics import normal_quantile

__all__ = ["SHORTEST", "Change", "Drift", "find_drift"]

SHORTEST: Final = 8  # rows that a shift must have lasted: a few odd readings are no drift
_LONGEST: Final = 5000  # rows of the reference that are looked at, its last ones
_DRAWS: Final = 3999
_BLOCKS: Final = 100  # blocks that the reference should have at least
_PIECES: Final = 4  # blocks of a stretch at least: of fewer there are too few different ones
_SEASONS: Final = 20  # fewer whole seasons give too few places to draw from
_LEVELS: Final = np.linspace(0, 1, 18)[1:-1]  # of the reference's distribution, where that of the recent rows is read

Floats: TypeAlias = npt.NDArray[np.float64]


class Change(NamedTuple):
    """What one statistic saw, in the column where it is clearest."""

    chance: float  # share of stretches of the reference, put together from blocks, that look as far off
    column: int
    onset: int  # the row where it begins
    size: float  # standard deviations of the deseasonalised reference: its shift; or how many times as wide


class Drift(NamedTuple):
    """A lasting shift of the level, and another distribution of what comes unforeseen."""

    level: Change
    shape: Change


def find_drift(values: Floats, since: int, *, season: int, latest: int | None = None) -> Drift:
    """Hold the `latest` rows of `values` (R, D) from `since` on against those before `since`; NaN: nothing was read.

    Seasons are no drift: means of each phase of the reference are taken away. Neither is what follows from the rows
    before: an autoregression of the reference takes it away, so that a random walk may wander. What is left is
    compared by rank. The level is scanned for a step that lasts to the end (a generalised likelihood ratio, Willsky
    and Jones 1976), the shape by the Cramér distance, which is the energy distance in one dimension (Székely and
    Rizzo 2013). Both take their largest value over the columns, and are held against as many stretches drawn from
    blocks of the reference, the same blocks for all columns.
    """
    first = max(0, since - _LONGEST)
    values, since = values[first:], since - first
    start = max(since, len(values) - (len(values) if latest is None else latest))
    season = season if since >= 2 * season else 1
    flat = np.stack([_deseasonalised(column, since, season) for column in values.T], axis=1)
    draws = _draws(since, start, len(values), season)
    seen = [_statistics(column, since, start, draws) for column in flat.T]
    level, shape = (
        _strongest(np.stack(kind, axis=1)) for kind in zip(*[(one.level, one.shape) for one in seen], strict=True)
    )
    onset = start + seen[level[1]].onset
    return Drift(
        Change(*level, first + onset, _ratio(flat[onset:, level[1]], flat[:since, level[1]], np.mean)),
        Change(*shape, first + start, _ratio(seen[shape[1]].white[start:], seen[shape[1]].white[:since], np.std)),
    )


def _deseasonalised(column: Floats, since: int, season: int) -> Floats:
    """Without the reference's mean of each phase; a row of the reference is not part of the mean that it is left of."""
    phase = np.arange(len(column)) % season
    known = np.flatnonzero(~np.isnan(column[:since]))
    count = np.bincount(phase[known], minlength=season).astype(float)
    total = np.bincount(phase[known], weights=column[known], minlength=season)
    everywhere = total.sum() / max(count.sum(), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), everywhere)
    flat: Floats = column - mean[phase]
    flat[:since] *= (np.where(count > 1, count / np.maximum(count - 1, 1), 1.0))[phase[:since]]
    return flat


def _draws(rows: int, start: int, stop: int, season: int) -> npt.NDArray[np.intp]:
    """Rows of the reference (draws, recent): stretches put together from blocks, four at least.

    Blocks are whole seasons that begin in the phase of `start`, where both sides have enough of them: each phase may
    vary in its own way.
    """
    recent = stop - start
    aligned = season if rows >= _SEASONS * season and recent >= _PIECES * season else 1
    longest = max(min(rows // _BLOCKS, recent // _PIECES), 1)
    length = aligned * max(1, longest // aligned)
    starts = np.arange(start % aligned, rows - length + 1, aligned)
    chosen = np.random.default_rng(0).choice(starts, (_DRAWS, -(-recent // length)))
    return np.asarray((chosen[:, :, None] + np.arange(length)).reshape(_DRAWS, -1)[:, :recent])


class _Statistics(NamedTuple):
    """Of one column: of its recent rows, then of all draws (1 + draws,)."""

    level: Floats
    shape: Floats
    onset: int  # the recent row where a step would begin
    white: Floats  # (R,) what could not be foretold


def _statistics(flat: Floats, since: int, start: int, draws: npt.NDArray[np.intp]) -> _Statistics:
    weights = _whitener(flat[:since])
    white = _filtered(flat, weights)
    scores = _normal_scores(white, since)
    stretches = np.concatenate([scores[None, start:], scores[draws]])
    scans = np.abs(_scan(stretches, weights))
    level = scans.max(axis=1)
    level[0] /= np.sqrt(1 + len(stretches[0]) / since)  # the reference's own mean is uncertain too
    shape = _distance(stretches, scores[:since])
    shape[0] /= np.cbrt(1 + len(stretches[0]) / since)
    return _Statistics(level, shape, int(scans[0].argmax()), white)


def _whitener(flat: Floats) -> Floats:
    """1, -phi_1, …, -phi_p: the Yule-Walker autoregression, by Levinson's recursion, with the least BIC."""
    rows = int((~np.isnan(flat)).sum())
    covariances = _autocovariances(flat, min(32, rows // 20))
    best = weights = np.ones(1)
    error = covariances[0]
    least = 0.0
    for order in range(1, len(covariances)):
        if error <= 1e-12 * covariances[0]:  # nothing is left to foretell
            break
        reflection = -(weights @ covariances[order:0:-1]) / error
        weights = np.append(weights, 0.0) + reflection * np.append(weights, 0.0)[::-1]
        error *= max(1 - reflection**2, 1e-12)
        criterion = rows * np.log(error / covariances[0]) + np.log(max(rows, 2)) * order
        if criterion < least:
            best, least = weights, criterion
    return best


def _autocovariances(flat: Floats, lags: int) -> Floats:
    """Of lag 0 to `lags`, from the pairs that were read, shrunk as the usual estimate is."""
    known = (~np.isnan(flat)).astype(float)
    filled = np.nan_to_num(flat)
    rows = len(flat)
    pairs = [max(known[lag:] @ known[: rows - lag], 1) for lag in range(lags + 1)]
    sums = [filled[lag:] @ filled[: rows - lag] for lag in range(lags + 1)]
    covariances: Floats = np.array(sums) / np.array(pairs) * (1 - np.arange(lags + 1) / rows)
    return covariances


def _filtered(flat: Floats, weights: Floats) -> Floats:
    """What each row brings that the rows before do not foretell; a gap counts as its last value."""
    last = np.maximum.accumulate(np.where(np.isnan(flat), 0, np.arange(len(flat))))
    carried = np.nan_to_num(flat[last])
    white: Floats = np.convolve(carried, weights)[: len(flat)]
    white[: len(weights) - 1] = np.nan
    white[np.isnan(flat)] = np.nan
    return white


def _normal_scores(white: Floats, since: int) -> Floats:
    """By rank among the reference, as quantiles of the normal distribution: outliers weigh no more than their rank."""
    known = np.sort(white[:since][~np.isnan(white[:since])])
    rank = (np.searchsorted(known, white, "left") + np.searchsorted(known, white, "right")) / 2  # of a tie: its middle
    share = np.clip(rank, 0.5, max(len(known) - 0.5, 0.5)) / max(len(known), 1)
    scores: Floats = np.where(np.isnan(white), np.nan, normal_quantile(share))
    return scores


def _scan(stretches: Floats, weights: Floats) -> Floats:
    """Standardized size (stretches, onsets) of a step that begins at each row and lasts, by `weights` of its trace."""
    known = ~np.isnan(stretches)
    response = np.cumsum(weights)
    total = _following(np.where(known, stretches, 0.0), response)
    energy = _following((known[:1] if known.all() else known).astype(np.float64), response**2)
    return np.where(energy > 1e-9, total / np.sqrt(np.maximum(energy, 1e-9)), 0.0)


def _following(stretches: Floats, response: Floats) -> Floats:
    """Sums (stretches, onsets) of the rows after each onset, weighted by the response; the last weight goes on."""
    rows = stretches.shape[1]
    onsets = max(1, rows - SHORTEST + 1)
    total: Floats = response[-1] * np.cumsum(stretches[:, ::-1], axis=1)[:, ::-1][:, :onsets]
    for lag, extra in enumerate(response[: min(rows, len(response) - 1)] - response[-1]):
        upto = min(onsets, rows - lag)
        total[:, :upto] += extra * stretches[:, lag : lag + upto]
    return total


def _distance(stretches: Floats, reference: Floats) -> Floats:
    """Cramér distance (stretches,) of each stretch to the reference; its cube root, which is nearly normal."""
    levels = np.nanquantile(reference, _LEVELS)
    count = np.maximum((~np.isnan(stretches)).sum(axis=1), 1)
    distance = np.zeros(len(stretches))
    for level in levels:
        expected = float((reference <= level).sum() / max((~np.isnan(reference)).sum(), 1))
        distance += ((stretches <= level).sum(axis=1) / count - expected) ** 2
    return np.asarray(np.cbrt(distance * count))


def _strongest(statistics: Floats) -> tuple[float, int]:
    """Of (1 + draws, D): how often a draw is as far off as the first row anywhere, and the column where that is."""
    drawn = statistics[1:]
    spread = drawn.std(axis=0)
    usual = np.where(spread > 0, (statistics - drawn.mean(axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
    usual = np.where(spread > 0, usual, np.where(statistics > drawn[:1], np.inf, 0.0))
    largest = usual.max(axis=1)
    return float((1 + (largest[1:] >= largest[0]).sum()) / len(largest)), int(usual[0].argmax())


def _ratio(recent: Floats, reference: Floats, of: Callable[[Floats], np.floating[Any]]) -> float:
    """Of the recent values, in standard deviations of the reference; 0 where nothing was read."""
    recent, reference = recent[~np.isnan(recent)], reference[~np.isnan(reference)]
    if not recent.size or not reference.size:
        return 0.0
    above, below = float(of(recent)), float(reference.std())
    return above / below if below else float(np.copysign(np.inf, above)) if above else 0.0
