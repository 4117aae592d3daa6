"""What the columns are: identifiers, the target or several, and covariates of the past and of the future."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd

from forecasting.errors import SourceError
from forecasting.inspection.findings import Found
from forecasting.inspection.notation import TypedColumns

__all__ = ["describe_columns", "ids_of"]

_UNNAMED: Final = re.compile(r"(Unnamed: \d+|__index_level_\d+__|)")
_ROWS: Final = re.compile(r"(unnamed.*|index|row|rownames|rowid|no|nr|#|id|)", re.IGNORECASE)
_IDS: Final = re.compile(
    r"(unique_?id|series(_?id)?|id|item(_?id)?|store(_?(id|nbr))?|shop|sku|product|sensor(_?id)?|device(_?id)?|meter|"
    r"station|site|plant(_?id)?|unit|symbol|ticker|region|country|state|city|family|source_?key|name|key|group|zone)",
    re.IGNORECASE,
)
_TARGETS: Final = (
    r"y|target|value|values|reading|readings|actual|ziel|wert",
    r"demand|load|sales|umsatz|menge|consumption|verbrauch|traffic_volume|count|cnt|quantity|qty|units_sold|ot",
    r"adj[ _]?close|close|pm2\.5|price|preis|temperature|temp|power|energy|trips|users|visitors|passengers|volume",
)
_KNOWN: Final = re.compile(
    r".*(holiday|feiertag|promo|campaign|planned|schedule|forecast|prognos|vorhersage|day[ _-]?ahead|predict|expected|"
    r"nominat|weekday|weekend|day_of_week|is_workday|business_?day|open|event|price|preis|school).*",
    re.IGNORECASE,
)
_CALENDAR: Final = re.compile(
    r"(day_?of_?week|weekday|dow|hour|hr|day|month|mon|year|yr|week|quarter|season|day_?of_?year|day_\d+|date)",
    re.IGNORECASE,
)
_CANDIDATES: Final = 6  # columns that may name a series
_FEW_LABELS: Final = 50
_DENSE: Final = 0.5  # of the stamps within a series that it has a row at
_ZEROS: Final = 0.5  # of a target whose name does not say that it is one
_SPARSE: Final = 0.5  # of a covariate that may be missing
_ALIKE: Final = 1.5  # powers of ten between the sizes of columns of one quantity


def describe_columns(columns: TypedColumns, stamps: pd.Series, findings: Found) -> None:
    """Find `source.columns.unique_id`, `layout`, and `y`, and the covariates in `series.past` and its siblings.

    Raises SourceError for a table without a column of numbers.
    """
    numbers = _useful(columns, findings)
    if numbers.empty:
        raise SourceError("no column holds numbers, so there is nothing to forecast")
    ids = _identifiers(columns, numbers, stamps, findings)
    numbers = numbers.drop(columns=[name for name in ids if name in numbers])
    if not ids and _wide(numbers, columns, findings):
        return
    target = _target(numbers, ids_of(columns.raw, findings), findings)
    _covariates(columns, numbers.drop(columns=[target]), numbers[target], ids, findings)


def ids_of(frame: pd.DataFrame, findings: Found) -> pd.Series:
    """The identifier of every row as text; one for all where there are none."""
    name = findings.value("source.columns.unique_id")
    if name is None:
        return pd.Series("", index=frame.index)
    names = [name] if isinstance(name, str) else name
    return frame[names].astype("str").agg("/".join, axis=1)


def _useful(columns: TypedColumns, findings: Found) -> pd.DataFrame:
    """The numbers without columns that are empty, constant, or count the rows."""
    left: dict[str, str] = {}
    for name in map(str, columns.numbers):
        values = columns.numbers[name].dropna()
        counts = len(values) > 1 and (values.diff().dropna() == 1).all()
        if values.empty:
            left[name] = "is empty"
        elif counts and _ROWS.fullmatch(name.strip()):
            left[name] = "numbers the rows"
        elif _UNNAMED.fullmatch(name):
            left[name] = "has no name"
        elif values.nunique() == 1 and columns.numbers.shape[1] > 1:
            left[name] = f"is always {values.iloc[0]:g}"
    findings.notes += [f"column {name or 'without a name'} {why}: left out" for name, why in left.items()]
    return columns.numbers.drop(columns=list(left))


def _identifiers(columns: TypedColumns, numbers: pd.DataFrame, stamps: pd.Series, findings: Found) -> tuple[str, ...]:
    """The columns that, with the stamp, name a row: the fewest whose series are dense."""
    whole = [name for name in map(str, numbers) if _IDS.fullmatch(name) and (numbers[name].dropna() % 1 == 0).all()]
    labels = [name for name in columns.labels if columns.raw[name].notna().any() and not _UNNAMED.fullmatch(name)]
    candidates = sorted([*labels, *whole], key=lambda name: _IDS.fullmatch(name) is None)[:_CANDIDATES]
    twice = float(stamps.dropna().duplicated().mean())
    if twice == 0:
        named = [name for name in labels if _IDS.fullmatch(name) and columns.raw[name].nunique() == 1]
        if named:
            findings.add("source.columns.unique_id", named[0], "it names the one series")
        return tuple(named[:1])
    codes = columns.raw[candidates].apply(lambda column: pd.Series(pd.factorize(column)[0], index=column.index))
    for size in (1, 2, 3):
        for names in combinations(candidates, size):
            frame = codes[list(names)].assign(ds=stamps).dropna()
            if frame.duplicated().mean() <= 0.02 and _dense(frame, list(names)):
                value = names[0] if size == 1 else list(names)
                count = len(frame[list(names)].drop_duplicates())
                findings.add("source.columns.unique_id", value, f"{count:,} series, each with a stamp once")
                return names
    return ()


def _dense(frame: pd.DataFrame, names: list[str]) -> bool:
    """Whether the usual series has a row at most stamps between its ends."""
    every = pd.Index(frame["ds"].unique()).sort_values()
    groups = frame.groupby(names)["ds"].agg(["min", "max", "nunique"])
    if (groups["nunique"] < 3).mean() > 0.5:
        return False
    span = every.searchsorted(groups["max"], side="right") - every.searchsorted(groups["min"])
    return bool((groups["nunique"] / span).median() >= _DENSE)


def _wide(numbers: pd.DataFrame, columns: TypedColumns, findings: Found) -> bool:
    """Whether every column of numbers is a series of one quantity."""
    names = [str(name) for name in numbers]
    if len(names) < 2 or _named_target(names) is not None or any(map(_CALENDAR.fullmatch, names)):
        return False
    patterned = findings.value("source.header", True) and _patterned(names)  # without a header they are but counted
    sizes = np.log10(numbers.abs().median().replace(0, np.nan).dropna())
    apart = float(sizes.max() - sizes.min()) if len(sizes) > 1 else np.inf
    plain = not columns.labels and not any("(" in name for name in names)  # neither labels nor units
    if not patterned and not (plain and apart <= (_ALIKE if len(names) > 2 else _ALIKE / 5)):
        return False
    why = "the columns are named alike" if patterned else "the columns are of one size"
    answer = "wide"
    if not patterned:
        answer = findings.guess("source.columns.layout", "wide", f"{why}: each one a series", ("wide", "long"))
    if answer == "long":
        del findings.found["source.columns.layout"]
        return False
    if patterned:
        findings.add("source.columns.layout", "wide", f"{why}: each one a series")
    others = [name for name in columns.raw if str(name) not in names]
    findings.add("source.columns.y", names, f"{len(names)} columns of numbers; {len(others)} others are left out")
    return True


def _patterned(names: Sequence[str]) -> bool:
    """Names such as 773869, V1 V2 V3, or AAPL MSFT GE: of digits, with one stem, or short capitals."""
    if all(name.strip().isdigit() for name in names):
        return True
    stems = {re.sub(r"[\d_ -]+$", "", name) for name in names}
    if len(stems) == 1 and len(names) > 2 and all(re.search(r"\d$", name) for name in names):
        return True
    return len(names) > 4 and all(re.fullmatch(r"[A-Z.]{1,5}", name) for name in names)


def _named_target(names: Sequence[str]) -> str | None:
    for pattern in _TARGETS:
        found = [name for name in names if re.fullmatch(pattern, name.strip(), re.IGNORECASE)]
        if found:
            return found[0]
    return None


def _target(numbers: pd.DataFrame, keys: pd.Series, findings: Found) -> str:
    names = [str(name) for name in numbers]
    if len(names) == 1:
        findings.add("source.columns.y", names[0], "the only column of numbers")
        return names[0]
    named = _named_target(names)
    ends = None if named else _ends_alone(numbers, keys)
    likely = [name for name in names if not _CALENDAR.fullmatch(name) and (numbers[name] == 0).mean() < _ZEROS]
    best = named or ends or (likely or names)[-1]
    why = "the last column of numbers that are not mostly zero; its name does not say"
    why = "by its name" if named else "it ends before all others, which are known ahead then" if ends else why
    if named and re.fullmatch(_TARGETS[0], named, re.IGNORECASE):
        findings.add("source.columns.y", named, why)
        return named
    return str(findings.guess("source.columns.y", best, why, tuple(names)))


def _ends_alone(numbers: pd.DataFrame, keys: pd.Series) -> str | None:
    """The one column that is empty at the end of every series, while all others go on; none if there is no such."""
    ends = [name for name in map(str, numbers) if _after_last(numbers[name], keys).groupby(keys).any().all()]
    return ends[0] if len(ends) == 1 else None


def _covariates(
    columns: TypedColumns, numbers: pd.DataFrame, target: pd.Series, ids: tuple[str, ...], findings: Found
) -> None:
    """Everything else: known ahead where there are values after the last reading, static where it never changes."""
    keys = ids_of(columns.raw, findings)
    after = _after_last(target, keys)
    labels = [name for name in columns.labels if name not in ids and not _UNNAMED.fullmatch(name)]
    found: dict[str, list[str]] = {"past": [], "future": [], "static": []}
    categorical: list[str] = []
    for name in [*map(str, numbers), *labels]:
        values = numbers[name] if name in numbers else columns.raw[name]
        reason = _unusable(values, target, label=name in labels, name=name)
        if reason:
            findings.notes.append(f"column {name} {reason}: left out")
            continue
        role = _role(values, after, keys, single=not ids)
        if role is None:
            findings.notes.append(f"column {name} never changes: left out")
            continue
        found[role].append(name)
        categorical += [name] if name in labels else []
    _note(found, categorical, int(after.sum()), findings)


def _note(found: dict[str, list[str]], categorical: list[str], ahead: int, findings: Found) -> None:
    future = found["future"]
    if future:
        findings.add("series.future", future, f"they go on for {ahead:,} row(s) after the last reading")
    if likely := [name for name in found["past"] if _KNOWN.fullmatch(name)]:
        why = (
            f"by its name {', '.join(likely)} may be known ahead, but ends with the readings: in future it helps more,"
            " and each forecast needs its values"
        )
        future = findings.guess("series.future", future, why, (future, [*future, *likely]))
    if past := [name for name in found["past"] if name not in future]:
        findings.add("series.past", past, "they end with the readings; move to future what is known ahead")
    if found["static"]:
        findings.add("series.static", found["static"], "one value per series")
    if categorical:
        findings.add("series.categorical", categorical, "labels, not numbers")


def _after_last(target: pd.Series, keys: pd.Series) -> pd.Series:
    """The rows after the last reading of their series, as the table stands."""
    known = target.notna()
    place = pd.Series(np.arange(len(target)), index=target.index)
    last = place.where(known).groupby(keys).transform("max")
    return ~known & (place > last)


def _unusable(values: pd.Series, target: pd.Series, *, label: bool, name: str) -> str:
    if label and values.nunique() > _FEW_LABELS:
        return f"holds {values.nunique():,} different texts"
    if values.isna().mean() > _SPARSE:
        return f"is missing in {values.isna().mean():.0%} of the rows"
    if not label and _CALENDAR.fullmatch(name):
        return "repeats the calendar, which is known anyway"
    if not label and values.equals(target):
        return "repeats the target"
    return ""


def _role(values: pd.Series, after: pd.Series, keys: pd.Series, *, single: bool) -> str | None:
    if values.groupby(keys).nunique().max() <= 1:
        return None if single else "static"
    if after.any() and values[after].notna().mean() > 0.5:
        return "future"
    return "past"
