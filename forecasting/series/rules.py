"""What may be wrong with a long table: one rule each, run by `validate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd

from forecasting.columns import DS, UNIQUE_ID, Y
from forecasting.series.aggregate import step_ends
from forecasting.series.frequency import OFF_GRID, Grid, fitting
from forecasting.series.sorted_rows import Ordered, known_ahead, only_ahead, outside, usual_phase
from forecasting.series.spacing import strays, usual_step

__all__ = ["LATEST", "RULES", "Violation"]

LATEST: Final = "the latest value counts, for all of the series"
_SHOWN = 10
_EXAMPLES = 5

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Violation:
    """One broken rule: how often, in a sentence, and at most ten series and rows (from 0) as examples."""

    rule: str
    severity: Severity
    count: int
    message: str
    ids: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()


def bounds(body: Ordered) -> Iterator[Violation]:
    """Readings outside lower and upper."""
    lower, upper = body.series.lower, body.series.upper
    if lower is not None:
        sentence = f"{{}} reading(s) below {lower:g} are treated as missing"
        yield from _found(body, body.y < lower, "below_lower", "warning", sentence)
    if upper is not None:
        sentence = f"{{}} reading(s) above {upper:g} are treated as missing"
        yield from _found(body, body.y > upper, "above_upper", "warning", sentence)


def order(body: Ordered) -> Iterator[Violation]:
    """Rows that step back in time within their series, as the table came."""
    came = np.argsort(body.row)
    by_series = came[np.argsort(body.code[came], kind="stable")]
    stamps, code = body.table[DS].to_numpy()[by_series], body.code[by_series]
    back = np.zeros(len(stamps), dtype=bool)
    back[by_series[1:][(np.diff(stamps) < np.timedelta64(0)) & (np.diff(code) == 0)]] = True
    yield from _found(body, back, "unsorted", "note", "{} row(s) step back in time and are put in order")


def duplicates(body: Ordered) -> Iterator[Violation]:
    """Keys (unique_id, ds) that occur more than once: whole rows, and rows that contradict each other.

    Readings that are gathered may share a stamp.
    """
    if body.fresh.all() or body.series.aggregate is not None:
        return
    identical = body.table.duplicated().to_numpy()
    policy = body.series.duplicates
    yield from _found(body, identical, "identical_rows", "warning", "{} row(s) repeat another row in every column")
    severity: Severity = "error" if policy == "refuse" else "warning"
    remedy = "set series.duplicates to mean, first, last or sum" if policy == "refuse" else f"policy: {policy}"
    stamps = body.table[DS][~body.fresh & ~identical]
    shown = ", ".join(str(stamp) for stamp in stamps.head(_EXAMPLES))
    sentence = f"{{}} row(s) repeat a stamp of their series with other values, e.g. {shown}; {remedy}"
    yield from _found(body, ~body.fresh & ~identical, "duplicates", severity, sentence)


def grid(body: Ordered) -> Iterator[Violation]:
    """Stamps off the frequency's grid, and steps of the grid without a row."""
    if body.table.empty:
        return
    freq, stamps = body.series.freq, body.table[DS]
    if body.series.aggregate is not None:
        stamps = pd.Series(step_ends(stamps, freq), index=stamps.index)
    index, phase = Grid.around(stamps, freq).locate(stamps)
    off = (phase != usual_phase(body.code, phase)) | (phase == OFF_GRID)
    if off.any():
        worst = body.code == np.bincount(body.code[off]).argmax()
        shown = ", ".join(map(str, body.table[DS][off].head(_EXAMPLES)))
        fit = fitting(body.table[DS][worst])
        remedy = f"freq {fit} would fit" if fit else "no frequency fits"
        if not body.series.symbolic:
            remedy += f", or gather the readings into steps of {freq} with series.aggregate, for example mean"
        sentence = f"{{}} stamp(s) off the grid of {freq}, e.g. {shown}; {remedy}"
        yield from _found(body, off, "off_grid", "error", sentence)
    leading, trailing = outside(body.code, body.missing)
    ends = leading | (trailing & ~known_ahead(body.table, body.series))
    yield from _gaps(body, np.flatnonzero(body.fresh & ~off & ~ends), index)


def _gaps(body: Ordered, at: np.ndarray, index: np.ndarray) -> Iterator[Violation]:
    missing = np.diff(index[at]) - 1
    holes = (np.diff(body.code[at]) == 0) & (missing > 0)
    if not holes.any():
        return
    before, after = at[:-1][holes], at[1:][holes]
    count, longest = int(missing[holes].sum()), int(missing[holes].argmax())
    start, end = body.table[DS].iloc[[before[longest], after[longest]]]
    where = f"the longest of {missing[holes].max()} between {start} and {end}; {_gap_remedy(body)}"
    if usual := usual_step(body):
        where = usual
    message = f"{count} step(s) of {body.series.freq} are missing in {len(after)} gap(s), {where}"
    ids = tuple(body.names[np.unique(body.code[after])[:_SHOWN]])
    rows = tuple(map(int, np.sort(body.row[after])[:_SHOWN]))
    yield Violation("gaps", _gap_severity(body), count, message, ids, rows)


def _gap_severity(body: Ordered) -> Severity:
    return "error" if body.series.gaps == "refuse" else "warning"


def _gap_remedy(body: Ordered) -> str:
    if body.series.symbolic:
        return "a sequence of symbols has no gaps: bring the missing steps"
    return "set series.gaps to mask or fill" if body.series.gaps == "refuse" else f"policy: {body.series.gaps}"


def far(body: Ordered) -> Iterator[Violation]:
    """Readings at an end of their series that are further from all others than those span."""
    for stray in strays(body)[:_SHOWN]:
        name = str(body.table[UNIQUE_ID].loc[stray.row])
        yield Violation("stray", "warning", 1, stray.sentence, (name,), (stray.row,))


def edges(body: Ordered) -> Iterator[Violation]:
    """Rows without a reading: before the first, after the last, and between readings of their series."""
    before, trailing = outside(body.code, body.missing)
    leading = before & ~only_ahead(body.code, body.missing, body.table, body.series)[body.code]
    sentence = "{} row(s) stand before the first reading of their series"
    yield from _found(body, leading, "leading_missing", "note", sentence)
    ahead = known_ahead(body.table, body.series)
    sentence = "{} row(s) stand after the last reading of their series"
    yield from _found(body, trailing & ~ahead, "trailing_missing", "note", sentence)
    if body.series.symbolic:
        return  # see `symbols`
    sentence = f"{{}} row(s) between readings hold none; {_gap_remedy(body)}"
    yield from _found(body, body.missing & ~before & ~trailing, "missing_readings", _gap_severity(body), sentence)


def levels(body: Ordered) -> Iterator[Violation]:
    """Series that never read anything, are too short, or never change; an error if none remains."""
    readings, grouped = body.readings, body.table.groupby(body.code)[Y]
    least, ahead = body.series.min_length, only_ahead(body.code, body.missing, body.table, body.series)
    short = (readings > 0) & (readings < least)
    yield from _whole(body, ahead, "only_ahead", "note", "{} series bring no reading, but values that are known ahead")
    nothing = (readings == 0) & ~ahead
    yield from _whole(body, nothing, "all_missing", "warning", "{} series without any reading are left out")
    yield from _whole(body, short, "too_short", "warning", f"{{}} series with fewer than {least} readings are left out")
    constant = (readings > 1) & (grouped.max() == grouped.min()).to_numpy()
    yield from _whole(body, constant, "constant", "warning", "{} series never change")
    if not ((readings >= max(least, 1)) | ahead).any():
        message = f"no series has {max(least, 1)} reading(s) or more"
        yield Violation("nothing_left", "error", len(body.names), message, tuple(body.names[:_SHOWN]))


def symbols(body: Ordered) -> Iterator[Violation]:
    """Rows without a label, or with one of no characters, in a sequence of symbols."""
    if body.series.symbolic:
        sentence = "{} row(s) hold no label; a sequence of symbols has one at every step: remove or name them"
        yield from _found(body, body.missing, "missing_labels", "error", sentence)
        sentence = "{} row(s) hold an empty label; remove or name them"
        yield from _found(
            body, (body.table[Y] == "").fillna(False).to_numpy(dtype=bool), "empty_labels", "error", sentence
        )


def covariates(body: Ordered) -> Iterator[Violation]:
    """Static covariates that vary, known-ahead covariates that are missing within the observed span."""
    for name in body.series.static:
        varies = (body.table.groupby(body.code)[name].nunique() > 1).to_numpy()
        sentence = f"static covariate {name} changes within {{}} series; {LATEST}"
        yield from _whole(body, varies, "static_varies", "warning", sentence)
    leading, trailing = outside(body.code, body.missing)
    for name in body.series.future:
        missing = body.table[name].isna().to_numpy() & ~leading & ~trailing
        sentence = f"known-ahead covariate {name} is missing in {{}} row(s) of the observed span"
        yield from _found(body, missing, "future_missing", "warning", sentence)


RULES: Final[tuple[Callable[[Ordered], Iterator[Violation]], ...]] = (
    bounds,
    order,
    duplicates,
    grid,
    far,
    edges,
    levels,
    symbols,
    covariates,
)


def _found(body: Ordered, bad: np.ndarray, rule: str, severity: Severity, sentence: str) -> Iterator[Violation]:
    """A violation at the rows `bad` (a mask), if there are any; `{}` in the sentence is their number."""
    if bad.any():
        ids = body.names[np.unique(body.code[bad])[:_SHOWN]]
        rows = tuple(map(int, np.sort(body.row[bad])[:_SHOWN]))
        yield Violation(rule, severity, int(bad.sum()), _text(sentence, bad, ids), tuple(ids), rows)


def _whole(body: Ordered, bad: np.ndarray, rule: str, severity: Severity, sentence: str) -> Iterator[Violation]:
    """A violation of the series `bad` (a mask), if there are any."""
    if bad.any():
        ids = body.names[bad][:_SHOWN]
        yield Violation(rule, severity, int(bad.sum()), _text(sentence, bad, ids), tuple(ids))


def _text(sentence: str, bad: np.ndarray, ids: pd.Index) -> str:
    more = ", …" if len(ids) > _EXAMPLES else ""
    return f"{sentence.replace('{}', str(bad.sum()), 1)} (series {', '.join(ids[:_EXAMPLES])}{more})"
