"""Drift tests: recent values against a reference, with thresholds from resampled blocks of the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from forecasting.bundle.numerics import normal_quantile

__all__ = ["SHORTEST", "Change", "Drift", "find_drift"]

SHORTEST: Final = 8  # rows that a shift must have lasted: a few odd readings are not drift
_LONGEST: Final = 5000  # last rows of the reference that are used
_DRAWS: Final = 3999  # at least
_BLOCKS: Final = 100  # blocks that the reference should have at least
_PIECES: Final = 4  # blocks of a stretch at least: of fewer there are too few different ones
_SEASONS: Final = 20  # fewer whole seasons give too few places to draw from
_LEVELS: Final = np.linspace(0, 1, 18)[1:-1]  # of the reference's distribution, where that of the recent rows is read

Floats: TypeAlias = npt.NDArray[np.float64]


class Change(NamedTuple):
    """The result of one test, in the column where it is clearest."""

    chance: float  # p-value: the share of stretches resampled from the reference that look as far off
    column: int
    onset: int  # the row where it begins
    size: float  # the shift in standard deviations of the deseasonalized reference, or the ratio of spreads


class Drift(NamedTuple):
    """A lasting shift of the mean, and a change in the distribution of the unpredictable part."""

    mean_shift: Change
    shape: Change


def find_drift(values: Floats, since: int, *, season: int, latest: int | None = None, draws: int = _DRAWS) -> Drift:
    """Test the `latest` rows of `values` (R, D) from `since` on against those before `since`; NaN is no reading.

    Seasons are not drift: the reference's mean of each phase is subtracted. Nor is anything that follows from earlier
    rows: an autoregression of the reference removes it, so a random walk may wander. The rest is compared by rank. A
    mean shift is a step that lasts to the end (a generalized likelihood ratio, Willsky and Jones 1976); shape is
    compared by the Cramér distance, which is the energy distance in one dimension (Székely and Rizzo 2013). Both take
    their largest value over the columns and are compared with stretches drawn from blocks of the reference, the same
    blocks for all columns.
    """
    first = max(0, since - _LONGEST)
    values, since = values[first:], since - first
    start = max(since, len(values) - (len(values) if latest is None else latest))
    season = season if since >= 2 * season else 1
    flat = np.stack([_deseasonalized(column, since, season) for column in values.T], axis=1)
    drawn = _draws(since, start, len(values), season, max(draws, _DRAWS))
    seen = [_statistics(column, since, start, drawn) for column in flat.T]
    shift, shape = (
        _strongest(np.stack(kind, axis=1)) for kind in zip(*[(one.mean_shift, one.shape) for one in seen], strict=True)
    )
    onset = start + seen[shift[1]].onset
    return Drift(
        Change(*shift, first + onset, _ratio(flat[onset:, shift[1]], flat[:since, shift[1]], np.mean)),
        Change(*shape, first + start, _ratio(seen[shape[1]].white[start:], seen[shape[1]].white[:since], np.std)),
    )


def _deseasonalized(column: Floats, since: int, season: int) -> Floats:
    """Subtract the reference's mean of each phase; a reference row is compared with the mean of the other rows."""
    phase = np.arange(len(column)) % season
    known = np.flatnonzero(~np.isnan(column[:since]))
    count = np.bincount(phase[known], minlength=season).astype(float)
    total = np.bincount(phase[known], weights=column[known], minlength=season)
    everywhere = total.sum() / max(count.sum(), 1)
    mean = np.where(count > 0, total / np.maximum(count, 1), everywhere)
    flat: Floats = column - mean[phase]
    flat[:since] *= (np.where(count > 1, count / np.maximum(count - 1, 1), 1.0))[phase[:since]]
    return flat


def _draws(rows: int, start: int, stop: int, season: int, draws: int = _DRAWS) -> npt.NDArray[np.intp]:
    """Rows of the reference (draws, recent): stretches made of at least four blocks.

    Where both sides have enough of them, blocks are whole seasons that begin in the phase of `start`: each phase may
    vary in its own way.
    """
    recent = stop - start
    aligned = season if rows >= _SEASONS * season and recent >= _PIECES * season else 1
    longest = max(min(rows // _BLOCKS, recent // _PIECES), 1)
    length = aligned * max(1, longest // aligned)
    starts = np.arange(start % aligned, rows - length + 1, aligned)
    chosen = np.random.default_rng(0).choice(starts, (draws, -(-recent // length)))
    return np.asarray((chosen[:, :, None] + np.arange(length)).reshape(draws, -1)[:, :recent])


class _Statistics(NamedTuple):
    """The statistics of one column (1 + draws,): of its recent rows first, then of all draws."""

    mean_shift: Floats
    shape: Floats
    onset: int  # the recent row where a step would begin
    white: Floats  # (R,) the unpredictable part


def _statistics(flat: Floats, since: int, start: int, draws: npt.NDArray[np.intp]) -> _Statistics:
    weights = _whitener(flat[:since])
    white = _filtered(flat, weights)
    scores = _normal_scores(white, since)
    stretches = np.concatenate([scores[None, start:], scores[draws]])
    scans = np.abs(_scan(stretches, weights))
    shift = scans.max(axis=1)
    shift[0] /= np.sqrt(1 + len(stretches[0]) / since)  # the reference's own mean is uncertain too
    shape = _distance(stretches, scores[:since])
    shape[0] /= np.cbrt(1 + len(stretches[0]) / since)
    return _Statistics(shift, shape, int(scans[0].argmax()), white)


def _whitener(flat: Floats) -> Floats:
    """1, -phi_1, …, -phi_p: the Yule-Walker autoregression, by Levinson's recursion, with the least BIC."""
    rows = int((~np.isnan(flat)).sum())
    covariances = _autocovariances(flat, min(32, rows // 20))
    best = weights = np.ones(1)
    error = covariances[0]
    least = 0.0
    for order in range(1, len(covariances)):
        if error <= 1e-12 * covariances[0]:  # nothing is left to predict
            break
        reflection = -(weights @ covariances[order:0:-1]) / error
        weights = np.append(weights, 0.0) + reflection * np.append(weights, 0.0)[::-1]
        error *= max(1 - reflection**2, 1e-12)
        criterion = rows * np.log(error / covariances[0]) + np.log(max(rows, 2)) * order
        if criterion < least:
            best, least = weights, criterion
    return best


def _autocovariances(flat: Floats, lags: int) -> Floats:
    """Lags 0 to `lags`, from the pairs that were read, shrunk like the usual estimate."""
    known = (~np.isnan(flat)).astype(float)
    filled = np.nan_to_num(flat)
    rows = len(flat)
    pairs = [max(known[lag:] @ known[: rows - lag], 1) for lag in range(lags + 1)]
    sums = [filled[lag:] @ filled[: rows - lag] for lag in range(lags + 1)]
    covariances: Floats = np.array(sums) / np.array(pairs) * (1 - np.arange(lags + 1) / rows)
    return covariances


def _filtered(flat: Floats, weights: Floats) -> Floats:
    """The innovation of each row, given the rows before; a gap counts as its last value."""
    last = np.maximum.accumulate(np.where(np.isnan(flat), 0, np.arange(len(flat))))
    carried = np.nan_to_num(flat[last])
    white: Floats = np.convolve(carried, weights)[: len(flat)]
    white[: len(weights) - 1] = np.nan
    white[np.isnan(flat)] = np.nan
    return white


def _normal_scores(white: Floats, since: int) -> Floats:
    """Normal quantiles of the rank among the reference: outliers weigh no more than their rank."""
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
    """The p-value of the first row of (1 + draws, D) against the draws, over all columns, and its strongest column."""
    drawn = statistics[1:]
    spread = drawn.std(axis=0)
    usual = np.where(spread > 0, (statistics - drawn.mean(axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
    usual = np.where(spread > 0, usual, np.where(statistics > drawn[:1], np.inf, 0.0))
    largest = usual.max(axis=1)
    return float((1 + (largest[1:] >= largest[0]).sum()) / len(largest)), int(usual[0].argmax())


def _ratio(recent: Floats, reference: Floats, of: Callable[[Floats], np.floating[Any]]) -> float:
    """`of` the recent values, in standard deviations of the reference; 0 without readings."""
    recent, reference = recent[~np.isnan(recent)], reference[~np.isnan(reference)]
    if not recent.size or not reference.size:
        return 0.0
    above, below = float(of(recent)), float(reference.std())
    return above / below if below else float(np.copysign(np.inf, above)) if above else 0.0
